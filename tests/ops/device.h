/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops on a device, as a program runs them there: inputs staged, the kernel once as it is, then recorded and replayed, outputs copied
 * back. Used with the emulated device by the tests and with a GPU by gpu-check. */
#ifndef DOR_TESTS_OPS_DEVICE_H
#define DOR_TESTS_OPS_DEVICE_H

#include "backend/opcase.h"

typedef struct device_row { /* a kernel on a case */
  const char *op, *name, *kernel, *store; /* kernel: with the library's own name; "" where it was not taken */
  bool library, taken;
  double worst;            /* the largest error of an output over its tolerance; NaN where a number is none */
  int64_t stray;           /* bytes written outside outputs and scratch */
  bool same;               /* the bits of three runs, two of them replayed */
  dor_status status;       /* of building, running and waiting */
  const char *says;        /* about that */
} device_row;
typedef void device_sink(void *to, const device_row *row);

bool device_row_good(const device_row *r); /* not taken is good: another column serves */

/* Every case of the op that is no benchmark, in float and where it may be in bf16 and f16, by own kernels and by the library's, in poisoned memory
 * against the definition. False: the device was lost on the way (the last row says so), and this process can ask nothing more of it. */
bool device_check_op(const dor_backend *b, const dor_op *op, device_sink *sink, void *to);

#endif
