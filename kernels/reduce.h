/* SPDX-License-Identifier: Apache-2.0
 *
 * How own CPU kernels share work: loops cut into fixed pieces, sums gathered in
 * a fixed order. One thread starts no team, so a small node costs a call. Bodies
 * marked DOR_CLONES are compiled for AVX2 and for any x86-64, and the loader picks
 * (not in sanitizer builds, which therefore test the portable one). */
#ifndef DOR_KERNELS_REDUCE_H
#define DOR_KERNELS_REDUCE_H

#include "kernels/kernel.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(DOR_FAULTS)
#define DOR_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define DOR_CLONES
#endif

/* Do items [lo, hi) of a job. */
typedef void dor_body(const void *job, int64_t lo, int64_t hi);

/* n items in pieces of whole grains, one run of pieces a thread; alone when one grain holds all. */
void dor_parallel_team(int32_t threads, int64_t n, int64_t grain, dor_body *body, const void *job);

static inline void dor_parallel(int32_t threads, int64_t n, int64_t grain, dor_body *body, const void *job)
{
  if (threads <= 1 || n <= grain) body(job, 0, n);
  else dor_parallel_team(threads, n, grain, body, job);
}

/* Sums over the rows of [rows, channels], one or two a channel: the body adds rows [lo, hi), at most DOR_SUM_ROWS of
 * them, to the float sums a and b [channels]; blocks meet in double, pieces in their order, whatever the thread count. */
enum { DOR_SUM_ROWS = 64, DOR_SUM_PIECES = 16 };
typedef void dor_sum_body(const void *job, int64_t lo, int64_t hi, int64_t channels, float *a, float *b);
size_t dor_sum_scratch(int64_t rows, int64_t channels);
void dor_sum_rows(const dor_call *c, int64_t rows, int64_t channels, dor_sum_body *body, const void *job, double **a, double **b); /* in c->scratch */
double *dor_sum_columns(const dor_call *c, int64_t rows, int64_t channels, const float *x); /* sums of x itself [channels], in c->scratch */

#endif
