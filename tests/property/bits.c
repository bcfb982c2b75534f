/* SPDX-License-Identifier: Apache-2.0
 *
 * Own kernels give the same bits for the same thread count, and most of them for
 * any: pieces are fixed and meet in a fixed order. On every case, and on the
 * bench-sized ones that are quick. */
#include <stdlib.h>
#include <string.h>

#include "backend/opcase.h"
#include "backend/program.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/reference.h"
#include "tests/test.h"

static const double MOST_FLOPS = 2e8, MOST_BYTES = 4e7;

/* All outputs of one run, one after another; NULL when the backend declines. */
static unsigned char *outputs(const dor_op *op, const dor_case *at, int32_t threads, size_t *bytes)
{
  dor_opcase c;
  dor_program *p;
  dor_instance *in;
  OK(dor_opcase_build(&c, op, at));
  dor_cost cost = dor_node_cost(&c.graph, 0);
  if (op->view || cost.flops > MOST_FLOPS || cost.bytes > MOST_BYTES) {
    dor_graph_release(&c.graph);
    return NULL;
  }
  if (dor_program_build(&p, &c.graph, &dor_backend_plain, &(dor_program_options){.threads = threads, .no_fuse = true})) return NULL;
  OK(dor_instance_new(&in, p, NULL));
  for (int32_t i = 0; i < c.nin; i++) {
    dor_type t = p->graph.value[c.in[i]].type;
    double *x = calloc((size_t)dor_shape_size(t.shape), sizeof *x);
    dor_opcase_fill(&c, i, 5, x);
    dor_from_real(t.dtype, x, dor_shape_size(t.shape), dor_instance_data(in, c.in[i]));
    free(x);
  }
  dor_instance_run(in, &test_step);
  *bytes = 0;
  for (int32_t i = 0; i < c.nout; i++) *bytes += dor_type_bytes(p->graph.value[c.out[i]].type);
  unsigned char *all = malloc(*bytes + 1), *to = all;
  for (int32_t i = 0; i < c.nout; i++) {
    size_t n = dor_type_bytes(p->graph.value[c.out[i]].type);
    memcpy(to, dor_instance_data(in, c.out[i]), n);
    to += n;
  }
  dor_instance_free(in);
  dor_program_release(p);
  return all;
}

static void compare(const dor_op *op, const dor_case *at, int32_t a, int32_t b)
{
  size_t n = 0, m = 0;
  unsigned char *one = outputs(op, at, a, &n), *more = one ? outputs(op, at, b, &m) : NULL;
  CHECK(!one || (more && n == m && !memcmp(one, more, n)), "%s/%s differs between %d and %d threads", op->name, at->name, a, b);
  free(one);
  free(more);
}

TEST(own_kernels_give_the_same_bits_again)
{
  for (int32_t i = 0; i < DOR_OP_COUNT; i++)
    for (const dor_case *t = dor_ops[i]->cases; t && t->name; t++) {
      compare(dor_ops[i], t, 3, 3);
      if (dor_ops[i] != &dor_op_conv2d_stats) compare(dor_ops[i], t, 1, 3); /* its sums follow the threads' shares of rows */
    }
}
