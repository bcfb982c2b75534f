/* SPDX-License-Identifier: Apache-2.0
 *
 * resume.ckpt of a cell: the blocks of every branch begun, the position of the
 * one that trains, and train.csv so far. Used by cell.c alone. */
#ifndef DOR_TRAIN_RESUME_H
#define DOR_TRAIN_RESUME_H

#include "train/cell.h"

typedef struct dor_resume {
  const dor_cell *cell;
  const char *data_hash, *path; /* of resume.ckpt */
  int32_t branch;               /* that trains */
  dor_replica *replica;         /* [branches]; those up to `branch` are saved */
  dor_position *at;             /* [branches] */
  dor_str *csv;
} dor_resume;

DOR_MUST dor_status dor_resume_save(const dor_resume *r);
/* errors NOTFOUND: start afresh; DATA: damaged; CONFIG: of another config, data, split or code, naming which */
DOR_MUST dor_status dor_resume_load(dor_resume *r, int32_t n_branches);

#endif
