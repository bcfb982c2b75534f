/* SPDX-License-Identifier: Apache-2.0
 *
 * What an experiment is held against, expect.cfg beside it:
 *
 *   published = { source = "Hartley 2024, abstract"; n = 83; ARM = { METRIC = 0.9398; ... }; ... };     shown, never tested
 *   expected  = ( { arm = "mlp"; metric = "accuracy"; seed = "mean"; value = 0.856; tolerance = 0.03; },
 *                 { arm = "mlp"; metric = "accuracy"; at_least = 0.97; data = "synth:..."; class = "EP"; } );
 *
 * seed: "all" (probabilities averaged over seeds; the default), "mean" (mean of the figures of single seeds) or a
 * number; class: where a metric is about one (of two classes the positive one is meant); data: the row is tested only
 * in a run on that data. Metrics are those of metrics.csv, over all folds. */
#ifndef DOR_REPORT_EXPECT_H
#define DOR_REPORT_EXPECT_H

#include "base/str.h"

struct json_t;

/* Hold the run folder's metrics.csv against expect.cfg; *out: published beside obtained, then expected, as a text table; rows (may be
 * NULL): an array that gets each of them as an object. data: what the run's config names. *tested: rows of `expected` that were.
 * errors CONFIG, DATA; MISMATCH naming the first row not held (*out and rows are complete then, too) */
DOR_MUST dor_status dor_expect_check(const char *expect, const char *folder, const char *data, dor_str *out, struct json_t *rows, int32_t *tested);

/* Before anything is run: keys, metrics and numbers, and that every expected row is about one of these arms. errors CONFIG */
DOR_MUST dor_status dor_expect_sound(const char *expect, const char *const arm[], int32_t n_arms);

#endif
