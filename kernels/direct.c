/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of direct convolutions: which output pixels and taps belong together,
 * and how much scratch that takes. */
#include "kernels/direct.h"

/* Measured beside oneDNN 2.6 on AVX2 at 3x3 of stride 2: 1.0-1.8x forward and 1.0-1.5x by x, 2.5x at large maps of many
 * channels, 1.2-5.4x by w; 0.7-1.0x at 1x1, and less where a tap has few channels. These two are declined. */
enum { FEW_CHANNELS = 8, FEW_SUMMED = 3 };

const dor_direct_isa *dor_direct_find(dor_isa isa)
{
  if (isa >= DOR_ISA_AVX512) return &dor_direct_avx512;
  return isa >= DOR_ISA_AVX2 ? &dor_direct_avx2 : NULL;
}

/* Forward: all outputs are one phase, and y's pixel i reads x's i stride + u dilation - pad. */
static void forward_phase(dor_direct *p, const dor_conv2d_attr *a)
{
  dor_direct_phase *f = &p->phase[0];
  *f = (dor_direct_phase){.rows = p->down, .cols = p->across, .step = 1, .source = {a->stride[0], a->stride[1]}};
  for (int32_t u = 0; u < a->kernel[0]; u++)
    for (int32_t v = 0; v < a->kernel[1]; v++) {
      f->at[f->taps][0] = u * a->dilation[0] - a->pad[0];
      f->at[f->taps][1] = v * a->dilation[1] - a->pad[1];
      f->w[f->taps++] = u * a->kernel[1] + v;
    }
  p->phases = 1;
}

/* Does the tap at u of a kernel reach output i of the phase that starts at `first`? Then it reads dy's pixel i + *at. */
static bool reaches(const dor_conv2d_attr *a, int32_t axis, int32_t first, int32_t u, int32_t *at)
{
  int32_t from = first + a->pad[axis] - u * a->dilation[axis];
  *at = from / a->stride[axis];
  return from % a->stride[axis] == 0;
}

/* Back: x's gradient at pixel r takes dy's pixel (r + pad - u dilation) / stride where that divides: one phase for each r mod stride. */
static void back_phase(dor_direct *p, const dor_conv2d_attr *a, int32_t r, int32_t s)
{
  dor_direct_phase *f = &p->phase[p->phases];
  int32_t step = a->stride[0];
  *f = (dor_direct_phase){.rows = (p->down - r + step - 1) / step, .cols = (p->across - s + step - 1) / step, .first = {r, s}, .step = step, .source = {1, 1}};
  if (f->rows <= 0 || f->cols <= 0) return;
  for (int32_t u = 0; u < a->kernel[0]; u++)
    for (int32_t v = 0; v < a->kernel[1]; v++) {
      int32_t *at = f->at[f->taps];
      if (!reaches(a, 0, r, u, &at[0]) || !reaches(a, 1, s, v, &at[1])) continue;
      f->w[f->taps++] = u * a->kernel[1] + v;
    }
  p->phases++;
}

static void find_reach(const dor_direct *p, dor_direct_phase *f)
{
  for (int32_t t = 0; t < f->taps; t++) {
    for (int32_t i = 0; i < 2; i++) {
      if (!t || f->at[t][i] < f->least[i]) f->least[i] = f->at[t][i];
      if (!t || f->at[t][i] > f->most[i]) f->most[i] = f->at[t][i];
    }
    f->offset[t] = ((ptrdiff_t)f->at[t][0] * p->w + f->at[t][1]) * p->c;
  }
}

static void make_phases(dor_direct *p, const dor_conv2d_attr *a)
{
  if (!p->back) forward_phase(p, a);
  for (int32_t r = 0; p->back && r < a->stride[0]; r++)
    for (int32_t s = 0; s < a->stride[0]; s++) back_phase(p, a, r, s);
  size_t packed = 0;
  for (int32_t i = 0; i < p->phases; i++) {
    find_reach(p, &p->phase[i]);
    p->phase[i].packed = packed;
    packed += (size_t)p->phase[i].taps * (size_t)p->c * (size_t)p->k;
  }
}

static dor_status plan(dor_direct *p, const dor_direct_isa *isa, const dor_conv2d_attr *a, bool back, dor_shape x, dor_shape y, int32_t threads)
{
  int32_t taps = a->kernel[0] * a->kernel[1];
  DOR_NEED(isa, UNSUPPORTED, "direct: this CPU has neither AVX2 with FMA nor AVX-512");
  DOR_NEED(a->groups == 1 && taps > 1 && taps <= DOR_DIRECT_TAPS, UNSUPPORTED, "direct: %d groups, %d taps", a->groups, taps);
  *p = (dor_direct){.n = x.d[0], .h = x.d[1], .w = x.d[2], .c = x.d[3], .down = y.d[1], .across = y.d[2], .k = y.d[3],
                    .threads = threads, .taps = taps, .back = back, .isa = isa};
  make_phases(p, a);
  return DOR_OK;
}

dor_status dor_direct_plan(dor_direct *p, const dor_direct_isa *isa, const dor_conv2d_attr *a, bool back, dor_shape x, dor_shape y, int32_t threads)
{
  DOR_NEED(!isa || y.d[3] % isa->lanes == 0, UNSUPPORTED, "direct: %d output channels fill no registers", y.d[3]);
  DOR_NEED(!back || (a->stride[0] == a->stride[1] && a->stride[0] <= 2), UNSUPPORTED, "direct: backward data of stride %d", a->stride[0]);
  DOR_NEED(x.d[3] >= FEW_CHANNELS, UNSUPPORTED, "direct: %d input channels are too few", x.d[3]);
  return plan(p, isa, a, back, x, y, threads);
}

dor_status dor_direct_plan_weights(dor_direct *p, const dor_direct_isa *isa, const dor_conv2d_attr *a, dor_shape x, dor_shape y, int32_t threads)
{
  DOR_NEED(x.d[3] >= FEW_SUMMED, UNSUPPORTED, "direct: %d input channels are too few", x.d[3]);
  return plan(p, isa, a, false, x, y, threads);
}

static size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

/* In the order of direct_body.h: zeros, scale and bias, sums (double) of each thread, weights in panels. */
size_t dor_direct_bytes(const dor_direct *p)
{
  size_t k = aligned((size_t)p->k), sums = 4 * (size_t)p->threads * k;
  return sizeof(float) * (aligned((size_t)p->c) + 2 * k + sums + aligned((size_t)p->taps * (size_t)p->c * (size_t)p->k));
}

/* Zeros; where K does not fill its registers, a stretch of dy for each thread and the sums. */
size_t dor_direct_weights_bytes(const dor_direct *p)
{
  size_t lanes = (size_t)p->isa->lanes, k = ((size_t)p->k + lanes - 1) / lanes * lanes, zeros = aligned((size_t)p->c);
  if (k == (size_t)p->k) return sizeof(float) * zeros;
  return sizeof(float) * (zeros + k * ((size_t)p->threads * DOR_DIRECT_STRETCH + (size_t)p->taps * (size_t)p->c));
}
