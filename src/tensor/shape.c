/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/shape.h"

#include <stdio.h>

const char *dor_shape_print(dor_shape s, dor_shape_text out)
{
  size_t n = (size_t)snprintf(out, sizeof(dor_shape_text), "[");
  for (int32_t i = 0; i < s.n; i++)
    n += (size_t)snprintf(out + n, sizeof(dor_shape_text) - n, i ? ",%d" : "%d", s.d[i]);
  snprintf(out + n, sizeof(dor_shape_text) - n, "]");
  return out;
}
