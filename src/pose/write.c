/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/write.h"

#include <math.h>

#include "base/csv.h"

void dor_pose_csv_head(const dor_keypoints *k, dor_str *out)
{
  static const char *const part[] = {"x", "y", "score"};
  dor_str_add(out, "file,frame,time_s,person,score,");
  for (int32_t j = 0; j < k->k; j++)
    for (int i = 0; i < 3; i++) {
      dor_str name = {0};
      dor_str_fmt(&name, "%s_%s", k->joint[j], part[i]);
      dor_csv_put(out, name.s ? name.s : "", false);
      out->failed = out->failed || name.failed;
      dor_str_release(&name);
    }
  dor_str_add(out, "filled,stamp\n");
}

/* Pixels to a thousandth, scores to six digits: more would be noise. */
static void put(dor_str *out, double x, double parts) { dor_csv_put_real(out, isfinite(x) ? round(x * parts) / parts : NAN, false); }

static bool is_filled(const dor_pose_frame *f, int32_t k) { return f->state && f->state[k] == DOR_TRACK_FILLED; }

static void put_filled(const dor_pose_frame *f, dor_str *out)
{
  dor_str names = {0};
  for (int32_t k = 0; k < f->people->k; k++)
    if (is_filled(f, k)) dor_str_fmt(&names, "%s%s", names.n ? " " : "", f->keypoints->joint[k]);
  dor_csv_put(out, names.n ? names.s : "", false);
  out->failed = out->failed || names.failed;
  dor_str_release(&names);
}

static void csv_person(const dor_pose_frame *f, int32_t i, dor_str *out)
{
  const dor_people *p = f->people;
  dor_csv_put(out, f->file, false);
  if (f->frame >= 0) dor_csv_put_int(out, f->frame, false);
  else dor_csv_put(out, "", false);
  dor_csv_put_real(out, f->frame >= 0 ? f->time_s : NAN, false);
  dor_csv_put_int(out, i + 1, false);
  put(out, (double)p->score[i], 1e6);
  for (int32_t k = 0; k < p->k; k++) {
    const float *j = p->joint + 3 * ((size_t)i * (size_t)p->k + (size_t)k);
    bool found = j[2] != 0 || is_filled(f, k);
    put(out, found ? (double)j[0] : NAN, 1e3);
    put(out, found ? (double)j[1] : NAN, 1e3);
    put(out, (double)j[2], 1e6);
  }
  put_filled(f, out);
  dor_csv_put(out, f->stamp ? f->stamp : "", true);
}

void dor_pose_csv(const dor_pose_frame *f, dor_str *out)
{
  for (int32_t i = 0; i < f->people->n; i++) csv_person(f, i, out);
}

static void real(dor_str *out, float x) { dor_str_real(out, isfinite(x) ? (double)x : 0); }

static void place(const dor_pose_frame *f, dor_str *out)
{
  if (f->frame < 0 && !f->say_file) return;
  dor_str_add(out, ", \"file\": ");
  dor_str_json(out, f->file);
  if (f->frame < 0) return;
  dor_str_fmt(out, ", \"frame\": %lld, \"time_s\": ", (long long)f->frame);
  dor_str_real(out, f->time_s);
}

static void coco_filled(const dor_pose_frame *f, dor_str *out)
{
  int32_t n = 0;
  dor_str_add(out, ", \"filled\": [");
  for (int32_t k = 0; k < f->people->k; k++)
    if (is_filled(f, k)) dor_str_add(out, n++ ? ", " : ""), dor_str_json(out, f->keypoints->joint[k]);
  dor_str_add(out, "]");
}

void dor_pose_coco(const dor_pose_frame *f, int64_t *n, dor_str *out)
{
  const dor_people *p = f->people;
  for (int32_t i = 0; i < p->n; i++) {
    dor_str_fmt(out, "%s{\"image_id\": %lld, \"category_id\": %lld, \"keypoints\": [", (*n)++ ? ",\n" : "", (long long)f->image_id,
                (long long)f->category_id);
    for (int32_t k = 0; k < 3 * p->k; k++) {
      if (k) dor_str_add(out, ", ");
      real(out, p->joint[3 * (size_t)i * (size_t)p->k + (size_t)k]);
    }
    dor_str_add(out, "], \"score\": ");
    real(out, p->score[i]);
    place(f, out);
    if (f->state) coco_filled(f, out);
    if (f->stamp && *f->stamp) dor_str_add(out, ", \"stamp\": "), dor_str_json(out, f->stamp);
    dor_str_add(out, "}");
  }
}
