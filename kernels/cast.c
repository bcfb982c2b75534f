/* SPDX-License-Identifier: Apache-2.0
 *
 * cast between float and the two short types. The rounding is whole-number
 * arithmetic without branches (scalar.h), so that the loops vectorise. */
#include "kernels/reduce.h"
#include "kernels/scalar.h"
#include "ops/attrs.h"

enum { GRAIN = 16384 };

typedef struct cast { const void *from; void *to; } cast;

#define CAST(name, From, To, value)                                         \
  DOR_CLONES static void name(const void *job, int64_t lo, int64_t hi)      \
  {                                                                         \
    const From *x = ((const cast *)job)->from;                              \
    To *restrict y = ((const cast *)job)->to;                               \
    for (int64_t i = lo; i < hi; i++) y[i] = value;                         \
  }

CAST(to_bf16, float, uint16_t, scalar_to_bf16(x[i]))
CAST(to_f16, float, uint16_t, scalar_to_f16(x[i]))
CAST(from_bf16, uint16_t, float, scalar_from_bf16(x[i]))
CAST(from_f16, uint16_t, float, scalar_from_f16(x[i]))
CAST(bf16_to_f16, uint16_t, uint16_t, scalar_to_f16(scalar_from_bf16(x[i])))
CAST(f16_to_bf16, uint16_t, uint16_t, scalar_to_bf16(scalar_from_f16(x[i])))
CAST(copy, float, float, x[i])
CAST(copy_short, uint16_t, uint16_t, x[i])

static dor_body *const bodies[3][3] = { /* from, to */
    [DOR_F32] = {copy, to_bf16, to_f16},
    [DOR_BF16] = {from_bf16, copy_short, bf16_to_f16},
    [DOR_F16] = {from_f16, f16_to_bf16, copy_short},
};

static void run(const dor_call *c)
{
  cast job = {c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, dor_shape_size(c->out[0].shape), GRAIN, bodies[c->in[0].dtype][c->out[0].dtype], &job);
}
const dor_kernel cast_cpu = {.name = "cast_cpu", .run = run, .narrow = true};
