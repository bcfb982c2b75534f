/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/calls.h"

#include <string.h>
#include <time.h>

static double monotonic_s(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

dor_time_calls dor_time = {monotonic_s};

double dor_clock_s(void) { return dor_time.now_s(); }

void dor_clock_wall(char out[32])
{
  time_t now = time(NULL);
  struct tm utc;
  if (!gmtime_r(&now, &utc) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc)) memcpy(out, "?", 2);
}
