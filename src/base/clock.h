/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, through a replaceable call. Deadlines and durations use the monotonic
 * clock; wall time is only for people (private/ of a run folder). */
#ifndef DOR_BASE_CLOCK_H
#define DOR_BASE_CLOCK_H

double dor_clock_s(void);                   /* monotonic seconds */
void dor_clock_wall(char out[32]);          /* 2026-11-21T13:47:00Z */

#endif
