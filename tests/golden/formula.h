/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights and inputs of the golden values: made from names by a formula, so that
 * they need not be stored. sym(name)[i] = 2u - 1 with u in [0, 1) of 24 bits from
 * FNV-1a-64 of the name and SplitMix64 of the index. */
#ifndef DOR_TESTS_GOLDEN_FORMULA_H
#define DOR_TESTS_GOLDEN_FORMULA_H

#include <hdf5.h>

#include "graph/params.h"

void formula_sym(const char *name, int64_t n, float *out); /* [-1, 1), exact in f32 */

/* sym(name) as the picture [N,C,H,W] of the originals, permuted to nhwc */
void formula_image(const char *name, dor_shape nhwc, float *out);

/* Every parameter and state by its name, with s = sym(name): two or more dimensions s sqrt(1.5 / (numbers / first dimension)) in
 * file layout; a norm's weight 1 + 0.2 s, running_var 1 + 0.4 s, a norm's others 0.2 s; other vectors 0.1 s; counters 0. */
void formula_fill(const dor_params *p, void *param_block, void *state_block);

/* Golden files: open (fails the test when the file is missing); a dataset as double, with its size checked; an attribute of a group. */
hid_t golden_open(const char *file);
void golden_read(hid_t file, const char *dataset, int64_t n, double *out);
double golden_attr(hid_t file, const char *group, const char *attr);
int64_t golden_place(dor_shape nhwc, int64_t i); /* where element i of an [N,C,H,W] array lies in the [N,H,W,C] one */
void golden_nhwc(const double *nchw, dor_shape nhwc, double *out);

double golden_l2(const double *got, const double *want, int64_t n); /* |got - want| / |want| */

#endif
