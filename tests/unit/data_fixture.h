/* SPDX-License-Identifier: Apache-2.0
 *
 * A small dataset that uses every part of the format, for tests of floor data. */
#ifndef DOR_TESTS_DATA_FIXTURE_H
#define DOR_TESTS_DATA_FIXTURE_H

#include "data/dataset.h"

enum { FIX_SUBJECTS = 6, FIX_TRIALS = 12, FIX_FRAMES = 48, FIX_SIDE = 8 };

void fixture_dataset(dor_dataset *d); /* release as any */
int fixture_equal(const dor_dataset *a, const dor_dataset *b); /* 0: they differ */

#endif
