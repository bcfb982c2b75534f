/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/data_fixture.h"

#include <math.h>
#include <string.h>

static void *room(dor_dataset *d, size_t n) { return dor_arena_alloc(&d->arena, n); }

static const float *floats(dor_dataset *d, int n, float from, float step)
{
  float *v = room(d, (size_t)n * sizeof *v);
  for (int i = 0; i < n; i++) v[i] = i == 3 ? NAN : from + step * (float)i;
  return v;
}

static const int32_t *ints(dor_dataset *d, int n, int over, int by)
{
  int32_t *v = room(d, (size_t)n * sizeof *v);
  for (int i = 0; i < n; i++) v[i] = i * by / over;
  return v;
}

static const uint8_t *pixels(dor_dataset *d, int n)
{
  uint8_t *v = room(d, (size_t)n);
  for (int i = 0; i < n; i++) v[i] = (uint8_t)(i * 7 + i / 64);
  return v;
}

static const char *const ids[] = {"p1", "p2", "p3", "p4", "p5", "p6-\xc3\xa9"};
static const char *const sex[] = {"f", "m", "", "f", "m", "f"}, *const site[] = {"A", "A", "A", "B", "B", "B"};
static const char *const movement[] = {"forward", "backward", "forward", "backward", "forward", "backward", "forward", "backward", "forward", "backward",
    "forward", "backward"};
static const char *const classes[] = {"FP", "EP"}, *const joints[] = {"hip", "knee"}, *const items[] = {"odi", "nrs"}, *const units[] = {"%", "1"};

static void fixture_tables(dor_dataset *d)
{
  dor_target *t = room(d, 2 * sizeof *t);
  float *pattern = room(d, FIX_SUBJECTS * sizeof *pattern);
  for (int i = 0; i < FIX_SUBJECTS; i++) pattern[i] = i == 5 ? NAN : (float)(i % 2);
  t[0] = (dor_target){"speed", DOR_TARGET_VALUE, DOR_PER_TRIAL, FIX_TRIALS, 0, NULL, floats(d, FIX_TRIALS, 1, .5f)};
  t[1] = (dor_target){"pattern", DOR_TARGET_CLASS, DOR_PER_SUBJECT, FIX_SUBJECTS, 2, classes, pattern};
  d->n_targets = 2, d->target = t;
  dor_table *tables = room(d, sizeof *tables);
  tables[0] = (dor_table){"gait", FIX_TRIALS, {2, items, units, NULL, NULL}, ints(d, FIX_TRIALS, 2, 1), floats(d, 2 * FIX_TRIALS, -1, .25f)};
  d->n_tables = 1, d->tables = tables;
  d->proms = (dor_table){"proms", FIX_SUBJECTS, {2, items, units, floats(d, 2, 0, 0), floats(d, 2, 100, -90)}, ints(d, FIX_SUBJECTS, 1, 1), floats(d,
      2 * FIX_SUBJECTS, 10, 1)};
}

static void fixture_frames(dor_dataset *d)
{
  const int32_t *first = ints(d, FIX_TRIALS, 1, 4);
  int32_t *count = room(d, FIX_TRIALS * sizeof *count);
  for (int i = 0; i < FIX_TRIALS; i++) count[i] = 4;
  dor_frames *s = room(d, sizeof *s), *im = room(d, sizeof *im);
  *s = (dor_frames){"side", FIX_FRAMES, FIX_SIDE, FIX_SIDE, 1, pixels(d, FIX_FRAMES * FIX_SIDE * FIX_SIDE), first, count,
                    floats(d, FIX_FRAMES, 0, .02f), NULL, NULL};
  *im = (dor_frames){"photo", FIX_SUBJECTS, 5, 4, 3, pixels(d, FIX_SUBJECTS * 60), NULL, NULL, NULL, ints(d, FIX_SUBJECTS, 1, 1), sex};
  d->n_silhouettes = d->n_images = 1, d->silhouettes = s, d->images = im;
  dor_series *k = room(d, sizeof *k), *a = room(d, sizeof *a);
  int32_t *parent = room(d, 2 * sizeof *parent);
  parent[0] = -1;
  double *time_s = room(d, FIX_FRAMES * sizeof *time_s);
  uint8_t *how = room(d, FIX_FRAMES * 2);
  for (int i = 0; i < FIX_FRAMES; i++) time_s[i] = i / 30.0, how[2 * i] = (uint8_t)(i % 3), how[2 * i + 1] = 2;
  *k = (dor_series){"truth", "x y", FIX_FRAMES, 2, 2, floats(d, FIX_FRAMES * 4, 0, 1), first, count, joints, parent, NULL, NULL, time_s, how};
  *a = (dor_series){.name = "flexion", .n = FIX_FRAMES, .k = 1, .a = 1, .data = floats(d, FIX_FRAMES, 0, 1), .first = first, .count = count,
                    .definition = "trunk to vertical", .unit = "deg"};
  d->n_keypoints = d->n_angles = 1, d->keypoints = k, d->angles = a;
}

void fixture_dataset(dor_dataset *d)
{
  *d = (dor_dataset){.name = "fixture", .license = "CC0", .created_by = "a test", .synthetic = true, .n_subjects = FIX_SUBJECTS,
                     .id = ids, .sex = sex, .site = site};
  memset(d->source_sha256, 'a', DOR_HASH_HEX - 1);
  d->age = floats(d, FIX_SUBJECTS, 30, 2);
  d->group = ints(d, FIX_SUBJECTS, 2, 1);
  d->n_trials = FIX_TRIALS;
  d->trial_subject = ints(d, FIX_TRIALS, 2, 1);
  d->movement = movement, d->side = movement;
  d->fps = floats(d, FIX_TRIALS, 30, 0), d->width = floats(d, FIX_TRIALS, 640, 0), d->height = floats(d, FIX_TRIALS, 480, 0);
  fixture_tables(d);
  fixture_frames(d);
}

static int same_texts(const char *const *a, const char *const *b, int32_t n)
{
  if (!a || !b) return a == b;
  for (int32_t i = 0; i < n; i++)
    if (strcmp(a[i], b[i])) return 0;
  return 1;
}

static int same_bytes(const void *a, const void *b, size_t n) { return a && b ? !memcmp(a, b, n) : a == b; }

static int same_table(const dor_table *a, const dor_table *b)
{
  size_t n = (size_t)a->n, p = (size_t)a->items.n;
  return a->n == b->n && a->items.n == b->items.n && !strcmp(a->name, b->name) && same_texts(a->items.name, b->items.name, a->items.n) &&
         same_texts(a->items.unit, b->items.unit, a->items.n) && same_bytes(a->items.max, b->items.max, p * 4) && same_bytes(a->subject, b->subject, n * 4) &&
             same_bytes(a->values, b->values, n * p * 4);
}

static int same_frames(const dor_frames *a, const dor_frames *b)
{
  size_t bytes = (size_t)a->n * (size_t)a->h * (size_t)a->w * (size_t)a->c;
  return a->n == b->n && a->h == b->h && a->w == b->w && a->c == b->c && !strcmp(a->name, b->name) && same_bytes(a->data, b->data, bytes) &&
         same_bytes(a->first, b->first, FIX_TRIALS * 4) && same_bytes(a->count, b->count, FIX_TRIALS * 4) && same_bytes(a->phase, b->phase,
             (size_t)a->n * 4) &&
         same_bytes(a->subject, b->subject, (size_t)a->n * 4) && same_texts(a->view, b->view, a->n);
}

static int same_series(const dor_series *a, const dor_series *b)
{
  return a->n == b->n && a->k == b->k && a->a == b->a && !strcmp(a->name, b->name) && same_bytes(a->data, b->data, (size_t)(a->n * a->k * a->a) * 4) &&
      same_bytes(a->first, b->first, FIX_TRIALS * 4) &&
         same_texts(a->joint, b->joint, a->k) && same_bytes(a->parent, b->parent, (size_t)a->k * 4) && (!a->axes || !strcmp(a->axes, b->axes)) && (!a->unit ||
             !strcmp(a->unit, b->unit)) &&
         (!a->definition || !strcmp(a->definition, b->definition)) && same_bytes(a->time_s, b->time_s, (size_t)a->n * sizeof(double)) &&
         same_bytes(a->state, b->state, (size_t)(a->n * a->k));
}

static int same_target(const dor_target *a, const dor_target *b)
{
  return b && a->kind == b->kind && a->per == b->per && a->n == b->n && a->n_names == b->n_names && same_texts(a->names, b->names, a->n_names) &&
      same_bytes(a->value, b->value, (size_t)a->n * 4);
}

int fixture_equal(const dor_dataset *a, const dor_dataset *b)
{
  int32_t n = a->n_subjects;
  int same = n == b->n_subjects && a->n_trials == b->n_trials && a->n_targets == b->n_targets && a->synthetic == b->synthetic;
  same = same && !strcmp(a->name, b->name) && !strcmp(a->license, b->license) && !strcmp(a->created_by, b->created_by) && !strcmp(a->source_sha256,
      b->source_sha256);
  same = same && same_texts(a->id, b->id, n) && same_texts(a->sex, b->sex, n) && same_texts(a->site, b->site, n) && same_bytes(a->age, b->age,
      (size_t)n * 4) && same_bytes(a->group, b->group, (size_t)n * 4);
  same = same && same_bytes(a->trial_subject, b->trial_subject, FIX_TRIALS * 4) && same_texts(a->movement, b->movement, FIX_TRIALS) && same_texts(a->side,
      b->side, FIX_TRIALS) && same_bytes(a->fps, b->fps, FIX_TRIALS * 4);
  for (int32_t i = 0; same && i < a->n_targets; i++) same = same_target(&a->target[i], dor_dataset_target(b, a->target[i].name));
  return same && same_table(&a->proms, &b->proms) && same_table(&a->tables[0], &b->tables[0]) && same_frames(&a->silhouettes[0], &b->silhouettes[0]) &&
      same_frames(&a->images[0], &b->images[0]) &&
         same_series(&a->keypoints[0], &b->keypoints[0]) && same_series(&a->angles[0], &b->angles[0]);
}
