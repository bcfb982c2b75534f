/* SPDX-License-Identifier: Apache-2.0
 *
 * Times ops on their cases: what `dorsum bench ops` prints. */
#ifndef DOR_BACKEND_OPBENCH_H
#define DOR_BACKEND_OPBENCH_H

#include "backend/backend.h"

typedef struct dor_opbench_row {
  const char *op, *name, *kernel; /* op, case, what served it */
  double time_s;                  /* of one call, median over the rounds */
  dor_cost cost;                  /* by the op's own account: flops / time_s, bytes / time_s */
} dor_opbench_row;
typedef void dor_opbench_sink(void *to, const dor_opbench_row *row);

/* Every op whose name contains `only` (NULL: all), every bench case (small ones too with `all_cases`), on `threads`
 * threads for at least min_s seconds each. A case that no kernel takes is passed over. */
DOR_MUST dor_status dor_opbench(const dor_backend *b, const char *only, bool all_cases, int32_t threads, double min_s, dor_opbench_sink *sink, void *to);

#endif
