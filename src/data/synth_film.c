/* SPDX-License-Identifier: Apache-2.0
 *
 * Films people of the synthetic cohort, one after the other; some of the frames
 * become pictures with COCO annotations on the way. */
#include "data/synth_film.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/mem.h"
#include "data/picture.h"
#include "data/synth_body.h"
#include "data/video.h"

typedef struct crew {
  const dor_dataset *d;
  const dor_synth_cfg *c;
  const dor_synth_film_cfg *f;
  const char *dir;
  dor_arena *a;
  int32_t side, k, joint[DOR_SYNTH_JOINTS]; /* those annotated */
  uint8_t *room, *rgb, *mask;
  dor_str images, annotations, manifest;
  int32_t n_pictures;
} crew;

/* ---- annotations ---- */

static dor_status choose_joints(crew *w)
{
  const dor_series *s = w->d->keypoints;
  if (!w->f->joints.n)
    for (w->k = 0; w->k < DOR_JOINT_neck; w->k++) w->joint[w->k] = w->k;
  for (int32_t i = 0; i < w->f->joints.n; i++) {
    int32_t j = 0;
    while (j < s->k && strcmp(s->joint[j], w->f->joints.v[i])) j++;
    if (j == s->k) {
      const char *near = dor_nearest(w->f->joints.v[i], s->joint, (size_t)s->k);
      return DOR_FAIL(CONFIG, "joints: the synthetic body has no '%s'%s%s%s", w->f->joints.v[i], near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "");
    }
    DOR_NEED(i < DOR_SYNTH_JOINTS, CONFIG, "joints: %d names, and the body has %d", w->f->joints.n, DOR_SYNTH_JOINTS);
    w->joint[w->k++] = j;
  }
  return DOR_OK;
}

typedef struct extent { int32_t x0, y0, x1, y1, area; } extent;

/* Runs down the columns, zeros first, and the box around the ones. */
static extent put_mask(const uint8_t *mask, int32_t side, dor_str *out)
{
  extent e = {side, side, -1, -1, 0};
  bool on = false;
  int32_t run = 0;
  for (int32_t x = 0; x < side; x++)
    for (int32_t y = 0; y < side; y++) {
      const bool now = mask[y * side + x] > 127;
      if (now != on) dor_str_fmt(out, "%d,", run), run = 0, on = now;
      run++;
      if (!now) continue;
      e.area++;
      e.x0 = x < e.x0 ? x : e.x0, e.x1 = x > e.x1 ? x : e.x1, e.y0 = y < e.y0 ? y : e.y0, e.y1 = y > e.y1 ? y : e.y1;
    }
  dor_str_fmt(out, "%d", run);
  return e;
}

/* The far side's joints and features of the face are hidden (1), not seen (2). */
static void put_keypoints(const crew *w, size_t frame, dor_str *out)
{
  const dor_series *s = w->d->keypoints;
  for (int32_t i = 0; i < w->k; i++) {
    const float *at = s->data + (frame * (size_t)s->k + (size_t)w->joint[i]) * 3;
    dor_str_add(out, i ? "," : "");
    dor_str_real(out, round(1e3 * (double)at[0]) / 1e3), dor_str_add(out, ",");
    dor_str_real(out, round(1e3 * (double)at[1]) / 1e3);
    dor_str_add(out, strncmp(s->joint[w->joint[i]], "left_", 5) ? ",2" : ",1");
  }
}

static dor_status annotate(crew *w, int32_t trial, int32_t i, const char *name)
{
  const bool first = !w->n_pictures;
  const long long id = (long long)w->c->seed * 1000000 + ++w->n_pictures; /* cohorts of two seeds share no image */
  const char *path = dor_arena_fmt(w->a, "%s/frames/%s", w->dir, name);
  const dor_picture p = {.h = w->side, .w = w->side, .c = 3, .pixels = w->rgb};
  DOR_NEED(path, NOMEM, "a name");
  DOR_TRY(dor_picture_write(path, &p, DOR_SYNTH_TAG));
  dor_str_fmt(&w->images, "%s\n{\"id\":%lld,\"file_name\":\"%s\",\"width\":%d,\"height\":%d,\"frame\":%d,\"time_s\":", first ? "" : ",", id, name, w->side,
              w->side, i);
  dor_str_real(&w->images, i / w->f->fps), dor_str_add(&w->images, "}");
  dor_str_fmt(&w->annotations, "%s\n{\"id\":%lld,\"image_id\":%lld,\"category_id\":1,\"iscrowd\":0,\"num_keypoints\":%d,\"keypoints\":[", first ? "" : ",", id,
              id, w->k);
  put_keypoints(w, (size_t)w->d->keypoints->first[trial] + (size_t)i, &w->annotations);
  dor_str_fmt(&w->annotations, "],\"segmentation\":{\"size\":[%d,%d],\"counts\":[", w->side, w->side);
  const extent e = put_mask(w->mask, w->side, &w->annotations);
  dor_str_fmt(&w->annotations, "]},\"bbox\":[%d,%d,%d,%d],\"area\":%d}", e.x0, e.y0, e.x1 - e.x0 + 1, e.y1 - e.y0 + 1, e.area);
  return DOR_OK;
}

static void put_skeleton(const crew *w, dor_str *out)
{
  const dor_series *s = w->d->keypoints;
  int32_t n = 0;
  for (int32_t i = 0; i < w->k; i++)
    for (int32_t j = 0; j < w->k; j++)
      if (s->parent[w->joint[i]] == w->joint[j]) dor_str_fmt(out, "%s[%d,%d]", n++ ? "," : "", j + 1, i + 1);
}

static dor_status write_annotations(crew *w)
{
  dor_str s = {0};
  dor_str_fmt(&s, "{\"info\":{\"description\":\"dorsum synth --video\",\"synthetic\":true,\"note\":\"%s\"},\n\"categories\":[{\"id\":1,\"name\":\"person\","
              "\"keypoints\":[", DOR_SYNTH_TAG);
  for (int32_t i = 0; i < w->k; i++) dor_str_fmt(&s, "%s\"%s\"", i ? "," : "", w->d->keypoints->joint[w->joint[i]]);
  dor_str_add(&s, "],\"skeleton\":["), put_skeleton(w, &s);
  dor_str_add(&s, "]}],\n\"images\":["), dor_str_bytes(&s, w->images.s, w->images.n);
  dor_str_add(&s, "],\n\"annotations\":["), dor_str_bytes(&s, w->annotations.s, w->annotations.n), dor_str_add(&s, "]}\n");
  dor_status status = dor_str_status(&w->images);
  if (!status) status = dor_str_status(&w->annotations);
  if (!status) status = dor_str_status(&s);
  const char *path = dor_path_join(w->a, w->dir, "annotations.json");
  if (!status) status = path ? dor_io_write(path, s.s, s.n) : DOR_FAIL(NOMEM, "a name");
  dor_str_release(&s);
  return status;
}

/* ---- films ---- */

static dor_status shoot(crew *w, const dor_synth_person *p, const dor_synth_look *look, int32_t trial, dor_film *film)
{
  const int32_t person = w->d->trial_subject[trial], movement = trial / w->d->n_subjects, n = w->d->keypoints->count[trial];
  const size_t bytes = (size_t)w->side * (size_t)w->side * 3;
  const dor_synth_camera camera = dor_synth_view(p, w->side);
  for (int32_t i = 0; i < n; i++) {
    dor_synth_body b;
    dor_synth_pose(p, movement, (i + 0.5) / n, &b);
    memcpy(w->rgb, w->room, bytes);
    dor_synth_paint(&b, camera, look, w->side, w->rgb);
    dor_synth_grain(w->c, (uint64_t)trial << 32 | (uint32_t)i, w->f->grain, bytes, w->rgb);
    DOR_TRY(dor_film_put(film, w->rgb, i / w->f->fps));
    if (i % w->f->every) continue;
    dor_synth_raster(&b, camera, w->side, w->mask);
    const char *name = dor_arena_fmt(w->a, "%s_%s_%04d.jpg", w->d->id[person], w->d->movement[trial], i);
    DOR_NEED(name, NOMEM, "a name");
    DOR_TRY(annotate(w, trial, i, name));
  }
  return DOR_OK;
}

static dor_status film_trial(crew *w, int32_t trial)
{
  const int32_t person = w->d->trial_subject[trial];
  const char *name = dor_arena_fmt(w->a, "%s_%s.mp4", w->d->id[person], w->d->movement[trial]);
  const char *path = dor_arena_fmt(w->a, "%s/videos/%s", w->dir, name);
  dor_synth_person p;
  dor_synth_look look;
  dor_film *film;
  DOR_NEED(name && path, NOMEM, "a name");
  dor_synth_draw(w->c, person, &p);
  dor_synth_dress(w->c, person, &look);
  dor_synth_room(w->c, person, w->side, w->room);
  DOR_TRY(dor_film_open(path, w->side, w->side, w->f->fps, DOR_SYNTH_TAG, &film));
  dor_status s = shoot(w, &p, &look, trial, film);
  if (s) {
    dor_film_drop(film);
    return s;
  }
  dor_csv_put(&w->manifest, name, false), dor_csv_put(&w->manifest, w->d->id[person], false), dor_csv_put(&w->manifest, w->d->movement[trial], false);
  dor_csv_put(&w->manifest, "right", false), dor_csv_put_real(&w->manifest, w->f->fps, false);
  dor_csv_put_int(&w->manifest, w->d->keypoints->count[trial], true);
  return dor_film_close(film);
}

/* ---- what a study has beside its videos ---- */

static dor_status write_text(const crew *w, const char *name, dor_str *s)
{
  const char *path = dor_path_join(w->a, w->dir, name);
  dor_status status = dor_str_status(s);
  if (!status) status = path ? dor_io_write(path, s->s, s->n) : DOR_FAIL(NOMEM, "a name");
  dor_str_release(s);
  return status;
}

static dor_status write_labels(const crew *w)
{
  dor_str s = {0};
  dor_csv_put(&s, "record_id", false);
  for (int32_t j = 0; j < w->d->n_targets; j++) dor_csv_put(&s, w->d->target[j].name, j + 1 == w->d->n_targets);
  for (int32_t i = 0; i < w->d->n_subjects; i++) {
    dor_csv_put(&s, w->d->id[i], false);
    for (int32_t j = 0; j < w->d->n_targets; j++)
      dor_csv_put(&s, w->d->target[j].names[(int32_t)w->d->target[j].value[i]], j + 1 == w->d->n_targets);
  }
  return write_text(w, "labels.csv", &s);
}

static dor_status write_proms(const crew *w)
{
  const dor_items *p = &w->d->proms.items;
  dor_str s = {0};
  dor_csv_put(&s, "record_id", false), dor_csv_put(&s, "age", false), dor_csv_put(&s, "sex", false);
  for (int32_t j = 0; j < p->n; j++) dor_csv_put(&s, p->name[j], j + 1 == p->n);
  for (int32_t i = 0; i < w->d->n_subjects; i++) {
    dor_csv_put(&s, w->d->id[i], false), dor_csv_put_real(&s, (double)w->d->age[i], false), dor_csv_put(&s, w->d->sex[i], false);
    for (int32_t j = 0; j < p->n; j++) dor_csv_put_real(&s, (double)w->d->proms.values[i * p->n + j], j + 1 == p->n);
  }
  return write_text(w, "proms.csv", &s);
}

static dor_status write_config(const crew *w)
{
  static const char text[] =
    "# What the columns of these files mean. " DOR_SYNTH_TAG ".\n"
    "name      = \"synthetic cohort on film\";\n"
    "license   = \"CC0-1.0\";\n"
    "synthetic = true;                                  # every output made from this says so\n"
    "ids       = \"keep\";\n\n"
    "videos = { table = \"manifest.csv\"; folder = \"videos\"; keep = [\"keypoints\", \"angles\"]; };\n"
    "labels = { table = \"labels.csv\"; subject = \"record_id\";\n"
    "           targets = ( { name = \"pattern\"; classes = [\"FP\", \"EP\"]; }, { name = \"class\"; classes = [\"MI\", \"MCI\"]; } ); };\n"
    "proms  = { table = \"proms.csv\"; subject = \"record_id\"; columns = [\"odi\", \"tsk11\", \"nrs\"]; };\n"
    "people = { table = \"proms.csv\"; subject = \"record_id\"; age = \"age\"; sex = \"sex\"; };\n";
  dor_str s = {0};
  dor_str_add(&s, text);
  return write_text(w, "cohort.cfg", &s);
}

/* ---- folders ---- */

static const char *const folders[] = {"videos", "frames"};

/* S001_forward.mp4, S001_forward_0005.jpg */
static bool is_ours(const char *name)
{
  const size_t digits = *name == 'S' ? strspn(name + 1, "0123456789") : 0;
  const char *dot = strrchr(name, '.');
  return digits && name[1 + digits] == '_' && dot && (!strcmp(dot, ".mp4") || !strcmp(dot, ".jpg"));
}

static dor_status look_into(dor_arena *a, const char *dir, const char *folder, bool force)
{
  const char *const *name, *path = dor_path_join(a, dir, folder);
  size_t n;
  DOR_NEED(path, NOMEM, "a name");
  if (!dor_io_is_dir(path)) return DOR_OK;
  DOR_TRY(dor_io_list(a, path, &name, &n));
  DOR_NEED(!n || force, USAGE, "%s is not empty; --force replaces what an earlier cohort left there", path);
  for (size_t i = 0; i < n; i++)
    DOR_NEED(is_ours(name[i]), USAGE, "%s/%s is of no synthetic cohort, and would stand among its files: name another folder", path, name[i]);
  return DOR_OK;
}

dor_status dor_synth_film_room(const char *dir, bool force)
{
  dor_arena a = {0};
  dor_status s = DOR_OK;
  for (size_t i = 0; !s && i < sizeof folders / sizeof *folders; i++) s = look_into(&a, dir, folders[i], force);
  dor_arena_release(&a);
  return s;
}

static dor_status make_folders(const crew *w)
{
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    const char *path = dor_path_join(w->a, w->dir, folders[i]);
    DOR_NEED(path, NOMEM, "a name");
    DOR_TRY(dor_io_mkdirs(path));
  }
  return DOR_OK;
}

/* What an earlier cohort left in one of its folders. */
static dor_status clear(dor_arena *a, const char *folder)
{
  const char *const *name;
  size_t n;
  DOR_TRY(dor_io_mkdirs(folder));
  DOR_TRY(dor_io_list(a, folder, &name, &n));
  for (size_t i = 0; i < n; i++) {
    const char *path = dor_path_join(a, folder, name[i]);
    DOR_NEED(path, NOMEM, "a name");
    if (is_ours(name[i])) DOR_TRY(dor_io_remove(path));
  }
  return DOR_OK;
}

static dor_status put_in_place(dor_arena *a, const char *from, const char *to)
{
  const char *const *name;
  size_t n;
  DOR_TRY(dor_io_list(a, from, &name, &n));
  for (size_t i = 0; i < n; i++) {
    const char *source = dor_path_join(a, from, name[i]), *target = dor_path_join(a, to, name[i]);
    DOR_NEED(source && target, NOMEM, "a name");
    if (dor_io_is_dir(source)) {
      DOR_TRY(clear(a, target));
      DOR_TRY(put_in_place(a, source, target));
    } else DOR_TRY(dor_io_move(source, target));
  }
  return DOR_OK;
}

static dor_status film_all(crew *w, dor_synth_watch *watch, void *to)
{
  const size_t pixels = (size_t)w->side * (size_t)w->side;
  w->room = dor_arena_alloc(w->a, 3 * pixels), w->rgb = dor_arena_alloc(w->a, 3 * pixels), w->mask = dor_arena_alloc(w->a, pixels);
  DOR_NEED(w->room && w->rgb && w->mask, NOMEM, "pictures of %d x %d pixels", w->side, w->side);
  DOR_TRY(choose_joints(w));
  DOR_TRY(make_folders(w));
  dor_str_add(&w->manifest, "file,record_id,movement,side,fps,frames\n");
  for (int32_t t = 0; t < w->d->n_trials; t++) {
    DOR_NEED(!watch || watch(to, t, w->d->n_trials), STOPPED, "stopped after %d of %d videos", t, w->d->n_trials);
    DOR_TRY(film_trial(w, t));
  }
  DOR_TRY(write_annotations(w));
  DOR_TRY(write_labels(w));
  DOR_TRY(write_proms(w));
  DOR_TRY(write_config(w));
  return write_text(w, "manifest.csv", &w->manifest);
}

/* Clean up after a failure, whose words are those that count. */
static dor_status clean_up(dor_status s, const char *stage)
{
  char why[1024];
  snprintf(why, sizeof why, "%s", dor_errmsg());
  if (dor_io_remove_tree(stage)) dor_errmsg_set(why);
  return s;
}

dor_status dor_synth_film(const dor_dataset *d, const dor_synth_cfg *c, const dor_synth_film_cfg *f, const char *dir, dor_synth_watch *watch, void *to)
{
  dor_arena a = {0};
  const char *stage = dor_arena_fmt(&a, "%s/.tmp.%ld", dir, (long)getpid());
  DOR_NEED(stage, NOMEM, "a name");
  crew w = {.d = d, .c = c, .f = f, .dir = stage, .a = &a, .side = (int32_t)f->side};
  dor_status s = film_all(&w, watch, to);
  if (!s) {
    dor_io_gather();
    s = dor_io_settle(put_in_place(&a, stage, dir));
  }
  if (s) s = clean_up(s, stage);
  else s = dor_io_remove_tree(stage);
  dor_str_release(&w.images), dor_str_release(&w.annotations), dor_str_release(&w.manifest);
  dor_arena_release(&a);
  return s;
}
