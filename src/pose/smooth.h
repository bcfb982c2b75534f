/* SPDX-License-Identifier: Apache-2.0
 *
 * Smoothing of a signal over time without delay: a second-order Butterworth
 * low-pass run forward and backward (fourth order in all, "zero lag"), corrected
 * so that the two passes together are 3 dB down at the cut-off (Winter,
 * Biomechanics, 2.2.4.4). The ends are continued by point reflection. */
#ifndef DOR_POSE_SMOOTH_H
#define DOR_POSE_SMOOTH_H

#include <stdint.h>

#include "base/status.h"

/* x [n], in place, sampled rate_hz times a second. errors ARG: not 0 < cutoff_hz < rate_hz / 2; NOMEM */
DOR_MUST dor_status dor_smooth(int32_t n, double *x, double rate_hz, double cutoff_hz);

/* The same for samples at time_s [n], increasing. Where they are uneven, x is taken at even steps of their median distance (linear
 * between samples), smoothed there, and read back. A cut-off that the rate cannot carry: ARG */
DOR_MUST dor_status dor_smooth_at(int32_t n, const double *time_s, double *x, double cutoff_hz);
/* The rate that dor_smooth_at works at; 0 of less than two samples. errors NOMEM */
DOR_MUST dor_status dor_smooth_rate(int32_t n, const double *time_s, double *rate_hz);

#endif
