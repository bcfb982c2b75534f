/* SPDX-License-Identifier: Apache-2.0
 *
 * copy_weights: a model's weights as a GPU's libraries want them, all in one node: each a matrix [R,C] of the flat parameter
 * block, as it is or turned ([K,K,I,O] is [KKI,O], and [O,K,K,I] is that turned), in the type of the maps. No model asks for it:
 * a program puts it first when kernels have asked for copies (kernels/copies.h).
 *
 *   p [n] f32   y [m] in the type named: numbers [to, to + R C) are copy i's */
#include "ops/ops.h"

static const dor_key keys[] = {DOR_ATTR_INT(dor_copies_attr, dtype, "of y: 0 f32, 1 bf16, 2 f16"), DOR_ATTR_INT(dor_copies_attr, n, "copies"),
                               DOR_ATTR_INT(dor_copies_attr, size, "of y"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_copies_attr *a = c->attr;
  const int64_t all = dor_shape_size(c->in[0].shape);
  int64_t last = 0;
  DOR_NEED(a->dtype == DOR_F32 || dor_dtype_narrow((dor_dtype)a->dtype), ARG, "copy_weights: type %d is none of f32, bf16, f16", a->dtype);
  DOR_NEED(a->n > 0 && a->size > 0, ARG, "copy_weights: %d copies of %d numbers", a->n, a->size);
  for (int32_t i = 0; i < a->n; i++) {
    const dor_copied *m = &a->at[i];
    const int64_t size = (int64_t)m->rows * m->columns;
    DOR_NEED(m->rows > 0 && m->columns > 0 && m->from >= 0 && m->from + size <= all && m->to >= last && m->to + size <= a->size, RANGE,
             "copy_weights: copy %d, [%d,%d] from %d to %d", i, m->rows, m->columns, m->from, m->to);
    last = m->to + size;
  }
  c->out[0] = (dor_type){DOR_SHAPE(a->size), (dor_dtype)a->dtype};
  return DOR_OK;
}

static void ref(const dor_refcall *c)
{
  const dor_copies_attr *a = c->attr;
  for (int32_t i = 0; i < a->n; i++) {
    const dor_copied *m = &a->at[i];
    for (int64_t r = 0; r < m->rows; r++)
      for (int64_t k = 0; k < m->columns; k++) c->out[0][m->to + (m->turned ? k * m->rows + r : r * m->columns + k)] = c->in[0][m->from + r * m->columns + k];
  }
}

#define ATTR(t) &(dor_copies_attr){.dtype = t, .n = 3, .size = 35 * 33 + 60 + 70, .at = few}
static const dor_copied few[] = {{16, 0, 35, 33, true}, {1200, 35 * 33, 4, 15, false}, {1264, 35 * 33 + 60, 2, 35, true}};
static const dor_case cases[] = {
    {.name = "float", .attr = ATTR(DOR_F32), .in = {DOR_DIMS(1400)}},
    {.name = "to_bf16", .attr = ATTR(DOR_BF16), .in = {DOR_DIMS(1400)}},
    {.name = "to_f16", .attr = ATTR(DOR_F16), .in = {DOR_DIMS(1400)}},
    {0},
};

const dor_op dor_op_copy_weights = {.id = DOR_OP_copy_weights, .name = "copy_weights", .formula = "y = weights, turned, in the maps' type", .nin = 1,
                                    .nout = 1, .attr_size = sizeof(dor_copies_attr), .keys = keys, .infer = infer, .cost = dor_cost_stream, .ref = ref,
                                    .cases = cases};

dor_val dor_copy_weights(dor_graph *g, dor_val p, const dor_copies_attr *a) { return dor_graph_add(g, &dor_op_copy_weights, a, 1, (dor_val[]){p}); }
