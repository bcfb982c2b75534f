/* SPDX-License-Identifier: Apache-2.0
 *
 * The leakage checks of docs: L1 to L3 and L5 to L7 refuse a run, L4 refuses
 * identical images or trials in two folds and lists similar ones. They look at
 * what cells will really use, not at what was meant. */
#ifndef DOR_TRAIN_LEAKAGE_H
#define DOR_TRAIN_LEAKAGE_H

#include "train/record.h"

enum { DOR_LEAKAGE_CHECKS = 7 };

typedef struct dor_leak_check {
  const char *id, *text;        /* "L1", "a person is tested in one fold only" */
  bool passed, waived;          /* waived: split.unit = clip */
  int64_t looked, found;
  char first[192];              /* what was found first, by pseudonym */
} dor_leak_check;

typedef struct dor_leakage {
  dor_arena arena;
  dor_leak_check check[DOR_LEAKAGE_CHECKS];
  int32_t n_similar;            /* pairs of L4, all of them */
  dor_str similar;              /* the first of them as JSON */
} dor_leakage;

/* errors LEAK naming check and person, after *out was filled; NOMEM */
DOR_MUST dor_status dor_leakage_check(const dor_study *s, dor_leakage *out);
/* leakage.json */
DOR_MUST dor_status dor_leakage_write(const dor_leakage *l, const char *folder, const dor_marks *m);
void dor_leakage_release(dor_leakage *l);

#endif
