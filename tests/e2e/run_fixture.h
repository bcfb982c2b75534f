/* SPDX-License-Identifier: Apache-2.0
 *
 * A small cohort of made-up features and the run of a config over it, for the
 * tests of train/. Everything lies under one folder of the test's own. */
#ifndef DOR_TESTS_RUN_FIXTURE_H
#define DOR_TESTS_RUN_FIXTURE_H

#include "data/dataset.h"
#include "train/run.h"

typedef struct made { /* what the cohort is made of */
  int32_t subjects, features;
  double apart;              /* distance of the two classes, in SDs of a feature */
  bool two_rows;             /* each person has two rows of features */
} made;

/* data.h5 in `folder`: /tables/features, targets `kind` (A, B), `three` (X, Y, Z) and `score` (a number), proms with holes, age, sex. Static path. */
const char *make_data(const char *folder, made m);

/* Run the config text (written to folder/NAME.cfg) with results under folder/results. */
dor_status run_text(const char *folder, const char *text, dor_run_options *o, dor_run_result *out);
dor_run_options default_options(const char *folder);

/* SHA-256 over names and bytes of a run folder but private/, cost.csv and log.txt. */
void hash_run(const char *folder, char hex[65]);
/* A file of a folder as text, in static memory; "" when there is none. */
const char *text_of(const char *folder, const char *name);
/* Share of rows of an arm in predictions.csv where y_true = y_pred. */
double accuracy_of(const char *folder, const char *arm);

extern const char plain_config[];

#endif
