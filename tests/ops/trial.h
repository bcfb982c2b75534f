/* SPDX-License-Identifier: Apache-2.0
 *
 * One kernel on one case: run in guarded, poisoned memory and compared with the op's definition. */
#ifndef DOR_TESTS_OPS_TRIAL_H
#define DOR_TESTS_OPS_TRIAL_H

#include "backend/opcase.h"

typedef struct trial_result {
  bool taken;        /* false: the kernel declines this shape */
  double worst;      /* the largest error of an output over its tolerance; NaN where a number is none */
  int64_t stray;     /* bytes written outside outputs and scratch */
  char hash[65];     /* of the outputs' bytes */
  char what[160];    /* op, case, kernel and options, for messages */
} trial_result;

/* A column on its own, in guarded memory. */
dor_backend trial_backend(const dor_kernel *const *column, const char *name);

/* `store` other than F32: what the op marks as narrow is stored in this type, inputs rounded to it before the definition is evaluated. */
trial_result trial_run(const dor_backend *b, const dor_op *op, const dor_case *at, dor_dtype store, const dor_program_options *o);

void trial_narrow(dor_opcase *c, dor_dtype store);
bool trial_narrows(const dor_op *op, const dor_case *at); /* is anything marked? */

#endif
