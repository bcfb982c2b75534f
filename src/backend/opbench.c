/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/opbench.h"

#include <stdlib.h>
#include <string.h>

#include "backend/opcase.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ops/ops.h"
#include "tensor/convert.h"

enum { ROUNDS = 7 };

static dor_status fill_inputs(const dor_opcase *c, dor_instance *in)
{
  for (int32_t i = 0; i < c->nin; i++) {
    dor_type t = {c->at->in[i], c->at->dtype[i]};
    int64_t n = dor_shape_size(t.shape);
    double *real = dor_calloc((size_t)n, sizeof *real);
    void *host = dor_calloc(1, dor_type_bytes(t));
    dor_status s = real && host ? DOR_OK : DOR_FAIL(NOMEM, "inputs of %s/%s", c->op->name, c->at->name);
    if (!s) {
      dor_opcase_fill(c, i, 1, real);
      dor_from_real(t.dtype, real, n, host);
      dor_instance_set(in, c->in[i], host);
    }
    dor_free(real);
    dor_free(host);
    DOR_TRY(s);
  }
  return DOR_OK;
}

static int ascending(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

/* Rounds of as many calls as fill their share of min_s; the median round tells. */
static dor_status time_calls(dor_instance *in, double min_s, double *median_s)
{
  static const dor_step step = {.seed = 1, .lr = 1e-3f, .grad_scale = 1};
  double round_s[ROUNDS], start = dor_clock_s();
  dor_instance_run(in, &step);
  dor_instance_run(in, &step);
  DOR_TRY(dor_instance_wait(in));
  double once_s = (dor_clock_s() - start) / 2, wanted = min_s / ROUNDS / (once_s > 1e-9 ? once_s : 1e-9);
  int64_t calls = wanted < 1 ? 1 : wanted > 1e6 ? 1000000 : (int64_t)wanted;
  for (int32_t r = 0; r < ROUNDS; r++) {
    start = dor_clock_s();
    for (int64_t i = 0; i < calls; i++) dor_instance_run(in, &step);
    DOR_TRY(dor_instance_wait(in));
    round_s[r] = (dor_clock_s() - start) / (double)calls;
  }
  qsort(round_s, ROUNDS, sizeof *round_s, ascending);
  *median_s = round_s[ROUNDS / 2];
  return DOR_OK;
}

static dor_status time_case(const dor_backend *b, dor_opcase *c, int32_t threads, double min_s, dor_opbench_sink *sink, void *to)
{
  dor_program *p = NULL;
  dor_instance *in = NULL;
  double time_s = 0;
  dor_cost cost = dor_node_cost(&c->graph, 0);
  dor_status s = dor_program_build(&p, &c->graph, b, &(dor_program_options){.threads = threads, .no_fuse = true});
  if (s == DOR_E_UNSUPPORTED) return DOR_OK;
  if (!s) s = dor_instance_new(&in, p, NULL);
  if (!s) s = fill_inputs(c, in);
  if (!s) s = time_calls(in, min_s, &time_s);
  if (!s) sink(to, &(dor_opbench_row){c->op->name, c->at->name, dor_program_kernel(p, 0)->name, time_s, cost});
  dor_instance_free(in);
  dor_program_release(p);
  return s;
}

dor_status dor_opbench(const dor_backend *b, const char *only, bool all_cases, int32_t threads, double min_s, dor_opbench_sink *sink, void *to)
{
  for (int32_t i = 0; i < DOR_OP_COUNT; i++)
    for (const dor_case *t = dor_ops[i]->cases; t && t->name; t++) {
      if (dor_ops[i]->view || !(t->bench || all_cases) || (only && !strstr(dor_ops[i]->name, only))) continue;
      dor_opcase c;
      DOR_TRY(dor_opcase_build(&c, dor_ops[i], t));
      DOR_TRY(time_case(b, &c, threads, min_s, sink, to));
    }
  return DOR_OK;
}
