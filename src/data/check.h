/* SPDX-License-Identifier: Apache-2.0
 *
 * `dorsum check`: what is in a dataset, and is it usable? Counts per class,
 * missing values per column, identical pictures, trials and rows. */
#ifndef DOR_DATA_CHECK_H
#define DOR_DATA_CHECK_H

#include <stdbool.h>

#include "base/str.h"
#include "data/dataset.h"

typedef struct dor_check_class { const char *target, *name; int32_t n; } dor_check_class;
typedef struct dor_check_column { const char *table, *name; int32_t n, missing; bool constant; } dor_check_column;

typedef struct dor_check {
  dor_arena arena;
  const dor_dataset *d;
  int32_t n_groups;             /* 0: the dataset has none */
  int32_t n_classes, n_columns, n_problems, n_warnings;
  dor_check_class *classes;     /* of every target with classes; name "" counts those without a label */
  dor_check_column *columns;    /* of people, proms and tables */
  int32_t same_pictures, same_pictures_apart; /* pictures identical to an earlier one; of these, of another person or group */
  int32_t same_trials_apart, same_rows;
  const char **problems, **warnings; /* with a problem it is unusable */
} dor_check;

DOR_MUST dor_status dor_check_dataset(const dor_dataset *d, dor_check *out); /* errors NOMEM only */
void dor_check_text(const dor_check *c, dor_str *out);
void dor_check_json(const dor_check *c, dor_str *out);
void dor_check_release(dor_check *c);

/* Read, check, report. errors DATA: unusable, the report is written all the same; or what dor_dataset_read says */
DOR_MUST dor_status dor_check_file(const char *path, bool json, dor_str *out);

#endif
