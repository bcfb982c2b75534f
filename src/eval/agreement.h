/* SPDX-License-Identifier: Apache-2.0
 *
 * Agreement of two measurements of one thing, above all an angle from video
 * against the same angle from markers, with several measurements a person. */
#ifndef DOR_EVAL_AGREEMENT_H
#define DOR_EVAL_AGREEMENT_H

#include "eval/eval.h"

typedef struct dor_agreed { double value; dor_interval interval; } dor_agreed;

typedef struct dor_agreement { /* in the unit of the measurements; differences are estimate less truth */
  int64_t n;                   /* pairs in which both are there */
  int64_t missing;             /* pairs in which one is not (NaN) */
  int32_t subjects;            /* who have a pair */
  dor_agreed rmse, bias, lower, upper; /* root mean square, mean, and 95 % limits of agreement of the differences */
  double sd_between, sd_within; /* the limits' spread, between people and within one */
  dor_agreed icc;              /* ICC(A,1): absolute agreement of single measurements */
} dor_agreement;

/* estimate, truth [n]; subject [n] 0..n_subjects-1: things of one person are one cluster.
 *
 *   limits    bias -+ 1.96 sd, sd^2 the variance between people plus that within (differences vary about a person's own mean)
 *   intervals BCa over people; NaN where a figure is undefined (fewer than two people)
 *   errors    RANGE: no pair, a subject out of range; NOMEM
 *   source    Bland & Altman, J Biopharm Stat 17:571 (2007), section 3; McGraw & Wong, Psychol Methods 1:30 (1996) */
DOR_MUST dor_status dor_agreement_of(int32_t n, const double *estimate, const double *truth, const int32_t *subject, int32_t n_subjects, int32_t replicates,
                                     uint64_t seed, double level, dor_agreement *out);

#endif
