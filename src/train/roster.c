/* SPDX-License-Identifier: Apache-2.0
 *
 * Rosters: the classes that take part (the positive one last of two), the units
 * that are analysed, the flow of those who are not, and the folds. */
#include "train/roster.h"

#include <math.h>
#include <string.h>

#include "base/io.h"

static dor_status out_of_memory(const dor_roster *r) { return DOR_FAIL(NOMEM, "no memory for %d units", r->n); }

static void *picked(dor_arena *a, const void *from, size_t size, int32_t n, const int32_t *at)
{
  if (!from) return NULL;
  char *out = dor_arena_alloc(a, ((size_t)n + 1) * size);
  for (int32_t i = 0; out && i < n; i++) memcpy(out + (size_t)i * size, (const char *)from + (size_t)at[i] * size, size);
  return out;
}

/* The units at[0..n) of r, in that order. */
static dor_status choose(dor_arena *a, dor_roster *r, int32_t n, const int32_t *at)
{
  dor_units *u = &r->units;
  u->cluster = picked(a, u->cluster, sizeof *u->cluster, n, at);
  u->label = picked(a, u->label, sizeof *u->label, n, at);
  u->site = picked(a, u->site, sizeof *u->site, n, at);
  u->id = picked(a, u->id, sizeof *u->id, n, at);
  u->row = picked(a, u->row, sizeof *u->row, n, at);
  u->test = picked(a, u->test, sizeof *u->test, n, at);
  r->subject = picked(a, r->subject, sizeof *r->subject, n, at);
  r->thing = picked(a, r->thing, sizeof *r->thing, n, at);
  r->value = picked(a, r->value, sizeof *r->value, n, at);
  DOR_NEED(u->cluster && u->label && u->id && u->row && r->subject && r->thing && r->value, NOMEM, "no memory for %d units", n);
  r->n = u->n = n;
  return DOR_OK;
}

dor_status dor_roster_keep(dor_arena *a, dor_roster *r, const bool *keep, const char *reason)
{
  int32_t *at = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *at), n = 0;
  if (!at) return out_of_memory(r);
  for (int32_t i = 0; i < r->n; i++) {
    if (keep[i]) at[n++] = i;
    else r->fate[r->thing[i]] = reason;
  }
  return n == r->n ? DOR_OK : choose(a, r, n, at);
}

static int32_t class_index(const dor_target *t, const char *name)
{
  for (int32_t c = 0; c < t->n_names; c++)
    if (!strcmp(t->names[c], name)) return c;
  return -1;
}

static dor_status need_class(const char *where, const dor_target *t, const char *name, int32_t *index)
{
  const char *near = dor_nearest(name, t->names, (size_t)t->n_names);
  *index = class_index(t, name);
  DOR_NEED(*index >= 0, CONFIG, "%s: target '%s' has no class '%s'; did you mean '%s'?", where, t->name, name, near ? near : t->names[0]);
  return DOR_OK;
}

/* Which of the target's classes take part, negative first when there are two. n 0: all, as they stand. */
static dor_status choose_classes(const dor_arm *arm, const dor_target *t, int32_t chosen[2], int32_t *n)
{
  const char *positive = arm->target.positive, *against = arm->target.against;
  *n = 0;
  if (*against) {
    DOR_NEED(*positive, CONFIG, "%s: 'against' needs 'positive': which class is sensitivity about?", arm->where.against);
    DOR_TRY(need_class(arm->where.against, t, against, &chosen[0]));
    DOR_TRY(need_class(arm->where.positive, t, positive, &chosen[1]));
    DOR_NEED(chosen[0] != chosen[1], CONFIG, "%s: 'against' and 'positive' are both '%s'", arm->where.positive, positive);
    *n = 2;
  } else if (t->n_names == 2) {
    DOR_NEED(*positive, CONFIG, "%s: two classes, %s and %s, need 'positive': which one is sensitivity about?", arm->where.column, t->names[0], t->names[1]);
    DOR_TRY(need_class(arm->where.positive, t, positive, &chosen[1]));
    chosen[0] = 1 - chosen[1];
    *n = 2;
  } else {
    DOR_NEED(!*positive, CONFIG, "%s: 'positive' is for two classes, '%s' has %d; name the other one by 'against'", arm->where.positive, t->name, t->n_names);
  }
  return DOR_OK;
}

/* Labels become indices of the chosen classes; units of other classes are left out. */
static dor_status recode(dor_arena *a, dor_roster *r)
{
  const dor_target *t = r->target;
  int32_t chosen[2] = {0}, n = 0;
  DOR_TRY(choose_classes(r->arm, t, chosen, &n));
  r->n_classes = n ? n : t->n_names;
  const char **names = dor_arena_alloc(a, (size_t)r->n_classes * sizeof *names);
  float *value = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *value);
  int32_t *label = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *label);
  bool *keep = dor_arena_alloc(a, (size_t)r->n + 1);
  if (!names || !value || !label || !keep) return out_of_memory(r);
  for (int32_t c = 0; c < r->n_classes; c++) names[c] = t->names[n ? chosen[c] : c];
  for (int32_t i = 0; i < r->n; i++) {
    int32_t was = (int32_t)r->value[i];
    label[i] = !n ? was : was == chosen[0] ? 0 : was == chosen[1] ? 1 : -1;
    keep[i] = label[i] >= 0;
    value[i] = (float)label[i];
  }
  r->class_name = names, r->value = value, r->units.label = label, r->units.n_classes = r->n_classes;
  r->units.class_name = names;
  return dor_roster_keep(a, r, keep, "class not compared");
}

static const int32_t *subjects_of(const dor_dataset *d, dor_per per)
{
  return per == DOR_PER_TRIAL ? d->trial_subject : per == DOR_PER_IMAGE && d->n_images ? d->images[0].subject : NULL;
}

static dor_status take_things(dor_arena *a, const dor_dataset *d, dor_roster *r)
{
  const int32_t *subject_of = subjects_of(d, r->target->per);
  int32_t *subject = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *subject);
  float *value = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *value);
  bool *keep = dor_arena_alloc(a, (size_t)r->n + 1);
  if (!subject || !value || !keep) return out_of_memory(r);
  for (int32_t i = 0; i < r->n; i++) {
    int32_t thing = r->units.row[i];
    subject[i] = subject_of ? subject_of[thing] : thing;
    value[i] = r->target->value[thing];
    keep[i] = !isnan(value[i]);
  }
  r->thing = r->units.row, r->subject = subject, r->value = value;
  r->fate = dor_arena_alloc(a, ((size_t)r->target->n + 1) * sizeof *r->fate);
  if (!r->fate) return out_of_memory(r);
  for (int32_t i = 0; i < r->target->n; i++)
    if (isnan(r->target->value[i])) r->fate[i] = "no label";
  return dor_roster_keep(a, r, keep, "no label");
}

dor_status dor_roster_make(dor_arena *a, const dor_dataset *d, const dor_arm *arm, dor_roster *r)
{
  *r = (dor_roster){.arm = arm};
  r->target = dor_dataset_target(d, arm->target.column);
  DOR_NEED(!r->target || r->target->kind != DOR_TARGET_VALUE, CONFIG,
           "%s: target '%s' is a number: only classes can be told apart so far; regression and its report are not there yet", arm->where.column,
           r->target->name);
  dor_status s = dor_units_of(a, d, arm->target.column, &arm->split, &r->units);
  if (s && !r->target) return DOR_FAIL(CONFIG, "%s: %s", arm->where.column, dor_errmsg());
  DOR_TRY(s);
  r->n = r->units.n;
  r->clips = arm->split.unit == DOR_UNIT_CLIP;
  DOR_TRY(take_things(a, d, r));
  return recode(a, r);
}

/* PERSON/INPUT/CLIP: neither a person nor a number alone says which clip, and arms are compared on clips of one name. */
static dor_status name_clips(dor_arena *a, dor_roster *r)
{
  const char **name = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *name);
  for (int32_t i = 0; name && i < r->n; i++) {
    name[i] = dor_arena_fmt(a, "%s/%s/%d", r->units.id[i], r->arm->input[r->input[i]].name, r->row[i] + 1);
    if (!name[i]) return out_of_memory(r);
  }
  if (!name) return out_of_memory(r);
  r->units.name = name;
  return DOR_OK;
}

dor_status dor_roster_clips(dor_arena *a, dor_roster *r, int32_t n_inputs, const dor_rows *rows)
{
  int32_t n = 0, k = 0;
  for (int32_t i = 0; i < n_inputs; i++) n += rows[i].first[r->n];
  int32_t *at = dor_arena_alloc(a, ((size_t)n + 1) * 4 * sizeof *at);
  if (!at) return out_of_memory(r);
  int32_t *input = at + n + 1, *row = input + n + 1, *own = row + n + 1;
  for (int32_t u = 0; u < r->n; u++)
    for (int32_t i = 0; i < n_inputs; i++)
      for (int32_t m = rows[i].first[u]; m < rows[i].first[u + 1]; m++) at[k] = u, input[k] = i, row[k] = rows[i].row[m], own[k] = k, k++;
  DOR_TRY(choose(a, r, n, at));
  r->input = input, r->row = row, r->units.cluster = own, r->units.row = own;
  return name_clips(a, r);
}

dor_status dor_roster_split(dor_arena *a, dor_roster *r)
{
  DOR_NEED(r->n > 0, DATA, "target '%s': nobody is left to analyse", r->target->name);
  for (int32_t c = 0; c < r->n_classes; c++) {
    int32_t n = 0;
    for (int32_t i = 0; i < r->n; i++) n += r->units.label[i] == c;
    DOR_NEED(n, DATA, "target '%s': nobody of class '%s' is left to analyse", r->target->name, r->class_name[c]);
  }
  const char *file = r->arm->split.file;
  if (!*file) return dor_split_make(a, &r->arm->split, &r->units, &r->split);
  return dor_split_read(a, file, &r->units, &r->split);
}
