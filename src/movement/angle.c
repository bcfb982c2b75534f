/* SPDX-License-Identifier: Apache-2.0 */
#include "movement/angle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double degrees(double rad) { return rad * (180 / 3.14159265358979323846); }
static double distance(dor_xy a, dor_xy b) { return hypot(a.x - b.x, a.y - b.y); }

double dor_hip_angle(dor_xy neck, dor_xy hip, dor_xy ankle)
{
  const double hn = distance(hip, neck), ah = distance(ankle, hip), an = distance(ankle, neck);
  const double cosine = (hn * hn + ah * ah - an * an) / (2 * hn * ah);
  return isfinite(cosine) ? degrees(acos(fmin(fmax(cosine, -1), 1))) : (double)NAN;
}

double dor_flexion(dor_xy neck, dor_xy hip, dor_xy ankle, int32_t facing)
{
  const double flexion = 180 - dor_hip_angle(neck, hip, ankle);
  const double ahead = (neck.x - hip.x) * (hip.y - ankle.y) - (neck.y - hip.y) * (hip.x - ankle.x); /* y is down: > 0 leans to the left */
  return facing * ahead > 0 ? -flexion : flexion;
}

/* ---- by the names of a keypoint set ---- */

static int32_t column(int32_t k, const char *const names[], const char *name)
{
  for (int32_t i = 0; i < k; i++)
    if (!strcmp(names[i], name)) return i;
  return -1;
}

static double seen(int32_t n, int32_t k, const float *joint, int32_t at)
{
  double sum = 0;
  for (int32_t i = 0; i < n; i++) sum += (double)joint[3 * ((size_t)i * (size_t)k + (size_t)at) + 2];
  return sum;
}

static dor_status need(int32_t k, const char *const names[], const char *side, const char *part, int32_t *at)
{
  char name[32];
  snprintf(name, sizeof name, "%s_%s", side, part);
  *at = column(k, names, name);
  DOR_NEED(*at >= 0, DATA, "a flexion angle needs the key point %s, which this set of %d has not", name, k);
  return DOR_OK;
}

/* The side whose hip and ankle were seen better; the only one that there is. */
static bool right_side(int32_t k, const char *const names[], dor_side side, int32_t n, const float *joint)
{
  const int32_t rh = column(k, names, "right_hip"), ra = column(k, names, "right_ankle");
  const int32_t lh = column(k, names, "left_hip"), la = column(k, names, "left_ankle");
  if (side != DOR_SIDE_AUTO) return side == DOR_SIDE_RIGHT;
  if (lh < 0 || la < 0) return true;
  if (rh < 0 || ra < 0) return false;
  return seen(n, k, joint, rh) + seen(n, k, joint, ra) >= seen(n, k, joint, lh) + seen(n, k, joint, la);
}

dor_status dor_hip_joints_find(int32_t k, const char *const names[], dor_side side, int32_t n, const float *joint, dor_hip_joints *out)
{
  *out = (dor_hip_joints){.neck = column(k, names, "neck"), .neck2 = -1, .nose = column(k, names, "nose")};
  if (out->neck < 0) {
    DOR_TRY(need(k, names, "left", "shoulder", &out->neck));
    DOR_TRY(need(k, names, "right", "shoulder", &out->neck2));
  }
  out->right = right_side(k, names, side, n, joint);
  DOR_TRY(need(k, names, out->right ? "right" : "left", "hip", &out->hip));
  return need(k, names, out->right ? "right" : "left", "ankle", &out->ankle);
}

static dor_xy point(const float *frame, int32_t joint) { return (dor_xy){(double)frame[3 * joint], (double)frame[3 * joint + 1]}; }

static dor_xy neck_of(const dor_hip_joints *j, const float *frame)
{
  const dor_xy a = point(frame, j->neck), b = j->neck2 < 0 ? a : point(frame, j->neck2);
  return (dor_xy){(a.x + b.x) / 2, (a.y + b.y) / 2};
}

int32_t dor_facing(const dor_hip_joints *j, int32_t n, int32_t k, const float *joint)
{
  double sum = 0;
  if (j->nose < 0) return 0;
  for (int32_t i = 0; i < n; i++) {
    const float *frame = joint + 3 * (size_t)i * (size_t)k;
    const dor_xy neck = neck_of(j, frame), hip = point(frame, j->hip), nose = point(frame, j->nose);
    if (neck.y < hip.y && dor_flexion(neck, hip, point(frame, j->ankle), 0) < 30 && !isnan(nose.x)) sum += (nose.x - neck.x) / distance(neck, hip);
  }
  return sum > 0 ? 1 : sum < 0 ? -1 : 0;
}

void dor_flexion_of(const dor_hip_joints *j, int32_t facing, int32_t n, int32_t k, const float *joint, float *deg)
{
  for (int32_t i = 0; i < n; i++) {
    const float *frame = joint + 3 * (size_t)i * (size_t)k;
    deg[i] = (float)dor_flexion(neck_of(j, frame), point(frame, j->hip), point(frame, j->ankle), facing);
  }
}
