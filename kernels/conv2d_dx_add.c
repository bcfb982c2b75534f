/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_dx_add by a library's or the portable conv2d_dx, which know no epilogue,
 * and a pass that adds. */
#include "kernels/reduce.h"

extern const dor_kernel conv2d_dx_onednn, conv2d_dx_cpu;

typedef struct sum { const float *r; float *y; } sum;

DOR_CLONES static void body(const void *job, int64_t lo, int64_t hi)
{
  const sum *s = job;
  const float *r = s->r;
  float *restrict y = s->y;
  for (int64_t i = lo; i < hi; i++) y[i] += r[i];
}

static void run(const dor_call *c, const dor_kernel *dx)
{
  dx->run(c);
  sum s = {c->in[2].data, c->out[0].data};
  dor_parallel(c->threads, dor_shape_size(c->out[0].shape), 16384, body, &s);
}

static void run_onednn(const dor_call *c) { run(c, &conv2d_dx_onednn); }
static void run_cpu(const dor_call *c) { run(c, &conv2d_dx_cpu); }

static dor_status prepare_onednn(const dor_prep *p, void **plan, size_t *scratch) { return conv2d_dx_onednn.prepare(p, plan, scratch); }
static dor_status attach_onednn(dor_call *c) { return conv2d_dx_onednn.attach(c); }
static void detach_onednn(dor_call *c) { conv2d_dx_onednn.detach(c); }
static void drop_onednn(void *plan) { conv2d_dx_onednn.drop(plan); }
static const char *describe_onednn(const void *plan) { return conv2d_dx_onednn.describe(plan); }
static dor_status prepare_cpu(const dor_prep *p, void **plan, size_t *scratch) { return conv2d_dx_cpu.prepare(p, plan, scratch); }

extern const dor_kernel conv2d_dx_add_onednn, conv2d_dx_add_cpu;
const dor_kernel conv2d_dx_add_onednn = {.name = "conv2d_dx_add_onednn", .prepare = prepare_onednn, .attach = attach_onednn,
                                         .run = run_onednn, .detach = detach_onednn, .drop = drop_onednn, .describe = describe_onednn};
const dor_kernel conv2d_dx_add_cpu = {.name = "conv2d_dx_add_cpu", .prepare = prepare_cpu, .run = run_cpu};
