/* SPDX-License-Identifier: Apache-2.0
 *
 * cuBLASLt counts columns first: our C = A B, row by row, is its C' = B' A'. So its first matrix is our second, and a bias
 * along our columns is one along its rows. What it has no types or epilogue for goes through the kernels of product.h. */
#include "backend/cuda/blas.h"

#include <stdio.h>
#include <string.h>

#include <cublasLt.h>

#include "base/mem.h"
#include "kernels/product.h"

enum { WORKSPACE = 32 << 20, ALIGNED = 64, CHOICES = 8 };
static const size_t NOWHERE = SIZE_MAX;

typedef struct blas_plan {
  dor_library_plan head;
  dor_product d;
  dor_cuda_handles *handles;
  dor_dtype type;                   /* of both factors as they are multiplied */
  cublasComputeType_t compute;
  cublasLtEpilogue_t epilogue;      /* DEFAULT: what the product wants is done after it */
  cublasLtMatrixLayout_t a, b, c;   /* of our A, B and C */
  cublasLtMatmulAlgo_t algo;
  size_t workspace;                 /* bytes, at scratch's beginning */
  size_t copy_a, copy_b, copy_bias; /* places in scratch of copies: masked, or in another type; NOWHERE: as it is */
  size_t sums, scratch;             /* place of column sums' parts; all bytes */
  char name[64];
} blas_plan;

static dor_status checked(cublasStatus_t s, const char *what)
{
  if (s == CUBLAS_STATUS_SUCCESS) return DOR_OK;
  if (s == CUBLAS_STATUS_NOT_SUPPORTED) return DOR_FAIL(UNSUPPORTED, "cuBLASLt has no such %s", what);
  return DOR_FAIL(DEVICE, "cuBLASLt: %s: %s", what, cublasLtGetStatusString(s));
}

dor_status dor_blas_open(dor_cuda_handles *h)
{
  cublasLtHandle_t handle = NULL;
  DOR_TRY(checked(cublasLtCreate(&handle), "handle"));
  h->blas = handle;
  return DOR_OK;
}

void dor_blas_close(dor_cuda_handles *h)
{
  if (h->blas) cublasLtDestroy(h->blas);
  h->blas = NULL;
}

/* ---- what is wanted, in cuBLASLt's words ---- */

static cudaDataType_t data_type(dor_dtype t) { return t == DOR_BF16 ? CUDA_R_16BF : t == DOR_F16 ? CUDA_R_16F : CUDA_R_32F; }

static bool is_real(dor_dtype t) { return t == DOR_F32 || t == DOR_BF16 || t == DOR_F16; }

/* A float factor beside a narrow one is narrowed; two narrow ones must be alike. */
static dor_status factor_type(const dor_product *d, dor_dtype *out)
{
  DOR_NEED(is_real(d->type_a) && is_real(d->type_b) && is_real(d->type_c), UNSUPPORTED, "a product of whole numbers");
  *out = d->type_a != DOR_F32 ? d->type_a : d->type_b;
  DOR_NEED(d->type_b == DOR_F32 || d->type_b == *out, UNSUPPORTED, "a product of %s and %s", dor_dtype_name(d->type_a), dor_dtype_name(d->type_b));
  DOR_NEED(d->type_c == DOR_F32 || d->type_c == *out, UNSUPPORTED, "a product of %s into %s", dor_dtype_name(*out), dor_dtype_name(d->type_c));
  return DOR_OK;
}

static cublasLtEpilogue_t epilogue_of(const dor_product *d)
{
  return d->epilogue == DOR_EPILOGUE_BIAS        ? CUBLASLT_EPILOGUE_BIAS
         : d->epilogue == DOR_EPILOGUE_BIAS_RELU ? CUBLASLT_EPILOGUE_RELU_BIAS
         : d->epilogue == DOR_EPILOGUE_SUM_B     ? CUBLASLT_EPILOGUE_BGRADA
                                                 : CUBLASLT_EPILOGUE_DEFAULT;
}

static dor_status new_layout(cublasLtMatrixLayout_t *out, dor_dtype t, int64_t rows, int64_t columns, int32_t batch, int64_t step)
{
  DOR_TRY(checked(cublasLtMatrixLayoutCreate(out, data_type(t), (uint64_t)columns, (uint64_t)rows, columns), "layout"));
  if (batch <= 1) return DOR_OK;
  DOR_TRY(checked(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch), "batch"));
  return checked(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step), "batch");
}

static dor_status new_layouts(blas_plan *p)
{
  const dor_product *d = &p->d;
  DOR_TRY(new_layout(&p->a, p->type, d->ta ? d->k : d->m, d->ta ? d->m : d->k, d->batch, d->step_a));
  DOR_TRY(new_layout(&p->b, p->type, d->tb ? d->n : d->k, d->tb ? d->k : d->n, d->batch, d->step_b));
  return new_layout(&p->c, d->type_c, d->m, d->n, d->batch, d->step_c);
}

static dor_status set(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t what, const void *value, size_t bytes)
{
  return checked(cublasLtMatmulDescSetAttribute(op, what, value, bytes), "product");
}

/* The product with a bias, or a place for column sums, at `bias`. */
static dor_status describe_to(const blas_plan *p, const void *bias, cublasLtMatmulDesc_t op)
{
  const cublasOperation_t first = p->d.tb ? CUBLAS_OP_T : CUBLAS_OP_N, second = p->d.ta ? CUBLAS_OP_T : CUBLAS_OP_N;
  const int64_t step = p->d.step_bias;
  DOR_TRY(set(op, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
  DOR_TRY(set(op, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
  DOR_TRY(set(op, CUBLASLT_MATMUL_DESC_EPILOGUE, &p->epilogue, sizeof p->epilogue));
  if (p->epilogue == CUBLASLT_EPILOGUE_DEFAULT) return DOR_OK;
  if (p->d.batch > 1) DOR_TRY(set(op, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, &step, sizeof step));
  return set(op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

static dor_status new_operation(const blas_plan *p, const void *bias, cublasLtMatmulDesc_t *out)
{
  cublasLtMatmulDesc_t op = NULL;
  DOR_TRY(checked(cublasLtMatmulDescCreate(&op, p->compute, CUDA_R_32F), "product"));
  dor_status s = describe_to(p, bias, op);
  if (s) cublasLtMatmulDescDestroy(op);
  else *out = op;
  return s;
}

/* ---- the choice ---- */

static dor_status prefer(cublasLtMatmulPreference_t to, const dor_library *l)
{
  const size_t asked = ((const dor_cuda_handles *)l->self)->workspace;
  const uint64_t most = asked && asked < WORKSPACE ? asked : WORKSPACE; /* a product gains nothing from more */
  /* in place, parts are added in the order in which they are done; in the workspace they are kept apart and added in theirs */
  const uint32_t ways = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | (l->deterministic ? 0u : CUBLASLT_REDUCTION_SCHEME_INPLACE), aligned = ALIGNED;
  const struct { cublasLtMatmulPreferenceAttributes_t what; const void *value; size_t bytes; } all[] = {
      {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most}, {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &ways, sizeof ways},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &aligned, sizeof aligned}, {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &aligned, sizeof aligned},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &aligned, sizeof aligned}, {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &aligned, sizeof aligned}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    DOR_TRY(checked(cublasLtMatmulPreferenceSetAttribute(to, all[i].what, all[i].value, all[i].bytes), "preference"));
  return DOR_OK;
}

static void keep(blas_plan *p, const cublasLtMatmulHeuristicResult_t *r)
{
  int32_t id = -1, split = 1;
  size_t written;
  p->algo = r->algo;
  p->workspace = r->workspaceSize;
  cublasLtMatmulAlgoConfigGetAttribute(&p->algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id, &written);
  cublasLtMatmulAlgoConfigGetAttribute(&p->algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &split, sizeof split, &written);
  snprintf(p->name, sizeof p->name, "algorithm %d, k in %d%s", id, split > 1 ? split : 1, p->epilogue == CUBLASLT_EPILOGUE_DEFAULT ? "" : ", epilogue");
}

static dor_status ask(blas_plan *p, cublasLtMatmulDesc_t op, cublasLtMatmulPreference_t preference)
{
  cublasLtMatmulHeuristicResult_t found[CHOICES];
  int n = 0;
  DOR_TRY(checked(cublasLtMatmulAlgoGetHeuristic(p->handles->blas, op, p->b, p->a, p->c, p->c, preference, CHOICES, found, &n), "product"));
  for (int i = 0; i < n; i++)
    if (found[i].state == CUBLAS_STATUS_SUCCESS) return keep(p, &found[i]), DOR_OK;
  return DOR_FAIL(UNSUPPORTED, "cuBLASLt has no algorithm for %lld x %lld x %lld", (long long)p->d.m, (long long)p->d.n, (long long)p->d.k);
}

static dor_status choose(blas_plan *p, const dor_library *l)
{
  _Alignas(ALIGNED) static const char somewhere[ALIGNED]; /* heuristics look at a bias' alignment, not at the bias */
  cublasLtMatmulDesc_t op = NULL;
  cublasLtMatmulPreference_t preference = NULL;
  dor_status s = new_operation(p, somewhere, &op);
  if (!s) s = checked(cublasLtMatmulPreferenceCreate(&preference), "preference");
  if (!s) s = prefer(preference, l);
  if (!s) s = ask(p, op, preference);
  if (preference) cublasLtMatmulPreferenceDestroy(preference);
  if (op) cublasLtMatmulDescDestroy(op);
  return s;
}

/* With the epilogue in it; else without, where own kernels can follow it. */
static dor_status choose_either(blas_plan *p, const dor_library *l)
{
  p->epilogue = epilogue_of(&p->d);
  dor_status s = choose(p, l);
  bool own = p->d.batch <= 1 && !(p->d.epilogue == DOR_EPILOGUE_SUM_B && p->d.tb);
  if (s != DOR_E_UNSUPPORTED || p->epilogue == CUBLASLT_EPILOGUE_DEFAULT || !own) return s;
  p->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  return choose(p, l);
}

/* ---- scratch ---- */

static size_t place(blas_plan *p, bool wanted, int64_t n, dor_dtype t)
{
  size_t at = p->scratch;
  if (!wanted) return NOWHERE;
  p->scratch = (at + (size_t)n * dor_dtype_size(t) + 255) / 256 * 256;
  return at;
}

static dor_status lay_out(blas_plan *p)
{
  const dor_product *d = &p->d;
  bool fused = p->epilogue != CUBLASLT_EPILOGUE_DEFAULT, sums = d->epilogue == DOR_EPILOGUE_SUM_B, bias = d->epilogue != DOR_EPILOGUE_NONE && !sums;
  p->scratch = (p->workspace + 255) / 256 * 256;
  p->copy_a = place(p, d->gate_a != DOR_FROM_NONE || d->type_a != p->type, d->m * d->k, p->type);
  p->copy_b = place(p, d->gate_b != DOR_FROM_NONE || d->type_b != p->type, d->k * d->n, p->type);
  p->copy_bias = place(p, fused && bias && d->type_bias != d->type_c, d->n, d->type_c);
  p->sums = place(p, !fused && sums, dor_product_sums_scratch(d->k, d->n), DOR_F32);
  bool copies = p->copy_a != NOWHERE || p->copy_b != NOWHERE || p->copy_bias != NOWHERE;
  DOR_NEED(d->batch <= 1 || !copies, UNSUPPORTED, "a batch of products whose factors must be copied");
  DOR_NEED(fused || d->epilogue == DOR_EPILOGUE_NONE || d->type_bias == DOR_F32, UNSUPPORTED, "a bias in %s", dor_dtype_name(d->type_bias));
  DOR_NEED(!sums || !fused || d->type_c == DOR_F32, UNSUPPORTED, "column sums beside %s", dor_dtype_name(d->type_c));
  return DOR_OK;
}

/* ---- the table ---- */

static void drop(void *plan)
{
  blas_plan *p = plan;
  if (p->a) cublasLtMatrixLayoutDestroy(p->a);
  if (p->b) cublasLtMatrixLayoutDestroy(p->b);
  if (p->c) cublasLtMatrixLayoutDestroy(p->c);
  dor_free(p);
}

static const char *describe(const void *plan) { return ((const blas_plan *)plan)->name; }

static void *in_scratch(const dor_call *c, size_t at) { return (char *)c->scratch + at; }

/* Each instance has its own bias, so its own description. */
static dor_status attach(dor_call *c)
{
  const blas_plan *p = c->plan;
  const dor_view *bias = dor_from_view(c, p->d.bias);
  cublasLtMatmulDesc_t op = NULL;
  DOR_TRY(new_operation(p, p->copy_bias != NOWHERE ? in_scratch(c, p->copy_bias) : bias ? bias->data : NULL, &op));
  c->context = op;
  return DOR_OK;
}

static void detach(dor_call *c) { cublasLtMatmulDescDestroy(c->context); }

/* A factor as it is multiplied: itself, or its copy. */
static const void *factor(const dor_call *c, size_t copy, dor_from from, dor_from gate, int64_t n)
{
  const blas_plan *p = c->plan;
  const dor_view *x = dor_from_view(c, from), *g = dor_from_view(c, gate);
  if (copy == NOWHERE) return x->data;
  dor_product_copy(c->stream, x->dtype, n, x->data, g ? g->data : NULL, p->type, in_scratch(c, copy));
  return in_scratch(c, copy);
}

static void finish(const dor_call *c, const void *b, void *y)
{
  const blas_plan *p = c->plan;
  const dor_product *d = &p->d;
  const dor_view *bias = dor_from_view(c, d->bias);
  if (p->epilogue != CUBLASLT_EPILOGUE_DEFAULT || d->epilogue == DOR_EPILOGUE_NONE) return;
  if (d->epilogue == DOR_EPILOGUE_SUM_B) dor_product_sums(c->stream, p->type, d->k, d->n, b, in_scratch(c, p->sums), bias->data);
  else dor_product_bias(c->stream, d->type_c, d->m, d->n, bias->data, d->epilogue == DOR_EPILOGUE_BIAS_RELU, y);
}

static void run(const dor_call *c)
{
  const blas_plan *p = c->plan;
  const dor_product *d = &p->d;
  const float one = 1, zero = 0;
  const dor_view *bias = dor_from_view(c, d->bias);
  const void *a = factor(c, p->copy_a, d->a, d->gate_a, d->m * d->k);
  const void *b = d->copied_b ? dor_from_copy(c, d->type_b, d->copy_b) : factor(c, p->copy_b, d->b, d->gate_b, d->k * d->n);
  void *y = dor_from_view(c, d->c)->data;
  if (p->copy_bias != NOWHERE) dor_product_copy(c->stream, bias->dtype, d->n, bias->data, NULL, d->type_c, in_scratch(c, p->copy_bias));
  cublasStatus_t s = cublasLtMatmul(p->handles->blas, c->context, &one, b, p->b, a, p->a, &zero, y, p->c, y, p->c, &p->algo, c->scratch, p->workspace,
                                    (cudaStream_t)c->stream);
  int none = 0;
  if (s != CUBLAS_STATUS_SUCCESS) atomic_compare_exchange_strong(&p->handles->failed, &none, (int)s);
  finish(c, b, y);
}

static const dor_library table = {.name = "cublaslt", .attach = attach, .run = run, .detach = detach, .drop = drop, .describe = describe};

static dor_status fill(blas_plan *p, const dor_library *l)
{
  DOR_NEED(p->d.m > 0 && p->d.n > 0 && p->d.k > 0, UNSUPPORTED, "an empty product");
  DOR_TRY(factor_type(&p->d, &p->type));
  p->compute = p->type == DOR_F32 && l->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  DOR_TRY(new_layouts(p));
  DOR_TRY(choose_either(p, l));
  return lay_out(p);
}

dor_status dor_blas_product(const dor_library *l, const dor_product *d, void **plan, size_t *scratch)
{
  blas_plan *p = dor_calloc(1, sizeof *p);
  DOR_NEED(p, NOMEM, "a plan of a product");
  p->head.library = &table;
  p->handles = l->self;
  p->d = *d;
  dor_status s = fill(p, l);
  if (s) return drop(p), s;
  *plan = p;
  *scratch = p->scratch;
  return DOR_OK;
}
