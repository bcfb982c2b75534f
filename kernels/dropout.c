/* SPDX-License-Identifier: Apache-2.0
 *
 * dropout and its gradient: the same mask drawn twice, four elements a draw. */
#include "base/rng.h"
#include "kernels/reduce.h"
#include "ops/attrs.h"

typedef struct mask { const float *x; float *y; uint64_t key, where; float p, scale; int64_t n; } mask;

DOR_CLONES static void body(const void *job, int64_t lo, int64_t hi) /* of groups of four */
{
  const mask *m = job;
  for (int64_t q = lo; q < hi; q++) {
    dor_rng4 r = dor_philox(m->key, m->where, (uint64_t)q);
    for (int64_t j = 0; j < 4 && 4 * q + j < m->n; j++)
      m->y[4 * q + j] = dor_rng_unit(r.v[j]) < m->p ? 0.0f : m->x[4 * q + j] * m->scale;
  }
}

static void run(const dor_call *c)
{
  double p = ((const dor_dropout_attr *)c->attr)->p;
  int64_t n = dor_shape_size(c->in[0].shape);
  mask m = {c->in[0].data, c->out[0].data, dor_rng_key(c->step->seed, c->key), dor_rng_where(c->step->step, c->step->micro), (float)p, (float)(1 / (1 - p)), n};
  dor_parallel(c->threads, (n + 3) / 4, 1024, body, &m);
}

const dor_kernel dropout_cpu = {.name = "dropout_cpu", .run = run};
const dor_kernel dropout_bwd_cpu = {.name = "dropout_bwd_cpu", .run = run};
