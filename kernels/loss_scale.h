/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step makes of the loss scale's state (src/ops/loss_scale.c), the same in both worlds. */
#ifndef DOR_KERNELS_LOSS_SCALE_H
#define DOR_KERNELS_LOSS_SCALE_H

#include "kernels/scalar.h"
#include "ops/attrs.h"

DOR_SCALAR double scalar_loss_scale(const float state[]) { return exp2(DOR_SCALE_FIRST + (double)state[0]); }

/* sum: of the squares of the gradient, which is `scale` times too large. Returns the factor, -1 to leave the step out. */
DOR_SCALAR float scalar_scaled_clip(double sum, double grad_scale, double scale, double most, float *norm)
{
  const double length = sqrt(sum) * grad_scale / scale;
  *norm = (float)length;
  if (!(length <= 3e38)) return -1.0f;
  return (float)((most > 0 ? fmin(1.0, most / (length + 1e-6)) : 1.0) / scale);
}

DOR_SCALAR void scalar_scale_next(int good, int32_t patience, float state[])
{
  const int grow = good && state[1] + 1.0f >= (float)patience;
  if (!good) state[0] = fmaxf(state[0] - 1.0f, (float)DOR_SCALE_LEAST), state[2] += 1.0f;
  else if (grow) state[0] = fminf(state[0] + 1.0f, (float)DOR_SCALE_MOST);
  state[1] = good && !grow ? state[1] + 1.0f : 0.0f;
}

#endif
