/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum pose: people in pictures and videos, by a network whose weights are in a file. */
#include "cli/pose_job.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "data/video.h"
#include "pose/draw.h"
#include "pose/resize.h"

typedef dor_pose_entry entry;
typedef dor_pose_job job;

static const dor_key own_keys[] = {
#define KEYS_OF dor_pose_own
#include "base/keys_rows.h"
    KEY_TEXT(annotations, "", "COCO file whose image ids the results take, by file name; pictures as they are stored")
    KEY_TEXTS(names, "", "the joints of weights that have no record of them, in the order of their channels")
    KEY_BOOL(skip, false, "pictures and videos that cannot be used are named and left out; else the first ends the program")
    KEY_BOOL(single, false, "videos: one person, followed through time, gaps filled and flagged, smoothed; keys of `pose, single=true`")
    KEY_REAL(least, 0.05, 0, 1, "", "overlay: joints with a higher score are drawn")
    KEY_TEXT(name, "higherhrnet", "FILE.h5: what the keypoints and angles are called there")
#include "base/keys_end.h"
    {0}};

/* ---- what is asked ---- */

/* Keys of all tables but one: those that its loader passes over. */
static const char **others(const dor_key *keys, const char *names[], size_t most)
{
  const dor_key *const tables[] = {dor_pose_keys, own_keys, dor_track_keys};
  size_t n = 0;
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const dor_key *k = tables[t]; tables[t] != keys && k->name && n + 1 < most; k++) names[n++] = k->name;
  names[n] = NULL;
  return names;
}

static dor_status load(job *j, const dor_tree *root, const dor_key *keys, void *obj)
{
  const char *names[64];
  DOR_TRY(dor_schema_defaults(keys, obj, &j->c->arena));
  return dor_schema_load(keys, obj, root, others(keys, names, 64), &j->c->arena);
}

/* The finder takes a list of names in place of a set's. */
static dor_status take_names(job *j)
{
  const dor_texts *n = &j->own.names;
  DOR_NEED(!n->n || !*j->cfg.keypoints, CONFIG, "command line: names says the joints, and keypoints = '%s' too", j->cfg.keypoints);
  for (int32_t i = 0; i < n->n; i++) {
    DOR_NEED(!strchr(n->v[i], ','), CONFIG, "command line: names: '%s' has a comma in it", n->v[i]);
    j->cfg.keypoints = dor_arena_fmt(&j->c->arena, "%s%s%s", j->cfg.keypoints, n->v[i], i + 1 < n->n || n->n == 1 ? "," : "");
    DOR_NEED(j->cfg.keypoints, NOMEM, "names of %d joints", n->n);
  }
  return DOR_OK;
}

static dor_status settings(job *j)
{
  dor_tree root = {.type = DOR_TREE_GROUP, .file = "command line"};
  for (int32_t i = 0; i < j->c->n_assign; i++) DOR_TRY(dor_tree_assign(&j->c->arena, &root, j->c->assign[i]));
  DOR_TRY(load(j, &root, dor_pose_keys, &j->cfg));
  DOR_TRY(load(j, &root, own_keys, &j->own));
  DOR_TRY(take_names(j));
  j->own.single = j->own.single || j->form == DOR_POSE_CLIPS;
  DOR_NEED(*j->own.name && !strpbrk(j->own.name, "/.") && dor_is_utf8(j->own.name), CONFIG, "command line: name = '%s': a word is wanted, without '/' and '.'",
           j->own.name);
  DOR_TRY(load(j, &root, dor_track_keys, &j->track));
  for (const dor_key *k = dor_track_keys; k->name; k++)
    for (int32_t i = 0; i < j->c->n_assign; i++) {
      const size_t n = strlen(k->name);
      DOR_NEED(j->own.single || strncmp(j->c->assign[i], k->name, n) != 0 || j->c->assign[i][n] != '=', CONFIG, "command line: %s needs single=true",
               j->c->assign[i]);
    }
  return DOR_OK;
}

static dor_status choose_form(job *j)
{
  static const char *const ends[] = {".csv", ".json", ".h5"};
  DOR_TRY(dor_cli_need_out(j->c, "people (FILE.csv, FILE.json or FILE.h5)"));
  const char *dot = strrchr(j->c->out, '.');
  for (int i = 0; i < 3; i++) {
    j->form = (dor_pose_form)i;
    if (dot && !strcmp(dot, ends[i])) return DOR_OK;
  }
  return DOR_FAIL(USAGE, "-o %s: people go to FILE.csv, as COCO's results to FILE.json, or as clips of a cohort to FILE.h5", j->c->out);
}

/* ---- the pictures and videos ---- */

/* name: of one in a cohort, NULL: dor_pose_names gives it */
static dor_status add(job *j, const char *path, const char *name)
{
  if (j->n == j->cap) {
    int32_t cap = j->cap ? 2 * j->cap : 64;
    entry *grown = dor_realloc(j->at, (size_t)cap * sizeof *grown);
    DOR_NEED(grown, NOMEM, "a list of %d pictures", cap);
    j->at = grown, j->cap = cap;
  }
  j->at[j->n] = (entry){.path = dor_arena_str(&j->c->arena, path), .name = name ? dor_arena_str(&j->c->arena, name) : "", .id = j->n + 1,
                        .video = dor_video_name(path), .recording = -1, .frames = 1};
  DOR_NEED(j->at[j->n].path && j->at[j->n].name, NOMEM, "a list of pictures");
  j->n_videos += j->at[j->n++].video;
  return DOR_OK;
}

static bool wanted(const char *name) { return dor_picture_name(name) || dor_video_name(name); }

static dor_status add_folder(job *j, const char *folder)
{
  const char *const *names;
  size_t n;
  int32_t before = j->n;
  DOR_TRY(dor_io_list(&j->c->arena, folder, &names, &n));
  for (size_t i = 0; i < n; i++)
    if (wanted(names[i])) DOR_TRY(add(j, dor_path_join(&j->c->arena, folder, names[i]), NULL));
  DOR_NEED(j->n > before, USAGE, "%s: no pictures in this folder (.png, .jpg, .jpeg), and no videos (.mp4, .mov, .m4v, .mkv, .webm, .avi)", folder);
  return DOR_OK;
}

static bool is_cohort(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot && (!strcmp(dot, ".cfg") || !strcmp(dot, ".csv"));
}

/* Every video that its manifest names. */
static dor_status add_cohort(job *j, const char *path)
{
  DOR_NEED(!j->clips.src, USAGE, "%s and %s: one cohort at a time", j->clips.src, path);
  DOR_TRY(dor_clips_open(&j->clips, path));
  for (int32_t i = 0; i < j->clips.who.n; i++) {
    const dor_recording *r = &j->clips.who.at[i];
    DOR_NEED(dor_video_name(r->file), DATA, "%s: row %d: '%s' is no video (.mp4, .mov, .m4v, .mkv, .webm, .avi)", path, i + 1, r->file);
    DOR_TRY(add(j, r->path, r->file));
    j->at[j->n - 1].recording = i;
  }
  return DOR_OK;
}

static dor_status add_any(job *j, const char *path)
{
  DOR_TRY(dor_cli_must_exist(path));
  if (dor_io_is_dir(path)) return add_folder(j, path);
  if (wanted(path)) return add(j, path, NULL);
  if (is_cohort(path)) return add_cohort(j, path);
  return DOR_FAIL(USAGE, "%s: neither a picture (.png, .jpg, .jpeg) nor a video (.mp4, .mov, .m4v, .mkv, .webm, .avi) nor a folder of them, nor a "
                         "cohort's config or manifest (.cfg, .csv)", path);
}

static dor_status list(job *j)
{
  for (int32_t i = 1; i < j->c->n_arg; i++) DOR_TRY(add_any(j, j->c->arg[i]));
  for (int32_t i = 0; j->form == DOR_POSE_CLIPS && i < j->n; i++)
    DOR_NEED(j->at[i].recording >= 0, USAGE, "%s: for clips (-o %s) it must be said who is in which video: name the cohort's config or manifest in place of "
             "its videos (docs/guide/video.md); or write people to FILE.csv", j->at[i].path, j->c->out);
  return DOR_OK;
}

static bool may_skip(const job *j, dor_status s) { return j->own.skip && (s == DOR_E_DATA || s == DOR_E_IO); }

/* Headers are read first: what cannot be used ends the program before the work begins; with skip=true, when its turn comes. */
static dor_status plan(job *j)
{
  for (int32_t i = 0; i < j->n; i++) {
    entry *e = &j->at[i];
    DOR_NEED(e->video || !j->own.single, USAGE, "%s: single=true follows a person through videos, and this is a picture", e->path);
    dor_status s = e->video ? dor_pose_video_plan(j, e) : DOR_OK;
    if (s && !may_skip(j, s)) return s;
    j->total = j->total < 0 || e->frames < 0 ? -1 : j->total + e->frames;
  }
  return DOR_OK;
}

/* ---- ids of COCO ---- */

static const char *base_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* The image whose file's path ends the picture's; else one of its name, in whatever folder. */
static int32_t image_of(const dor_coco *c, const entry *e)
{
  const size_t n = strlen(e->address);
  for (int32_t i = 0; i < c->n_images; i++) {
    const size_t m = strlen(c->image[i].file);
    if (m < n && e->address[n - m - 1] == '/' && !strcmp(e->address + n - m, c->image[i].file)) return i;
  }
  for (int32_t i = 0; i < c->n_images; i++)
    if (!strcmp(base_name(c->image[i].file), base_name(e->path))) return i;
  return -1;
}

static dor_status ids_of_annotations(job *j)
{
  int32_t category;
  DOR_TRY(dor_coco_read(&j->truth, j->own.annotations));
  DOR_TRY(dor_coco_person(&j->truth, NULL, &category));
  j->category = j->truth.category[category].id;
  const entry **of = dor_arena_alloc(&j->c->arena, ((size_t)j->truth.n_images + 1) * sizeof *of);
  DOR_NEED(of, NOMEM, "%d images", j->truth.n_images);
  for (int32_t i = 0; i < j->n; i++) {
    const int32_t k = image_of(&j->truth, &j->at[i]);
    DOR_NEED(k >= 0, DATA, "%s: no image is called '%s'", j->own.annotations, base_name(j->at[i].path));
    DOR_NEED(!of[k], DATA, "%s and %s: both would be image %lld ('%s') of %s", of[k]->path, j->at[i].path, (long long)j->truth.image[k].id,
             j->truth.image[k].file, j->own.annotations);
    of[k] = &j->at[i];
    j->at[i].id = j->truth.image[k].id;
  }
  return DOR_OK;
}

static int by_id(const void *a, const void *b)
{
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* 000000000785.jpg is image 785, where all names are such numbers, and no two the same. */
static dor_status ids_of_names(job *j)
{
  int64_t *id = dor_arena_alloc(&j->c->arena, 2 * ((size_t)j->n + 1) * sizeof *id), *sorted = id + j->n;
  DOR_NEED(id, NOMEM, "ids of %d pictures", j->n);
  for (int32_t i = 0; i < j->n; i++) {
    size_t digits = strspn(j->at[i].name, "0123456789");
    if (j->at[i].video || !digits || digits > 15 || j->at[i].name[digits] != '.' || strchr(j->at[i].name, '/')) return DOR_OK;
    id[i] = sorted[i] = strtoll(j->at[i].name, NULL, 10);
  }
  qsort(sorted, (size_t)j->n, sizeof *sorted, by_id);
  for (int32_t i = 1; i < j->n; i++)
    if (sorted[i] == sorted[i - 1]) return DOR_OK;
  for (int32_t i = 0; i < j->n; i++) j->at[i].id = id[i];
  j->counted = false;
  return DOR_OK;
}

static dor_status number(job *j)
{
  j->category = 1;
  if (*j->own.annotations) return ids_of_annotations(j);
  j->counted = true;
  return j->form == DOR_POSE_COCO ? ids_of_names(j) : DOR_OK;
}

/* ---- work ---- */

void dor_pose_tell(job *j, int64_t seen)
{
  double now = dor_clock_s(), spent = now - j->began;
  const int64_t tenth = j->total > 0 ? 10 * seen / j->total : seen / 100;
  char line[160], left[32], of[32] = "";
  if (dor_finder_bytes(j->finder) > j->planned) {
    j->planned = dor_finder_bytes(j->finder);
    dor_say(j->c, "the network's memory: %.0f MiB planned", (double)j->planned / 1048576);
  }
  if (dor_output_redraws() ? now - j->told < 0.1 : tenth == j->told_tenth || seen == j->total) return;
  j->told = now, j->told_tenth = tenth;
  dor_cli_time(seen && j->total >= seen ? spent / (double)seen * (double)(j->total - seen) : -1, left);
  if (j->total >= 0) snprintf(of, sizeof of, "/%lld", (long long)j->total);
  snprintf(line, sizeof line, "%s %lld%s, %.2f a second, %lld people, %s left", j->n_videos ? "frames" : "pictures", (long long)seen, of,
           spent > 0 ? (double)seen / spent : 0, (long long)j->people, left);
  if (dor_output_redraws()) dor_output_redraw(line);
  else dor_output_line(line);
}

static dor_status read_picture(const job *j, const entry *e, dor_picture *out)
{
  dor_fit fit;
  char why[256];
  DOR_TRY(*j->own.annotations ? dor_picture_read_stored(e->path, 3, out) : dor_picture_read(e->path, 3, out));
  dor_status s = dor_fit_of(out->w, out->h, DOR_FIT_STEP, 1, 1, &fit);
  if (!s) return DOR_OK;
  snprintf(why, sizeof why, "%s", dor_errmsg());
  dor_free(out->pixels);
  *out = (dor_picture){0};
  return DOR_FAIL(DATA, "%s: %s", e->path, why);
}

static void leave_out(job *j)
{
  char line[512];
  snprintf(line, sizeof line, "warning: left out: %s", dor_errmsg());
  dor_output_line(line);
  j->skipped++;
}

/* Up to a batch of pictures that can be read, from j->done on; index [batch] says which they are. */
static dor_status read_batch(job *j, dor_picture *picture, int32_t *index, int32_t *n)
{
  *n = 0;
  for (; j->done < j->n && !j->at[j->done].video && *n < j->cfg.batch; j->done++, j->seen++) {
    dor_status s = read_picture(j, &j->at[j->done], &picture[*n]);
    if (!s) index[(*n)++] = j->done;
    else if (!may_skip(j, s)) return s;
    else leave_out(j);
  }
  return DOR_OK;
}

const char *dor_pose_stamp(job *j, bool synthetic)
{
  j->synthetic = j->synthetic || synthetic;
  return synthetic ? j->stamp_made : j->stamp;
}

const char *dor_pose_tag(dor_arena *a, const char *stamp) { return *stamp ? dor_arena_fmt(a, "%s: joints by dorsum pose", stamp) : NULL; }

static dor_status overlay(const job *j, const entry *e, dor_picture *p, const char *stamp, const dor_people *people)
{
  dor_arena a = {0};
  const dor_finder_facts *f = dor_finder_about(j->finder);
  dor_draw_people(p, f->keypoints, people->n, people->joint, (float)j->own.least);
  if (strstr(stamp, "SYNTHETIC")) dor_draw_synthetic(p);
  const char *path;
  dor_status s = dor_pose_overlay_path(j, e, &a, &path);
  if (!s) s = dor_picture_write(path, p, dor_pose_tag(&a, stamp));
  dor_arena_release(&a);
  return s;
}

void dor_pose_rows(job *j, const dor_pose_frame *f)
{
  if (j->form == DOR_POSE_COCO) dor_pose_coco(f, &j->rows, &j->text);
  else dor_pose_csv(f, &j->text);
}

static dor_status take(job *j, const entry *e, dor_picture *p, const dor_people *people)
{
  dor_pose_frame f = {.file = e->name, .say_file = j->counted, .frame = -1, .image_id = e->id + j->more_ids, .category_id = j->category,
                      .stamp = dor_pose_stamp(j, p->synthetic || j->truth.synthetic), .people = people};
  dor_pose_rows(j, &f);
  j->people += people->n, j->empty += !people->n, j->taken++;
  DOR_TRY(dor_str_status(&j->text));
  return j->c->overlay ? overlay(j, e, p, f.stamp, people) : DOR_OK;
}

static dor_status run_batch(job *j, dor_picture *picture, int32_t *index, dor_people *people)
{
  dor_arena a = {0};
  int32_t n;
  dor_status s = read_batch(j, picture, index, &n);
  if (!s) s = dor_finder_run(j->finder, n, picture, &a, people);
  for (int32_t i = 0; !s && i < n; i++) s = take(j, &j->at[index[i]], &picture[i], &people[i]);
  for (int32_t i = 0; i < n; i++) dor_free(picture[i].pixels);
  dor_arena_release(&a);
  dor_pose_tell(j, j->seen);
  return s;
}

static dor_status run_video(job *j)
{
  dor_status s = dor_pose_video(j, &j->at[j->done++]);
  if (!s || !(may_skip(j, s) || (j->own.skip && s == DOR_E_CONFIG))) return s; /* a rate that only its frames tell */
  leave_out(j);
  return DOR_OK;
}

static dor_status write_clips(job *j)
{
  const dor_finder_facts *f = dor_finder_about(j->finder);
  const dor_clips_facts facts = {.name = j->own.name, .keypoints = f->keypoints, .weights_sha256 = f->sha256,
                                 .stamp = j->synthetic ? j->stamp_made : j->stamp};
  return dor_clips_write(&j->clips, &facts, j->c->out);
}

static dor_status write_text(job *j)
{
  if (j->form == DOR_POSE_COCO) dor_str_add(&j->text, "]\n");
  DOR_TRY(dor_str_status(&j->text));
  return dor_io_write(j->c->out, j->text.s, j->text.n);
}

static dor_status find(job *j)
{
  size_t batch = (size_t)j->cfg.batch;
  dor_picture *picture = dor_arena_alloc(&j->c->arena, batch * sizeof *picture);
  int32_t *index = dor_arena_alloc(&j->c->arena, batch * sizeof *index);
  dor_people *people = dor_arena_alloc(&j->c->arena, batch * sizeof *people);
  DOR_NEED(picture && index && people, NOMEM, "out of memory");
  if (j->form == DOR_POSE_COCO) dor_str_add(&j->text, "[");
  if (j->form == DOR_POSE_CSV) dor_pose_csv_head(dor_finder_about(j->finder)->keypoints, &j->text);
  j->began = dor_clock_s();
  while (j->done < j->n) {
    DOR_NEED(!dor_stop_requested(), STOPPED, "stopped after %d of %d pictures and videos", j->done, j->n);
    DOR_TRY(j->at[j->done].video ? run_video(j) : run_batch(j, picture, index, people));
  }
  dor_output_redraw("");
  DOR_TRY(j->form == DOR_POSE_CLIPS ? write_clips(j) : write_text(j));
  return dor_pose_put_overlays(j);
}

/* ---- the report ---- */

static void say_weights(const job *j)
{
  const dor_finder_facts *f = dor_finder_about(j->finder);
  dor_say(j->c, "weights %.12s: %lld parameters, %s; %s", f->sha256, (long long)f->n_params, f->keypoints->name, f->record);
  if (*f->stamp) dor_say(j->c, "%s: what these weights find bears that stamp", f->stamp);
}

static void say_done(const job *j)
{
  const dor_finder_times *t = dor_finder_time(j->finder);
  double n = t->pictures ? (double)t->pictures : 1;
  dor_say(j->c, "wrote %s: %lld %s in %lld %s, %lld of them without anybody%s", j->c->out, (long long)j->people, j->own.single ? "sightings" : "people",
          (long long)j->taken, j->n_videos ? "frames" : "pictures", (long long)j->empty,
          j->form == DOR_POSE_COCO ? "; image ids: see dorsum pose --help" : "");
  if (j->skipped) dor_say(j->c, "left out: %d %s that cannot be used", j->skipped, j->n_videos ? "pictures and videos" : "pictures");
  dor_say(j->c, "a %s: network %.3f s, maps %.3f s, people %.3f s; programs %.1f s in all, %.0f MiB planned", j->n_videos ? "frame" : "picture",
          t->net_s / n, t->aggregate_s / n, t->group_s / n, t->build_s, (double)dor_finder_bytes(j->finder) / 1048576.0);
  if (j->form == DOR_POSE_COCO && !j->n_videos) dor_say(j->c, "next: dorsum pose-eval ANNOTATIONS.json %s", j->c->out);
  if (j->form == DOR_POSE_CLIPS) dor_say(j->c, "next: dorsum check %s", j->c->out);
}

static void print_json(const job *j)
{
  const dor_finder_times *t = dor_finder_time(j->finder);
  const dor_finder_facts *f = dor_finder_about(j->finder);
  dor_out_json(json_pack("{s:o, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:I}", "out", dor_json_text(j->c->out),
                         "weights_sha256", f->sha256, "keypoints", f->keypoints->name, "stamp", j->synthetic ? j->stamp_made : j->stamp, "size", f->size,
                         "pictures", (json_int_t)j->taken, "people", (json_int_t)j->people, "empty", (json_int_t)j->empty, "skipped", j->skipped, "seconds",
                         dor_clock_s() - j->began, "build_s", t->build_s, "network_s", t->net_s, "maps_s", t->aggregate_s, "people_s", t->group_s,
                         "planned_bytes", (json_int_t)dor_finder_bytes(j->finder)));
}

static dor_status take_stamps(job *j)
{
  j->stamp = dor_finder_about(j->finder)->stamp;
  j->stamp_made = strstr(j->stamp, "SYNTHETIC") ? j->stamp : dor_arena_fmt(&j->c->arena, "SYNTHETIC%s%s", *j->stamp ? " " : "", j->stamp);
  DOR_NEED(j->stamp_made, NOMEM, "a stamp");
  return DOR_OK;
}

static dor_status work(job *j)
{
  DOR_TRY(choose_form(j));
  DOR_TRY(settings(j));
  DOR_TRY(dor_cli_must_exist(j->c->arg[0]));
  DOR_TRY(list(j));
  DOR_TRY(dor_pose_names(j));
  DOR_TRY(dor_pose_places(j));
  DOR_TRY(plan(j));
  DOR_TRY(number(j));
  DOR_TRY(dor_pose_stage(j));
  dor_catch_signals();
  const dor_backend *backend;
  DOR_TRY(dor_cli_device(j->c, false, &backend));
  DOR_TRY(dor_finder_open(&j->finder, j->c->arg[0], &j->cfg, backend));
  say_weights(j);
  DOR_TRY(take_stamps(j));
  if (j->form == DOR_POSE_CLIPS) DOR_TRY(dor_clips_name(&j->clips));
  DOR_TRY(find(j));
  if (j->c->json) print_json(j);
  say_done(j);
  return DOR_OK;
}

static dor_status run(dor_cli *c)
{
  job j = {.c = c};
  dor_status s = work(&j);
  dor_output_redraw("");
  if (s == DOR_E_STOPPED) dor_say(c, "nothing was written; next: the same command from the start");
  dor_pose_unstage(&j);
  dor_finder_close(j.finder);
  dor_clips_release(&j.clips);
  dor_coco_release(&j.truth);
  dor_str_release(&j.text);
  dor_free(j.at);
  return s;
}

const dor_command dor_command_pose = {
    .name = "pose",
    .summary = "find people and their joints in pictures and videos",
    .usage = "WEIGHTS PICTURE|VIDEO|FOLDER|COHORT... -o FILE.csv|FILE.json|FILE.h5 [key=value ...]",
    .options = "ovdfJq",
    .examples = "  dorsum pose pose_higher_hrnet_w32_512.pth photos/ -o people.csv --overlay drawn\n"
                "  dorsum pose pose_higher_hrnet_w32_512.pth val2017/ -o found.json annotations=person_keypoints_val2017.json\n"
                "  dorsum pose w48.safetensors a.jpg b.png -o people.csv size=640 scales=0.5,1,2\n"
                "  dorsum pose w32.safetensors bend.mp4 -o bend.csv single=true cutoff_hz=6 --overlay drawn\n"
                "  dorsum pose w32.safetensors filmed/cohort.cfg -o clips.h5\n",
    .text = "WEIGHTS: HigherHRNet's, .pth or .safetensors; width and joints are read from them. FILE.csv has a row a person, FILE.json is\n"
            "COCO's list of results: image ids are those of `annotations`, else the numbers that the pictures are called by (000000000785.jpg),\n"
            "else 1, 2, ... in the order given. A picture without anybody adds nothing. A picture that cannot be read ends the program with\n"
            "exit code 3 and nothing is written; skip=true names it and goes on; so does a video in which nobody is seen. Rows of videos carry\n"
            "frame (from 0) and time_s; in FILE.json a frame takes an id like a picture. Files are called by their names; where two have one name, with\n"
            "the folders that tell them apart. single=true follows the largest (person=central: the most\n"
            "central) person of each video: a row a frame, gaps filled and named in `filled`, smoothed. --overlay FOLDER: a.png of a picture,\n"
            "a_pose.mp4 of a video. COHORT: a config (.cfg) or manifest (.csv) that says who is in which video; with it FILE.h5 is a dataset\n"
            "of clips, as single=true finds them: keypoints, times, flags, flexion angle, and the cohort's tables. Keys: annotations, names,\n"
            "skip, least, single, name, and those of `pose` in dorsum help config.\n",
    .least = 2,
    .most = -1,
    .run = run};
