/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that treat each element alone, made from scalar.h: 16 bytes of each tensor
 * a thread and turn, element by element where addresses or counts do not allow. */
#include "kernels/pack.cuh"

namespace {

/* y = f(a, b), or f(a, a) of one input; y may be a. */
template <int NIN, class T, class F> __global__ void each(const T *a, const T *b, T *y, int64_t n, bool wide, size_t stride, F f)
{
  cu_to_model(stride, a, b, y);
  constexpr int L = cu_lanes<T>;
  int64_t whole = wide ? n / L : 0;
  for (int64_t i = cu_first(); i < whole; i += cu_stride()) {
    float u[L], v[L];
    cu_load(a + i * L, u);
    if (NIN > 1) cu_load(b + i * L, v);
#pragma unroll
    for (int k = 0; k < L; k++) u[k] = f(u[k], NIN > 1 ? v[k] : u[k]);
    cu_store(y + i * L, u);
  }
  for (int64_t i = whole * L + cu_first(); i < n; i += cu_stride()) {
    float u = real(a[i]);
    y[i] = cut<T>(f(u, NIN > 1 ? real(b[i]) : u));
  }
}

template <int NIN, class T, class F> void launch_each(const dor_call *c, F f)
{
  const T *a = (const T *)c->in[0].data, *b = (const T *)c->in[NIN - 1].data;
  T *y = (T *)c->out[0].data;
  int64_t n = dor_shape_size(c->out[0].shape);
  bool wide = cu_aligned(a) && cu_aligned(b) && cu_aligned(y) && c->stride % 16 == 0;
  auto kernel = each<NIN, T, F>;
  CU_LAUNCH(kernel, cu_fleet(c, cu_grid(wide ? n / cu_lanes<T> + 1 : n)), CU_BLOCK, 0, c->stream, a, b, y, n, wide, c->stride, f);
}

/* op_run makes y the value of a and b, with k what `constant` takes from the attributes. */
#define EACH(op, nin, constant, value)                                                                        \
  struct op##_of {                                                                                            \
    float k;                                                                                                  \
    __device__ __forceinline__ float operator()(float a, float b) const { return (void)a, (void)b, (void)k, value; } \
  };                                                                                                          \
  void op##_run(const dor_call *c)                                                                            \
  {                                                                                                           \
    op##_of f = {(float)(constant)};                                                                          \
    CU_BY_TYPE(c->out[0].dtype, T, launch_each<nin, T>(c, f))                                                 \
  }

EACH(add, 2, 0, a + b)
EACH(relu, 1, 0, scalar_relu(a))
EACH(relu_bwd, 2, 0, scalar_relu_bwd(a, b))
EACH(leaky_relu, 1, ((const dor_slope_attr *)c->attr)->slope, scalar_leaky(a, a, k))
EACH(leaky_relu_bwd, 2, ((const dor_slope_attr *)c->attr)->slope, scalar_leaky(a, b, k))
EACH(sigmoid, 1, 0, scalar_sigmoid(a))
EACH(sigmoid_bwd, 2, 0, scalar_sigmoid_bwd(a, b))
EACH(tanh, 1, 0, scalar_tanh(a))
EACH(tanh_bwd, 2, 0, scalar_tanh_bwd(a, b))
EACH(scale, 1, ((const dor_scale_attr *)c->attr)->factor, k * a)

void accumulate_run(const dor_call *c) { add_run(c); }
void add_into_run(const dor_call *c) { add_run(c); }

/* loss_bwd: the factor lies on the device. */
template <class T> __global__ void scaled(const float *factor, const T *x, T *y, int64_t n, size_t stride)
{
  cu_to_model(stride, factor, x, y);
  for (int64_t i = cu_first(); i < n; i += cu_stride()) y[i] = cut<T>(*factor * real(x[i]));
}

void loss_bwd_run(const dor_call *c)
{
  int64_t n = dor_shape_size(c->out[0].shape);
  CU_BY_TYPE(c->out[0].dtype, T,
             CU_LAUNCH(scaled<T>, cu_fleet(c, cu_grid(n)), CU_BLOCK, 0, c->stream, (const float *)c->in[0].data, (const T *)c->in[1].data,
                       (T *)c->out[0].data, n, c->stride))
}

/* Rows of c numbers; a row of b, [images][c], serves `repeat` rows of a. blockIdx.y counts images; L numbers a turn. */
template <int L, class T, class B, class F>
__global__ void over_rows(const T *a, const B *b, T *y, int64_t images, int64_t repeat, int64_t c, size_t stride, F f)
{
  cu_to_model(stride, a, b, y);
  int64_t packs = c / L, n = repeat * packs, step = cu_stride() % packs, first = cu_first() % packs;
  for (int64_t image = blockIdx.y; image < images; image += gridDim.y) {
    int64_t start = image * repeat * c;
    for (int64_t i = cu_first(), k = first; i < n; i += cu_stride()) {
      float u[L], v[L];
      cu_load(a + start + i * L, u);
      cu_load(b + image * c + k * L, v);
#pragma unroll
      for (int j = 0; j < L; j++) u[j] = f(u[j], v[j]);
      cu_store(y + start + i * L, u);
      k += step;
      k -= k < packs ? 0 : packs;
    }
  }
}

template <class T, class B, class F> void launch_rows(const dor_call *c, int64_t images, int64_t repeat, F f)
{
  const T *a = (const T *)c->in[0].data;
  const B *b = (const B *)c->in[1].data;
  T *y = (T *)c->out[0].data;
  int64_t channels = dor_shape_size(c->out[0].shape) / (images * repeat);
  bool wide = channels % cu_lanes<T> == 0 && cu_aligned(a) && cu_aligned(b) && cu_aligned(y) && c->stride % 16 == 0;
  dim3 grid = cu_grid(repeat * channels / (wide ? cu_lanes<T> : 1));
  grid.y = (unsigned)(images < 65535 ? images : 65535);
  auto kernel = wide ? over_rows<cu_lanes<T>, T, B, F> : over_rows<1, T, B, F>;
  CU_LAUNCH(kernel, cu_fleet(c, grid), CU_BLOCK, 0, c->stream, a, b, y, images, repeat, channels, c->stride, f);
}

/* b is an activation as a is, or a parameter, which is float. */
template <class F> void run_rows(const dor_call *c, int64_t images, int64_t repeat, F f)
{
  bool parameter = c->in[1].dtype == DOR_F32;
  CU_BY_TYPE(c->out[0].dtype, T, parameter ? launch_rows<T, float>(c, images, repeat, f) : launch_rows<T, T>(c, images, repeat, f))
}

void bias_run(const dor_call *c)
{
  int64_t n = dor_shape_size(c->out[0].shape);
  run_rows(c, 1, n / c->in[1].shape.d[0], add_of());
}

EACH(product, 2, 0, a * b)

void mul_run(const dor_call *c)
{
  dor_shape a = c->in[0].shape, b = c->in[1].shape;
  if (dor_shape_same(a, b)) product_run(c);
  else run_rows(c, b.n == 2 ? b.d[0] : 1, dor_shape_size(a) / dor_shape_size(b), product_of()); /* a gate [N,C], or [C] */
}

} /* namespace */

DOR_CUDA_FLEET(add, nullptr)
DOR_CUDA_FLEET(accumulate, nullptr)
DOR_CUDA_FLEET(add_into, nullptr)
DOR_CUDA_FLEET(relu, nullptr)
DOR_CUDA_FLEET(relu_bwd, nullptr)
DOR_CUDA_FLEET(leaky_relu, nullptr)
DOR_CUDA_FLEET(leaky_relu_bwd, nullptr)
DOR_CUDA_FLEET(sigmoid, nullptr)
DOR_CUDA_FLEET(sigmoid_bwd, nullptr)
DOR_CUDA_FLEET(tanh, nullptr)
DOR_CUDA_FLEET(tanh_bwd, nullptr)
DOR_CUDA_FLEET(scale, nullptr)
DOR_CUDA_FLEET(loss_bwd, nullptr)
DOR_CUDA_FLEET(bias, nullptr)
DOR_CUDA_FLEET(mul, nullptr)
