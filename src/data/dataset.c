/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a dataset in memory sound? Every index is followed, every length compared,
 * so that whoever reads it later (sources, splits, reports) need not ask again.
 * Messages name the subject's row or the trial's, never an id. */
#include "data/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void dor_dataset_release(dor_dataset *d)
{
  dor_arena_release(&d->arena);
  *d = (dor_dataset){0};
}

dor_status dor_dataset_room(uint64_t things, uint64_t bytes_each, const char *what, const char *advice)
{
  size_t most = dor_memory_bytes() / 4;
  DOR_NEED(!things || bytes_each <= most / things, NOMEM, "%llu %s: %.1f GB, at most %.1f GB (a quarter of this machine's memory); %s",
           (unsigned long long)things, what, (double)things * (double)bytes_each * 1e-9, (double)most * 1e-9, advice);
  return DOR_OK;
}

const dor_target *dor_dataset_target(const dor_dataset *d, const char *name)
{
  for (int32_t i = 0; i < d->n_targets; i++)
    if (!strcmp(d->target[i].name, name)) return &d->target[i];
  return NULL;
}

/* Names become names of groups in the file. */
static dor_status check_name(const char *kind, const char *name)
{
  DOR_NEED(name && name[0], DATA, "a %s has no name", kind);
  DOR_NEED(strlen(name) < 256, DATA, "%s: its name is longer than 255 bytes", kind);
  DOR_NEED(strcmp(name, ".") && strcmp(name, ".."), DATA, "%s: '%s' is no name", kind, name);
  for (const char *c = name; *c; c++)
    DOR_NEED((unsigned char)*c >= 32 && *c != 127 && *c != '/', DATA, "%s: its name holds '/' or a control character", kind);
  return DOR_OK;
}

static dor_status check_index(const char *what, const int32_t *v, int32_t n, int32_t below)
{
  DOR_NEED(v || !n, DATA, "%s is not there", what);
  for (int32_t i = 0; i < n; i++)
    DOR_NEED(v[i] >= 0 && v[i] < below, DATA, "%s row %d: %d is not below %d", what, i + 1, v[i], below);
  return DOR_OK;
}

static dor_status check_finite(const char *what, const char *field, const float *v, int64_t n, bool missing)
{
  for (int64_t i = 0; i < n; i++)
    DOR_NEED(isfinite(v[i]) || (missing && isnan(v[i])), DATA, "%s: %s, value %lld is not finite", what, field, (long long)i + 1);
  return DOR_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static dor_status check_unique(const char *what, const char *const *v, int32_t n)
{
  const char **sorted = dor_calloc((size_t)n + 1, sizeof *sorted);
  DOR_NEED(sorted, NOMEM, "%d names", n);
  for (int32_t i = 0; i < n; i++) sorted[i] = v[i];
  qsort(sorted, (size_t)n, sizeof *sorted, by_text);
  bool twice = false;
  for (int32_t i = 1; i < n && !twice; i++) twice = !strcmp(sorted[i - 1], sorted[i]);
  dor_free(sorted);
  DOR_NEED(!twice, DATA, "%s: a name stands twice", what);
  return DOR_OK;
}

static dor_status check_texts(const char *what, const char *const *v, int32_t n, bool empty)
{
  for (int32_t i = 0; i < n; i++) {
    DOR_NEED(v[i], DATA, "%s row %d: no text", what, i + 1);
    DOR_NEED(empty || v[i][0], DATA, "%s row %d: empty", what, i + 1);
    DOR_NEED(dor_is_utf8(v[i]), DATA, "%s row %d: not UTF-8", what, i + 1);
    DOR_NEED(strlen(v[i]) <= 1024, DATA, "%s row %d: longer than 1024 bytes", what, i + 1);
  }
  return DOR_OK;
}

static dor_status check_subjects(const dor_dataset *d)
{
  int32_t n = d->n_subjects;
  DOR_NEED(n > 0 && d->id, DATA, "no subjects");
  DOR_TRY(check_texts("/subjects/id", d->id, n, false));
  DOR_TRY(check_unique("/subjects/id", d->id, n));
  if (d->age) DOR_TRY(check_finite("/subjects", "age", d->age, n, true));
  if (d->sex) DOR_TRY(check_texts("/subjects/sex", d->sex, n, true));
  if (d->site) DOR_TRY(check_texts("/subjects/site", d->site, n, true));
  if (d->group)
    for (int32_t i = 0; i < n; i++) DOR_NEED(d->group[i] >= 0, DATA, "/subjects/group row %d: %d is negative", i + 1, d->group[i]);
  return DOR_OK;
}

static int32_t things(const dor_dataset *d, dor_per per)
{
  if (per == DOR_PER_SUBJECT) return d->n_subjects;
  if (per == DOR_PER_TRIAL) return d->n_trials;
  return d->n_images ? d->images[0].n : 0;
}

static dor_status check_target(const dor_dataset *d, const dor_target *t)
{
  DOR_TRY(check_name("target", t->name));
  int32_t n = things(d, t->per);
  static const char *const of[] = {"subjects", "trials", "images"};
  DOR_NEED(t->n == n, DATA, "target '%s': %d values for %d %s", t->name, t->n, n, of[t->per]);
  DOR_TRY(check_finite(t->name, "target", t->value, n, true));
  if (t->kind == DOR_TARGET_VALUE) return DOR_OK;
  DOR_NEED(t->n_names >= 2, DATA, "target '%s': %d class, at least 2 are needed", t->name, t->n_names);
  DOR_TRY(check_texts(t->name, t->names, t->n_names, false));
  DOR_TRY(check_unique(t->name, t->names, t->n_names));
  for (int32_t i = 0; i < n; i++) {
    float x = t->value[i];
    bool whole = x >= 0 && x < (float)t->n_names && x == floorf(x);
    DOR_NEED(isnan(x) || whole, DATA, "target '%s' row %d: %g is no class of %d", t->name, i + 1, (double)x, t->n_names);
  }
  return DOR_OK;
}

static dor_status check_targets(const dor_dataset *d)
{
  for (int32_t i = 0; i < d->n_targets; i++) {
    DOR_TRY(check_target(d, &d->target[i]));
    DOR_NEED(dor_dataset_target(d, d->target[i].name) == &d->target[i], DATA, "/targets: '%s' stands twice", d->target[i].name);
  }
  return DOR_OK;
}

static dor_status check_table(const dor_dataset *d, const char *kind, const dor_table *t)
{
  DOR_NEED(t->items.n > 0 && t->items.name && t->n > 0, DATA, "%s is empty", kind);
  DOR_TRY(check_texts(kind, t->items.name, t->items.n, false));
  DOR_TRY(check_unique(kind, t->items.name, t->items.n));
  DOR_TRY(check_index(kind, t->subject, t->n, d->n_subjects));
  return check_finite(kind, "values", t->values, (int64_t)t->n * t->items.n, true);
}

static dor_status check_named_table(const dor_dataset *d, const dor_table *t)
{
  DOR_TRY(check_name("table", t->name));
  return check_table(d, t->name, t);
}

/* Runs of frames: inside the data, and none belongs to two trials. */
static dor_status check_runs(const dor_dataset *d, const char *name, const int32_t *first, const int32_t *count, int32_t n)
{
  DOR_NEED(first && count, DATA, "%s: no first and count", name);
  uint8_t *owned = dor_calloc((size_t)n + 1, 1);
  DOR_NEED(owned, NOMEM, "%d frames", n);
  int32_t bad = -1;
  for (int32_t t = 0; t < d->n_trials && bad < 0; t++) {
    bool inside = count[t] == 0 || (count[t] > 0 && first[t] >= 0 && first[t] <= n - count[t]);
    if (!inside) bad = t;
    for (int32_t f = 0; inside && f < count[t]; f++)
      if (owned[first[t] + f]++) bad = t;
  }
  dor_free(owned);
  DOR_NEED(bad < 0, DATA, "%s, trial %d: its frames lie outside the data or belong to another trial too", name, bad + 1);
  return DOR_OK;
}

static dor_status check_frames(const dor_dataset *d, const dor_frames *f, bool images)
{
  DOR_TRY(check_name(images ? "image set" : "silhouette set", f->name));
  DOR_NEED(f->n > 0 && f->h > 0 && f->w > 0 && f->data, DATA, "%s: no frames", f->name);
  DOR_NEED(f->h <= 16384 && f->w <= 16384, DATA, "%s: %d x %d pixels, at most 16384 x 16384", f->name, f->h, f->w);
  DOR_NEED(f->c == 1 || (images && f->c == 3), DATA, "%s: %d channels", f->name, f->c);
  if (!images) {
    if (f->phase) DOR_TRY(check_finite(f->name, "phase", f->phase, f->n, true));
    return check_runs(d, f->name, f->first, f->count, f->n);
  }
  if (f->view) DOR_TRY(check_texts(f->name, f->view, f->n, true));
  return check_index(f->name, f->subject, f->n, d->n_subjects);
}

/* Times increase within a trial; trials have been checked to lie inside. */
static dor_status check_times(const dor_dataset *d, const dor_series *s)
{
  for (int32_t t = 0; t < d->n_trials; t++)
    for (int32_t f = 0; f < s->count[t]; f++) {
      const double now = s->time_s[s->first[t] + f];
      DOR_NEED(isfinite(now) && (!f || now > s->time_s[s->first[t] + f - 1]), DATA, "%s, trial %d: the time of frame %d does not follow that before it",
               s->name, t + 1, f);
    }
  return DOR_OK;
}

static dor_status check_series(const dor_dataset *d, const dor_series *s, bool keypoints)
{
  DOR_TRY(check_name(keypoints ? "keypoint set" : "angle", s->name));
  DOR_NEED(s->n > 0 && s->k > 0 && s->a > 0 && s->data, DATA, "%s: no frames", s->name);
  DOR_NEED((int64_t)s->k * s->a <= 1 << 20, DATA, "%s: %d x %d values a frame", s->name, s->k, s->a);
  DOR_TRY(check_finite(s->name, "data", s->data, (int64_t)s->n * s->k * s->a, true));
  if (s->joint) DOR_TRY(check_texts(s->name, s->joint, s->k, false));
  if (s->parent)
    for (int32_t i = 0; i < s->k; i++) DOR_NEED(s->parent[i] >= -1 && s->parent[i] < s->k, DATA, "%s: parent of joint %d", s->name, i + 1);
  for (int64_t i = 0; s->state && i < (int64_t)s->n * s->k; i++)
    DOR_NEED(s->state[i] <= 2, DATA, "%s: state, value %lld is %d, not 0, 1 or 2", s->name, (long long)i + 1, s->state[i]);
  DOR_TRY(check_runs(d, s->name, s->first, s->count, s->n));
  return s->time_s ? check_times(d, s) : DOR_OK;
}

#define EACH(field, call)                                                            \
  for (int32_t i = 0; i < d->n_##field; i++) DOR_TRY(call);                          \
  for (int32_t i = 0; i < d->n_##field; i++)                                         \
    for (int32_t j = 0; j < i; j++)                                                  \
  DOR_NEED(strcmp(d->field[i].name, d->field[j].name), DATA, "/" #field ": '%s' stands twice", d->field[i].name)

static dor_status check_trials(const dor_dataset *d)
{
  if (!d->n_trials) return DOR_OK;
  DOR_TRY(check_index("/trials/subject", d->trial_subject, d->n_trials, d->n_subjects));
  if (d->movement) DOR_TRY(check_texts("/trials/movement", d->movement, d->n_trials, true));
  if (d->side) DOR_TRY(check_texts("/trials/side", d->side, d->n_trials, true));
  return DOR_OK;
}

dor_status dor_dataset_validate(const dor_dataset *d)
{
  DOR_TRY(check_subjects(d));
  DOR_TRY(check_trials(d));
  EACH(images, check_frames(d, &d->images[i], true));
  EACH(silhouettes, check_frames(d, &d->silhouettes[i], false));
  EACH(keypoints, check_series(d, &d->keypoints[i], true));
  EACH(angles, check_series(d, &d->angles[i], false));
  EACH(tables, check_named_table(d, &d->tables[i]));
  DOR_TRY(check_targets(d));
  if (d->proms.items.n) DOR_TRY(check_table(d, "/proms", &d->proms));
  return DOR_OK;
}
