/* SPDX-License-Identifier: Apache-2.0
 *
 * linear_dw by oneDNN's sgemm, for large layers: three times our own kernel there
 * (64 x 1024 x 1024), while forward and dx, whose batch is the short side, lose by
 * its packing and stay with ours. */
#include <string.h>

#include "kernels/kernel.h"
#include "kernels/onednn.h"

enum { LEAST = 1 << 22 }; /* products */

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  int64_t n = p->in[0].shape.d[0], in = p->in[0].shape.d[1], out = p->in[1].shape.d[1];
  DOR_NEED(n * in * out >= LEAST, UNSUPPORTED, "linear_dw: %lld x %lld x %lld is small", (long long)n, (long long)in, (long long)out);
  *scratch = dor_type_bytes(p->in[1]);
  return DOR_OK;
}

/* dz: dy, or under ReLU its copy in scratch, 0 where y is. */
static const float *masked(const dor_call *c, int64_t size)
{
  const float *dy = c->in[1].data, *y = c->in[2].data;
  float *dz = c->scratch;
  if (!((const dor_linear_attr *)c->attr)->relu) return dy;
  for (int64_t i = 0; i < size; i++) dz[i] = y[i] > 0 ? dy[i] : 0;
  return dz;
}

static void run(const dor_call *c) /* (x, dy, y) -> dw = x' dz, db = sum of dz */
{
  int64_t n = c->in[0].shape.d[0], in = c->in[0].shape.d[1], out = c->in[1].shape.d[1];
  const float *dz = masked(c, n * out);
  float *db = c->out[1].data;
  dor_dnn_gemm(true, false, in, out, n, c->in[0].data, in, dz, out, 0, c->out[0].data);
  memset(db, 0, (size_t)out * sizeof *db);
  for (int64_t r = 0; r < n; r++)
    for (int64_t o = 0; o < out; o++) db[o] += dz[r * out + o];
}

extern const dor_kernel linear_dw_onednn;
const dor_kernel linear_dw_onednn = {.name = "linear_dw_onednn", .prepare = prepare, .run = run};
