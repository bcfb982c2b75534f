/* SPDX-License-Identifier: Apache-2.0
 *
 * A synthetic cohort: people with a side-view body, filmed while they bend
 * forward and backward once. It has the shape of the real data, its parameters
 * have published or declared sources (synth_facts.def), and it proves nothing
 * about patients: every output made from it is stamped SYNTHETIC. */
#ifndef DOR_DATA_SYNTH_H
#define DOR_DATA_SYNTH_H

#include "base/schema.h"
#include "data/dataset.h"

typedef struct dor_synth_cfg {
#include "base/keys_fields.h"
#include "data/synth.def"
#include "base/keys_end.h"
} dor_synth_cfg;
extern const dor_key dor_synth_keys[];

/* "subjects=40,seed=1,d=1.0", what stands after "synth:" in a config; "" is all defaults. errors CONFIG */
DOR_MUST dor_status dor_synth_parse(dor_arena *a, const char *text, dor_synth_cfg *out);

/* The cohort: targets `pattern` (FP, EP) and `class` (MI, MCI) as a rater gave them; age, sex; proms odi, tsk11, nrs; a
 * forward and a backward trial each; /silhouettes/truth, /keypoints/truth, /angles/flexion; /tables/truth with what was drawn
 * for each person (an upper bound for any arm). Release with dor_dataset_release. errors NOMEM */
DOR_MUST dor_status dor_synth_make(dor_dataset *d, const dor_synth_cfg *c);

/* Every assumption and every number with its source, as text (Markdown). */
void dor_synth_assumptions(dor_str *out);

#endif
