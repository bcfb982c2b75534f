/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of pictures as a dataset: silhouettes (frames of trials, 255 = person)
 * or images. What each shows comes from the folder it lies in or from a manifest.
 * A picture without a subject is a person of its own; groups come from the
 * manifest, else from near-duplicates. */
#include "data/import.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/near.h"
#include "data/picture.h"
#include "data/pixels.h"

typedef struct entry {          /* a picture to be read */
  const char *file;             /* under the source folder */
  const char *class, *subject, *group, *movement, *view; /* "" where not given */
  int32_t who, label, trial;
} entry;

typedef struct pictures {
  dor_dataset *d;
  dor_arena *a;
  const char *src;
  const dor_import_cfg *cfg;
  bool silhouettes, by_subject, by_group;
  int32_t n, dropped;
  entry *e;
  dor_intern classes, people;
  int32_t h, w, c;
  uint8_t *pixels;              /* [n,h,w,c] */
  dor_hash source;
} pictures;

static dor_status no_memory(const pictures *p) { return DOR_FAIL(NOMEM, "%d pictures", p->n); }

/* ---- what there is ---- */

static dor_status list_class(pictures *p, const char *class, int32_t *room)
{
  const char *const *names;
  size_t n;
  DOR_TRY(dor_io_list(p->a, dor_path_join(p->a, p->src, class), &names, &n));
  for (size_t i = 0; i < n; i++) {
    if (!dor_picture_name(names[i])) {
      p->dropped++;
      continue;
    }
    if (p->n == *room) {
      entry *more = dor_arena_alloc(p->a, (size_t)*room * 2 * sizeof *more);
      if (!more) return no_memory(p);
      p->e = memcpy(more, p->e, (size_t)p->n * sizeof *more);
      *room *= 2;
    }
    p->e[p->n++] = (entry){dor_arena_fmt(p->a, "%s/%s", class, names[i]), class, "", "", "", "", 0, 0, 0};
    if (!p->e[p->n - 1].file) return no_memory(p);
  }
  return DOR_OK;
}

static dor_status list_folders(pictures *p)
{
  const char *const *names;
  size_t n;
  int32_t room = 1024;
  DOR_TRY(dor_io_list(p->a, p->src, &names, &n));
  p->e = dor_arena_alloc(p->a, (size_t)room * sizeof *p->e);
  if (!p->e) return no_memory(p);
  for (size_t i = 0; i < n; i++) {
    const char *sub = dor_path_join(p->a, p->src, names[i]);
    if (!sub) return no_memory(p);
    if (dor_io_is_dir(sub)) DOR_TRY(list_class(p, names[i], &room));
    else p->dropped++;
  }
  DOR_NEED(p->n > 0, DATA, "%s: no folder with PNG or JPEG files in it (a folder per class), and no manifest was named", p->src);
  return DOR_OK;
}

static const char *cell(const dor_csv *t, int32_t row, int32_t col) { return col < 0 ? "" : dor_csv_at(t, row, col); }

static dor_status take_row(pictures *p, const dor_csv *t, int32_t row, const int32_t col[6])
{
  entry *e = &p->e[p->n++];
  *e = (entry){cell(t, row, col[0]), cell(t, row, col[1]), cell(t, row, col[2]), cell(t, row, col[3]), cell(t, row, col[4]), cell(t, row, col[5]), 0, 0, 0};
  DOR_NEED(e->file[0], DATA, "%s:%d: file is empty", t->path, t->line[row]);
  DOR_NEED(e->file[0] != '/' && !strstr(e->file, ".."), DATA, "%s:%d: file: a path below the source folder is wanted, without '..'", t->path, t->line[row]);
  for (int i = 1; i < 6; i++) /* of these only subject and group must be said of every picture */
    if (col[i] >= 0) DOR_TRY(dor_import_name(t, row, col[i], i != 2 && i != 3));
  return DOR_OK;
}

static dor_status list_manifest(pictures *p)
{
  static const char *const columns[] = {"file", "class", "subject", "group", "movement", "view"};
  dor_csv t;
  int32_t col[6];
  DOR_TRY(dor_csv_read(p->a, p->cfg->manifest, &t));
  DOR_TRY(dor_csv_need(&t, "file", &col[0]));
  DOR_TRY(dor_csv_no_near_miss(&t, columns, 6));
  for (int i = 1; i < 6; i++) col[i] = dor_csv_find(&t, columns[i]);
  DOR_NEED(t.n_rows > 0, DATA, "%s: no rows", t.path);
  p->by_subject = col[2] >= 0, p->by_group = col[3] >= 0;
  p->e = dor_arena_alloc(p->a, (size_t)t.n_rows * sizeof *p->e);
  if (!p->e) return no_memory(p);
  for (int32_t r = 0; r < t.n_rows; r++) DOR_TRY(take_row(p, &t, r, col));
  return DOR_OK;
}

/* ---- pixels ---- */

static void binarise(dor_picture *im, int64_t threshold)
{
  size_t n = (size_t)im->h * (size_t)im->w * (size_t)im->c;
  for (size_t i = 0; i < n; i++) im->pixels[i] = im->pixels[i] > threshold ? 255 : 0;
}

static dor_status first_size(pictures *p, const dor_picture *im)
{
  const dor_ints *size = &p->cfg->size;
  DOR_NEED(!size->n || size->n == 2, CONFIG, "--size: %d numbers, height,width are wanted", size->n);
  p->h = size->n ? (int32_t)size->v[0] : im->h, p->w = size->n ? (int32_t)size->v[1] : im->w;
  char what[64];
  snprintf(what, sizeof what, "pictures of %d x %d x %d", p->h, p->w, p->c);
  DOR_TRY(dor_dataset_room((uint64_t)p->n, (uint64_t)p->h * (uint64_t)p->w * (uint64_t)p->c, what, "--size H,W stores them smaller"));
  p->pixels = dor_arena_alloc(p->a, (size_t)p->n * (size_t)p->h * (size_t)p->w * (size_t)p->c);
  DOR_NEED(p->pixels, NOMEM, "%d pictures of %d x %d pixels", p->n, p->h, p->w);
  return DOR_OK;
}

static dor_status store(pictures *p, int32_t i, const dor_picture *im)
{
  if (!p->pixels) DOR_TRY(first_size(p, im));
  DOR_NEED(p->cfg->size.n || (im->h == p->h && im->w == p->w), DATA, "%s: %d x %d pixels, the first picture has %d x %d; --size H,W makes them equal",
      p->e[i].file, im->h, im->w, p->h, p->w);
  uint8_t *to = p->pixels + (size_t)i * (size_t)p->h * (size_t)p->w * (size_t)p->c;
  return dor_pixels_resize(im->h, im->w, im->c, im->pixels, p->h, p->w, to);
}

static dor_status read_pictures(pictures *p)
{
  char hex[DOR_HASH_HEX];
  for (int32_t i = 0; i < p->n; i++) {
    dor_picture im;
    const char *path = dor_path_join(p->a, p->src, p->e[i].file);
    if (!path) return no_memory(p);
    DOR_TRY(dor_picture_read(path, p->c, &im));
    dor_hash_bytes(im.pixels, (size_t)im.h * (size_t)im.w * (size_t)im.c, hex);
    dor_hash_text(&p->source, p->e[i].file, hex);
    if (p->cfg->threshold >= 0) binarise(&im, p->cfg->threshold);
    dor_status s = store(p, i, &im);
    dor_free(im.pixels);
    DOR_TRY(s);
  }
  return DOR_OK;
}

/* Stored is 255 = person. The person is taken to be the rarer colour, unless it was said. */
static void settle_polarity(pictures *p)
{
  enum { AUTO, BLACK, WHITE };
  size_t n = (size_t)p->n * (size_t)p->h * (size_t)p->w, dark = 0;
  for (size_t i = 0; i < n; i++) dark += p->pixels[i] < 128;
  bool black = p->cfg->person == BLACK || (p->cfg->person == AUTO && 2 * dark < n);
  dor_note("person is %s%s; %.1f %% of all pixels are person", black ? "black" : "white", p->cfg->person == AUTO ? " (the rarer colour)" : "",
      100.0 * (double)(black ? dark : n - dark) / (double)n);
  for (size_t i = 0; i < n && black; i++) p->pixels[i] = (uint8_t)(255 - p->pixels[i]);
}

/* ---- people, groups, labels ---- */

static dor_status number_people(pictures *p, bool *named)
{
  DOR_TRY(dor_intern_init(&p->people, p->a, p->n));
  DOR_TRY(dor_intern_init(&p->classes, p->a, p->n));
  for (int32_t i = 0; i < p->n; i++) {
    entry *e = &p->e[i];
    const char *id = p->by_subject ? e->subject : dor_arena_fmt(p->a, "%d", i + 1);
    if (!id) return no_memory(p);
    e->who = dor_intern_put(&p->people, id, NULL);
    e->label = e->class[0] ? dor_intern_put(&p->classes, e->class, NULL) : -1;
  }
  p->d->n_subjects = p->people.n;
  p->d->id = p->people.name;
  *named = p->by_subject && p->cfg->ids == 0;
  return DOR_OK;
}

static dor_status join_given(pictures *p, dor_union *u)
{
  dor_intern names;
  int32_t *leader = dor_arena_alloc(p->a, (size_t)p->n * sizeof *leader);
  if (!leader) return no_memory(p);
  DOR_TRY(dor_intern_init(&names, p->a, p->n));
  for (int32_t i = 0; i < p->n; i++) {
    int32_t fresh, g = dor_intern_put(&names, p->e[i].group, &fresh);
    if (fresh) leader[g] = i;
    dor_union_join(u, leader[g], i);
  }
  dor_note("groups are the manifest's: %d", names.n);
  return DOR_OK;
}

static dor_status join_near(pictures *p, dor_union *u)
{
  int64_t pairs;
  DOR_TRY(dor_near_join(u, p->h, p->w, p->c, p->pixels, !p->silhouettes, p->cfg->near, &pairs));
  int32_t groups = 0;
  for (int32_t i = 0; i < p->n; i++) groups += dor_union_find(u, i) == i;
  dor_note("near-duplicates: %s above %g at 32x32, mirror images included: %lld pairs, %d groups of %d pictures", p->silhouettes ? "cosine" : "correlation",
      p->cfg->near, (long long)pairs, groups, p->n);
  return DOR_OK;
}

/* Pictures of one person belong together too; a subject's group is that of its pictures. */
static dor_status take_groups(pictures *p)
{
  if (!p->by_group && !(p->cfg->near > 0)) return DOR_OK;
  dor_union u;
  int32_t n = 0, *group = dor_arena_alloc(p->a, (size_t)p->people.n * sizeof *group), *first = dor_arena_alloc(p->a, (size_t)p->people.n * sizeof *first),
          *number = dor_arena_alloc(p->a, (size_t)p->n * sizeof *number);
  if (!group || !first || !number) return no_memory(p);
  DOR_TRY(dor_union_init(&u, p->a, p->n));
  DOR_TRY(p->by_group ? join_given(p, &u) : join_near(p, &u));
  for (int32_t i = 0; i < p->n; i++) {
    int32_t *f = &first[p->e[i].who];
    if (!*f) *f = i + 1;
    dor_union_join(&u, *f - 1, i);
  }
  for (int32_t i = 0; i < p->n; i++) {
    int32_t *k = &number[dor_union_find(&u, i)];
    if (!*k) *k = ++n;
    group[p->e[i].who] = *k - 1;
  }
  p->d->group = group;
  return DOR_OK;
}

/* Frames of a trial lie together: one trial per person, movement and class, in order of appearance. */
static dor_status number_trials(pictures *p)
{
  dor_intern trials;
  DOR_TRY(dor_intern_init(&trials, p->a, p->n));
  int32_t *subject = dor_arena_alloc(p->a, (size_t)p->n * sizeof *subject);
  const char **movement = dor_arena_alloc(p->a, (size_t)p->n * sizeof *movement), **side = dor_arena_alloc(p->a, (size_t)p->n * sizeof *side);
  if (!subject || !movement || !side) return no_memory(p);
  for (int32_t i = 0; i < p->n; i++) {
    entry *e = &p->e[i];
    const char *key = dor_arena_fmt(p->a, "%d\x1f%s\x1f%d\x1f%s", e->who, e->movement, e->label, e->view);
    if (!key) return no_memory(p);
    e->trial = dor_intern_put(&trials, key, NULL);
    subject[e->trial] = e->who, movement[e->trial] = e->movement, side[e->trial] = e->view;
  }
  p->d->n_trials = trials.n;
  p->d->trial_subject = subject, p->d->movement = movement, p->d->side = side;
  return DOR_OK;
}

static dor_status lay_out_trials(pictures *p, dor_frames *out)
{
  int32_t n = p->d->n_trials;
  size_t one = (size_t)p->h * (size_t)p->w;
  int32_t *first = dor_arena_alloc(p->a, (size_t)(n + 1) * sizeof *first), *count = dor_arena_alloc(p->a, (size_t)n * sizeof *count);
  uint8_t *data = dor_arena_alloc(p->a, (size_t)p->n * one);
  if (!first || !count || !data) return no_memory(p);
  for (int32_t i = 0; i < p->n; i++) first[p->e[i].trial + 1]++;
  for (int32_t t = 0; t < n; t++) first[t + 1] += first[t];
  for (int32_t i = 0; i < p->n; i++) {
    int32_t t = p->e[i].trial, at = first[t] + count[t]++;
    memcpy(data + (size_t)at * one, p->pixels + (size_t)i * one, one);
  }
  *out = (dor_frames){.name = "silhouettes", .n = p->n, .h = p->h, .w = p->w, .c = 1, .data = data, .first = first, .count = count};
  return DOR_OK;
}

static dor_status take_frames(pictures *p)
{
  dor_frames *f = dor_arena_alloc(p->a, sizeof *f);
  int32_t *subject = dor_arena_alloc(p->a, (size_t)p->n * sizeof *subject);
  const char **view = dor_arena_alloc(p->a, (size_t)p->n * sizeof *view);
  if (!f || !subject || !view) return no_memory(p);
  if (p->silhouettes) {
    DOR_TRY(number_trials(p));
    p->d->n_silhouettes = 1, p->d->silhouettes = f;
    return lay_out_trials(p, f);
  }
  for (int32_t i = 0; i < p->n; i++) subject[i] = p->e[i].who, view[i] = p->e[i].view;
  *f = (dor_frames){.name = "images", .n = p->n, .h = p->h, .w = p->w, .c = p->c, .data = p->pixels, .subject = subject, .view = view};
  p->d->n_images = 1, p->d->images = f;
  return DOR_OK;
}

/* The label is the person's when all its pictures agree; else the trial's or the image's. */
static dor_status take_target(pictures *p)
{
  if (p->classes.n < 2) return DOR_OK;
  dor_target *t = dor_arena_alloc(p->a, sizeof *t);
  float *of_subject = dor_arena_alloc(p->a, (size_t)p->people.n * sizeof *of_subject), *of_part = dor_arena_alloc(p->a, (size_t)p->n * sizeof *of_part);
  if (!t || !of_subject || !of_part) return no_memory(p);
  bool agree = true;
  for (int32_t i = 0; i < p->people.n; i++) of_subject[i] = -1;
  for (int32_t i = 0; i < p->n; i++) {
    float *s = &of_subject[p->e[i].who], label = p->e[i].label < 0 ? NAN : (float)p->e[i].label;
    if (*s == -1) *s = label;
    agree = agree && (*s == label || (isnan(*s) && isnan(label)));
    of_part[p->silhouettes ? p->e[i].trial : i] = label;
  }
  dor_per part = p->silhouettes ? DOR_PER_TRIAL : DOR_PER_IMAGE;
  int32_t parts = p->silhouettes ? p->d->n_trials : p->n;
  *t = (dor_target){p->cfg->target, DOR_TARGET_CLASS, agree ? DOR_PER_SUBJECT : part, agree ? p->people.n : parts,
                    p->classes.n,   p->classes.name,  agree ? of_subject : of_part};
  p->d->n_targets = 1, p->d->target = t;
  return DOR_OK;
}

static dor_status import_pictures(pictures *p, bool *named)
{
  dor_hash_init(&p->source);
  DOR_TRY(p->cfg->manifest[0] ? list_manifest(p) : list_folders(p));
  if (p->dropped) dor_note("dropped: %d files that are no PNG or JPEG in a class's folder", p->dropped);
  DOR_TRY(read_pictures(p));
  if (p->silhouettes) settle_polarity(p);
  DOR_TRY(number_people(p, named));
  DOR_TRY(take_groups(p));
  DOR_TRY(take_frames(p));
  DOR_TRY(take_target(p));
  dor_hash_final(&p->source, p->d->source_sha256);
  p->d->name = p->cfg->name[0] ? p->cfg->name : p->silhouettes ? "silhouettes" : "images";
  p->d->license = p->cfg->license;
  p->d->created_by = p->silhouettes ? "dorsum import silhouettes" : "dorsum import images";
  return DOR_OK;
}

dor_status dor_import_silhouettes(dor_dataset *d, const char *src, const dor_import_cfg *c, bool *named)
{
  return import_pictures(&(pictures){.d = d, .a = &d->arena, .src = src, .cfg = c, .silhouettes = true, .c = 1}, named);
}

dor_status dor_import_images(dor_dataset *d, const char *src, const dor_import_cfg *c, bool *named)
{
  return import_pictures(&(pictures){.d = d, .a = &d->arena, .src = src, .cfg = c, .c = 3}, named);
}
