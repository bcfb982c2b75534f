/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameter table: where each parameter lies, how it starts, and how it is
 * laid out in files. One index walk maps memory to file order, and all that
 * permutes or draws goes through it. */
#include "graph/params.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { ALIGN = 64 };

void dor_params_release(dor_params *p)
{
  dor_free(p->at);
  dor_arena_release(&p->arena);
  memset(p, 0, sizeof *p);
}

int32_t dor_params_find(const dor_params *p, const char *name)
{
  for (int32_t i = 0; i < p->n; i++)
    if (!strcmp(p->at[i].spec.name, name)) return i;
  return -1;
}

static dor_status same(const dor_param_spec *have, const dor_param_spec *want)
{
  dor_shape_text a, b;
  DOR_NEED(dor_shape_same(have->shape, want->shape), SHAPE, "parameter '%s' is %s and was wanted as %s", have->name,
           dor_shape_print(have->shape, a), dor_shape_print(want->shape, b));
  DOR_NEED(have->state == want->state && have->dtype == want->dtype && have->layout == want->layout && !memcmp(have->chw, want->chw, sizeof have->chw), ARG,
           "parameter '%s' is wanted in two ways: trained and not, or with two file layouts", have->name);
  return DOR_OK;
}

static dor_status check_layout(const dor_param_spec *s)
{
  dor_shape_text text;
  DOR_NEED(s->layout != DOR_FILE_LINEAR || s->shape.n == 2, SHAPE, "parameter '%s' %s: a linear layer's has two dimensions", s->name,
           dor_shape_print(s->shape, text));
  DOR_NEED(s->layout != DOR_FILE_OIHW || s->shape.n == 4, SHAPE, "parameter '%s' %s: a convolution's has four dimensions", s->name,
           dor_shape_print(s->shape, text));
  DOR_NEED(s->layout != DOR_FILE_LINEAR_CHW || (s->shape.n == 2 && s->chw[0] * s->chw[1] * s->chw[2] == s->shape.d[0]), SHAPE,
           "parameter '%s' %s does not fit a flatten of [%d,%d,%d]", s->name, dor_shape_print(s->shape, text), s->chw[0], s->chw[1], s->chw[2]);
  return DOR_OK;
}

dor_status dor_params_add(dor_params *p, const dor_param_spec *spec, int32_t *index)
{
  *index = dor_params_find(p, spec->name);
  if (*index >= 0) return same(&p->at[*index].spec, spec);
  DOR_TRY(check_layout(spec));
  DOR_NEED(spec->dtype == DOR_F32 || (spec->dtype == DOR_I32 && spec->state), ARG, "parameter '%s': numbers are f32, counters are states", spec->name);
  if (p->n == p->cap) {
    int32_t cap = p->cap ? 2 * p->cap : 64;
    void *at = dor_realloc(p->at, (size_t)cap * sizeof *p->at);
    DOR_NEED(at, NOMEM, "a table of %d parameters", cap);
    p->at = at, p->cap = cap;
  }
  dor_param *q = &p->at[p->n];
  size_t *end = spec->state ? &p->state_bytes : &p->param_bytes;
  *q = (dor_param){.spec = *spec, .offset = *end};
  q->spec.name = dor_arena_str(&p->arena, spec->name);
  DOR_NEED(q->spec.name, NOMEM, "parameter '%s'", spec->name);
  if (q->spec.lr_factor == 0) q->spec.lr_factor = 1;
  *end += ((size_t)dor_shape_size(spec->shape) * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
  *index = p->n++;
  return DOR_OK;
}

int64_t dor_params_count(const dor_params *p, bool trainable_only)
{
  int64_t n = 0;
  for (int32_t i = 0; i < p->n; i++)
    if (!p->at[i].spec.state && !(trainable_only && p->at[i].spec.frozen)) n += dor_shape_size(p->at[i].spec.shape);
  return n;
}

dor_shape dor_param_file_shape(const dor_param *p)
{
  dor_shape s = p->spec.shape;
  if (p->spec.layout == DOR_FILE_OIHW) return DOR_SHAPE(s.d[3], s.d[2], s.d[0], s.d[1]);
  if (p->spec.layout == DOR_FILE_LINEAR || p->spec.layout == DOR_FILE_LINEAR_CHW) return DOR_SHAPE(s.d[1], s.d[0]);
  return s;
}

/* Where the i-th element of the file lies in memory. */
static int64_t from_file_index(const dor_param_spec *s, int64_t i)
{
  const int32_t *d = s->shape.d;
  int64_t hw, rest, a, b;
  switch (s->layout) {
  case DOR_FILE_SAME: return i;
  case DOR_FILE_OIHW:
    hw = i % ((int64_t)d[0] * d[1]), rest = i / ((int64_t)d[0] * d[1]);
    a = rest / d[2], b = rest % d[2];
    return (hw * d[2] + b) * d[3] + a;
  case DOR_FILE_LINEAR: return i % d[0] * d[1] + i / d[0];
  case DOR_FILE_LINEAR_CHW:
    hw = (int64_t)s->chw[1] * s->chw[2];
    a = i % d[0], rest = i / d[0];
    return (a % hw * s->chw[0] + a / hw) * d[1] + rest;
  }
  return i;
}

/* The length of the file's rows whose elements lie `step` apart in memory. */
static int64_t row_of(const dor_param_spec *s, int64_t *step)
{
  const int32_t *d = s->shape.d;
  switch (s->layout) {
  case DOR_FILE_SAME: break;
  case DOR_FILE_OIHW: return *step = (int64_t)d[2] * d[3], (int64_t)d[0] * d[1];
  case DOR_FILE_LINEAR: return *step = d[1], d[0];
  case DOR_FILE_LINEAR_CHW: return *step = (int64_t)s->chw[0] * d[1], (int64_t)s->chw[1] * s->chw[2];
  }
  return *step = 1, dor_shape_size(s->shape);
}

void dor_param_to_file(const dor_param *p, const float *memory, float *file)
{
  int64_t step, row = row_of(&p->spec, &step), n = dor_shape_size(p->spec.shape);
  for (int64_t i = 0; i < n; i += row) {
    const float *from = memory + from_file_index(&p->spec, i);
    for (int64_t k = 0; k < row; k++) file[i + k] = from[k * step];
  }
}

void dor_param_from_file(const dor_param *p, const float *file, float *memory)
{
  int64_t step, row = row_of(&p->spec, &step), n = dor_shape_size(p->spec.shape);
  for (int64_t i = 0; i < n; i += row) {
    float *to = memory + from_file_index(&p->spec, i);
    for (int64_t k = 0; k < row; k++) to[k * step] = file[i + k];
  }
}

static float draw(const dor_param_spec *s, dor_rng *r)
{
  double fan = s->fan > 0 ? s->fan : 1;
  switch (s->init) {
  case DOR_INIT_ZERO: return 0;
  case DOR_INIT_ONE: return 1;
  case DOR_INIT_NORMAL: return (float)(s->init_a * dor_rng_normal(r));
  case DOR_INIT_UNIFORM: return (float)(s->init_a * (2 * dor_rng_real(r) - 1));
  case DOR_INIT_KAIMING_UNIFORM: return (float)((2 * dor_rng_real(r) - 1) / sqrt(fan));
  case DOR_INIT_KAIMING_NORMAL_OUT: return (float)(sqrt(2 / fan) * dor_rng_normal(r));
  }
  return 0;
}

void dor_params_init(const dor_params *p, uint64_t seed, void *param_block, void *state_block)
{
  if (p->param_bytes) memset(param_block, 0, p->param_bytes); /* the gaps between parameters too */
  if (p->state_bytes) memset(state_block, 0, p->state_bytes);
  for (int32_t k = 0; k < p->n; k++) {
    const dor_param_spec *s = &p->at[k].spec;
    if (s->dtype != DOR_F32) continue;
    float *x = (float *)(void *)((char *)(s->state ? state_block : param_block) + p->at[k].offset);
    dor_rng r = dor_rng_stream(seed, dor_hash_name(s->name), 0);
    int64_t n = dor_shape_size(s->shape);
    for (int64_t i = 0; i < n; i++) x[from_file_index(s, i)] = draw(s, &r);
  }
}
