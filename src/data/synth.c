/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic cohort as a dataset. Trials stand by movement, then by person, so
 * that the silhouettes of one movement are a run that sources need not copy. */
#include "data/synth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "data/synth_body.h"
#include "data/synth_film.h"

const dor_key dor_synth_keys[] = {
#define KEYS_OF dor_synth_cfg
#include "base/keys_rows.h"
#include "data/synth.def"
#include "base/keys_end.h"
  {0}};

const dor_key dor_synth_film_keys[] = {
#define KEYS_OF dor_synth_film_cfg
#include "base/keys_rows.h"
#include "data/synth_film.def"
#include "base/keys_end.h"
  {0}};

static const dor_synth_facts *const F = &dor_synth_fact;

static const char *const joint_names[] = {
#define JOINT(name, parent) #name,
#include "data/synth_joints.def"
#undef JOINT
};

static const int32_t joint_parents[] = {
#define JOINT(name, parent) DOR_JOINT_##name == DOR_JOINT_##parent ? -1 : (int32_t)DOR_JOINT_##parent,
#include "data/synth_joints.def"
#undef JOINT
};

static const char *const patterns[] = {"FP", "EP"}, *const classes[] = {"MI", "MCI"};
static const char *const movements[DOR_SYNTH_MOVEMENTS] = {"forward", "backward"};

static const char *const prom_name[] = {"odi", "tsk11", "nrs"}, *const prom_unit[] = {"%", "point", "point"};
static const float prom_min[] = {0, 11, 0}, prom_max[] = {100, 44, 10};
enum { PROMS = 3 };

/* What was drawn for a person, as columns of /tables/truth. */
#define TRUTHS(X)                                                                                                                             \
  X(lumbar, "deg") X(pelvis, "deg") X(band1, "") X(lordosis, "deg") X(extension, "deg") X(extension_low, "") X(hip_extension, "deg") X(upper, "deg")
#define X(name, unit) #name,
static const char *const truth_name[] = {TRUTHS(X)};
#undef X
#define X(name, unit) unit,
static const char *const truth_unit[] = {TRUTHS(X)};
#undef X
enum { TRUTH = sizeof truth_name / sizeof *truth_name };

/* ---- configuration ---- */

dor_status dor_synth_parse(dor_arena *a, const char *text, dor_synth_cfg *out)
{
  dor_tree *root;
  DOR_TRY(dor_schema_defaults(dor_synth_keys, out, a));
  DOR_TRY(dor_tree_parse(a, "synth", "", &root));
  char *copy = dor_arena_str(a, text), *rest = NULL;
  DOR_NEED(copy, NOMEM, "synth: %zu bytes of settings", strlen(text));
  for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) DOR_TRY(dor_tree_assign(a, root, part));
  return dor_schema_load(dor_synth_keys, out, root, NULL, a);
}

/* ---- columns ---- */

typedef struct columns {         /* everything with a row for each person, trial or frame, before it becomes const */
  const dor_synth_film_cfg *film; /* NULL: `frames` of each trial, at even phase */
  char (*id)[16];
  const char **ids, **sex, **movement, **side;
  float *age, *pattern, *class, *proms, *truth, *fps, *width, *keypoints, *flexion, *shoulders, *phase;
  int32_t *people, *trial_subject, *first, *count;
  uint8_t *pixels;
  int64_t frames;
} columns;

typedef struct room { void *field; size_t bytes; } room;

static dor_status make_room(dor_arena *a, const room *all, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    void *p = dor_arena_alloc(a, all[i].bytes);
    DOR_NEED(p, NOMEM, "synth: a column of %zu bytes", all[i].bytes);
    memcpy(all[i].field, &p, sizeof p);
  }
  return DOR_OK;
}

static dor_status make_columns(dor_arena *a, const dor_synth_cfg *c, columns *k)
{
  const size_t n = (size_t)c->subjects, trials = n * DOR_SYNTH_MOVEMENTS;
  const room all[] = {
    {&k->id, n * sizeof *k->id}, {&k->ids, n * sizeof *k->ids}, {&k->sex, n * sizeof *k->sex}, {&k->movement, trials * sizeof *k->movement},
    {&k->side, trials * sizeof *k->side}, {&k->age, n * sizeof(float)}, {&k->pattern, n * sizeof(float)}, {&k->class, n * sizeof(float)},
    {&k->proms, n * PROMS * sizeof(float)}, {&k->truth, n * TRUTH * sizeof(float)}, {&k->fps, trials * sizeof(float)},
    {&k->width, trials * sizeof(float)}, {&k->people, n * sizeof(int32_t)}, {&k->trial_subject, trials * sizeof(int32_t)},
    {&k->first, trials * sizeof(int32_t)}, {&k->count, trials * sizeof(int32_t)}};
  return make_room(a, all, sizeof all / sizeof *all);
}

static dor_status make_frames(dor_arena *a, const dor_synth_cfg *c, columns *k)
{
  const size_t n = (size_t)k->frames;
  const room all[] = {{&k->keypoints, n * DOR_SYNTH_JOINTS * 3 * sizeof(float)}, {&k->flexion, n * sizeof(float)}, {&k->shoulders, n * sizeof(float)},
                      {&k->phase, n * sizeof(float)}, {&k->pixels, n * (size_t)c->size * (size_t)c->size}};
  return make_room(a, all, sizeof all / sizeof *all);
}

/* Where each trial's frames lie. */
static dor_status lay_frames(const dor_synth_cfg *c, columns *k)
{
  const int32_t people = (int32_t)c->subjects;
  for (int32_t t = 0; t < people * DOR_SYNTH_MOVEMENTS; t++) {
    dor_synth_person p;
    dor_synth_draw(c, t % people, &p);
    k->count[t] = k->film ? (int32_t)fmax(round(p.duration_s[t / people] * k->film->fps), 4) : (int32_t)c->frames;
    DOR_NEED(k->frames + k->count[t] < INT32_MAX, CONFIG, "synth: %d people have too many frames", people);
    k->first[t] = (int32_t)k->frames;
    k->frames += k->count[t];
  }
  return DOR_OK;
}

static void put_person(const dor_synth_person *p, int32_t i, columns *k)
{
  snprintf(k->id[i], sizeof k->id[i], "S%03d", i + 1);
  k->ids[i] = k->id[i], k->people[i] = i;
  k->sex[i] = p->female ? "F" : "M", k->age[i] = (float)p->age;
  k->pattern[i] = p->rated_ep, k->class[i] = p->rated_mci;
  const double proms[PROMS] = {p->odi, p->tsk11, p->nrs};
#define X(name, unit) p->name,
  const double truth[TRUTH] = {TRUTHS(X)};
#undef X
  for (int32_t j = 0; j < PROMS; j++) k->proms[i * PROMS + j] = (float)proms[j];
  for (int32_t j = 0; j < TRUTH; j++) k->truth[i * TRUTH + j] = (float)truth[j];
}

/* On film 0 is the middle of the first pixel, as annotations have it; else its edge. */
static void put_joints(const dor_synth_body *b, dor_synth_camera view, double zero, float *out)
{
  for (int32_t j = 0; j < DOR_SYNTH_JOINTS; j++) {
    out[3 * j] = (float)(view.x0 + view.px_per_m * b->joint[j].x - zero);
    out[3 * j + 1] = (float)(view.y0 - view.px_per_m * b->joint[j].y - zero);
    out[3 * j + 2] = 1;
  }
}

static void put_frame(const dor_synth_cfg *c, const dor_synth_person *p, int32_t person, int32_t movement, int32_t i, int32_t t, columns *k)
{
  const int32_t side = (int32_t)c->size, picture = k->film ? (int32_t)k->film->side : (int32_t)F->frame_side_px;
  const size_t frame = (size_t)k->first[t] + (size_t)i;
  dor_rng r = dor_rng_stream((uint64_t)c->seed, dor_hash_name(movements[movement]), (uint64_t)person << 32 | (uint32_t)i);
  dor_synth_body b;
  k->phase[frame] = (float)((i + 0.5) / k->count[t]);
  dor_synth_pose(p, movement, (i + 0.5) / k->count[t], &b);
  k->flexion[frame] = (float)dor_synth_flexion(&b);
  k->shoulders[frame] = (float)dor_synth_flexion_shoulders(&b);
  put_joints(&b, dor_synth_view(p, picture), k->film ? 0.5 : 0, k->keypoints + frame * DOR_SYNTH_JOINTS * 3);
  dor_synth_jitter(&b, c->noise_px * F->field_m / F->frame_side_px, &r);
  dor_synth_raster(&b, dor_synth_view(p, side), side, k->pixels + frame * (size_t)side * (size_t)side);
}

static void put_trial(const dor_synth_cfg *c, const dor_synth_person *p, int32_t person, int32_t movement, columns *k)
{
  const int32_t t = movement * (int32_t)c->subjects + person;
  k->movement[t] = movements[movement], k->side[t] = "right", k->trial_subject[t] = person;
  k->fps[t] = (float)(k->film ? k->film->fps : k->count[t] / p->duration_s[movement]);
  k->width[t] = (float)(k->film ? (double)k->film->side : F->frame_side_px);
  for (int32_t i = 0; i < k->count[t]; i++) put_frame(c, p, person, movement, i, t, k);
}

/* ---- the dataset ---- */

static dor_status put_people(dor_dataset *d, const dor_synth_cfg *c, const columns *k)
{
  const int32_t n = (int32_t)c->subjects;
  d->n_subjects = n, d->id = k->ids, d->age = k->age, d->sex = k->sex;
  /* by name, as a file gives them back: a run that made them and one that read them again are the same */
  const dor_target targets[] = {{"class", DOR_TARGET_CLASS, DOR_PER_SUBJECT, n, 2, classes, k->class},
                                {"pattern", DOR_TARGET_CLASS, DOR_PER_SUBJECT, n, 2, patterns, k->pattern}};
  const dor_table truth = {"truth", n, {TRUTH, truth_name, truth_unit, NULL, NULL}, k->people, k->truth};
  d->n_targets = 2, d->target = dor_arena_copy(&d->arena, targets, sizeof targets);
  d->n_tables = 1, d->tables = dor_arena_copy(&d->arena, &truth, sizeof truth);
  d->proms = (dor_table){"proms", n, {PROMS, prom_name, prom_unit, prom_min, prom_max}, k->people, k->proms};
  DOR_NEED(d->target && d->tables, NOMEM, "synth");
  return DOR_OK;
}

static dor_status put_trials(dor_dataset *d, const dor_synth_cfg *c, const columns *k)
{
  const int32_t trials = (int32_t)c->subjects * DOR_SYNTH_MOVEMENTS, frames = (int32_t)k->frames, side = (int32_t)c->size;
  d->n_trials = trials, d->trial_subject = k->trial_subject, d->movement = k->movement, d->side = k->side;
  d->fps = k->fps, d->width = d->height = k->width;
  const dor_frames silhouettes = {.name = "truth", .n = frames, .h = side, .w = side, .c = 1, .data = k->pixels, .first = k->first, .count = k->count,
                                  .phase = k->phase};
  const dor_series keypoints = {.name = "truth", .axes = "x y conf", .n = frames, .k = DOR_SYNTH_JOINTS, .a = 3, .data = k->keypoints,
                                .first = k->first, .count = k->count, .joint = joint_names, .parent = joint_parents, .unit = "pixel"};
  const dor_series angles[] = {
    {.name = "flexion", .n = frames, .k = 1, .a = 1, .data = k->flexion, .first = k->first, .count = k->count, .unit = "deg",
     .definition = "180 - angle(neck, right_hip, right_ankle); negative with the neck behind"},
    {.name = "flexion_shoulders", .n = frames, .k = 1, .a = 1, .data = k->shoulders, .first = k->first, .count = k->count, .unit = "deg",
     .definition = "the same with the middle of the shoulders for the neck"}};
  d->n_silhouettes = 1, d->silhouettes = dor_arena_copy(&d->arena, &silhouettes, sizeof silhouettes);
  d->n_keypoints = 1, d->keypoints = dor_arena_copy(&d->arena, &keypoints, sizeof keypoints);
  d->n_angles = k->film ? 2 : 1, d->angles = dor_arena_copy(&d->arena, angles, sizeof angles);
  DOR_NEED(d->silhouettes && d->keypoints && d->angles, NOMEM, "synth");
  return DOR_OK;
}

/* The settings stand for the source that there is not. */
static dor_status put_origin(dor_dataset *d, const dor_synth_cfg *c, const dor_synth_film_cfg *f)
{
  dor_tree root = {.type = DOR_TREE_GROUP};
  dor_str text = {0};
  DOR_TRY(dor_schema_save(dor_synth_keys, c, &d->arena, &root));
  dor_tree_write(&root, &text);
  root.first = NULL;
  if (f) DOR_TRY(dor_schema_save(dor_synth_film_keys, f, &d->arena, &root));
  dor_tree_write(&root, &text);
  dor_status s = dor_str_status(&text);
  if (!s) dor_hash_bytes(text.s, text.n, d->source_sha256);
  dor_str_release(&text);
  d->name = "synthetic cohort", d->created_by = "dorsum synth", d->synthetic = true;
  d->license = "CC0-1.0. SYNTHETIC: drawn from a model, no patients";
  return s;
}

static dor_status make(dor_dataset *d, const dor_synth_cfg *c, const dor_synth_film_cfg *f)
{
  columns k = {.film = f};
  DOR_NEED(c->subjects * DOR_SYNTH_MOVEMENTS * c->frames < INT32_MAX, CONFIG, "synth: %lld people with %lld frames are too many",
           (long long)c->subjects, (long long)c->frames);
  DOR_TRY(put_origin(d, c, f));
  DOR_TRY(make_columns(&d->arena, c, &k));
  DOR_TRY(lay_frames(c, &k));
  DOR_TRY(dor_dataset_room((uint64_t)k.frames, (uint64_t)(c->size * c->size), "silhouettes", "fewer subjects or frames, or a smaller size"));
  DOR_TRY(make_frames(&d->arena, c, &k));
  for (int32_t i = 0; i < c->subjects; i++) {
    dor_synth_person p;
    dor_synth_draw(c, i, &p);
    put_person(&p, i, &k);
    for (int32_t m = 0; m < DOR_SYNTH_MOVEMENTS; m++) put_trial(c, &p, i, m, &k);
  }
  DOR_TRY(put_people(d, c, &k));
  return put_trials(d, c, &k);
}

dor_status dor_synth_make_film(dor_dataset *d, const dor_synth_cfg *c, const dor_synth_film_cfg *f)
{
  *d = (dor_dataset){0};
  dor_status s = make(d, c, f);
  if (s) dor_dataset_release(d);
  return s;
}

dor_status dor_synth_make(dor_dataset *d, const dor_synth_cfg *c) { return dor_synth_make_film(d, c, NULL); }
