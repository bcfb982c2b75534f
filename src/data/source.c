/* SPDX-License-Identifier: Apache-2.0
 *
 * From a dataset to the samples of one input: the chosen columns of a table as
 * vectors, the chosen trials and frames as pixels. Errors name the input's place
 * in the config and what the dataset has instead. */
#include "data/source.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "data/pixels.h"

const dor_key dor_source_keys[] = {
#define KEYS_OF dor_source_cfg
#include "base/keys_rows.h"
#include "data/source.def"
#include "base/keys_end.h"
  {0}};

typedef struct request {         /* one call of dor_source_make */
  dor_arena *a;
  const dor_dataset *d;
  const dor_source_cfg *c;
  const char *name;
  char where[256];
} request;

static dor_status make_silhouettes(const request *r, dor_source *out);
static dor_status make_images(const request *r, dor_source *out);
static dor_status make_proms(const request *r, dor_source *out);
static dor_status make_tables(const request *r, dor_source *out);

static const struct kind {
  const char *name;
  bool pixels, trials;
  dor_status (*make)(const request *r, dor_source *out);
} kinds[] = {
  {"silhouettes", true, true, make_silhouettes},
  {"images", true, false, make_images},
  {"proms", false, false, make_proms},
  {"tables", false, false, make_tables},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *find_kind(const char *from)
{
  for (size_t i = 0; i < N_KINDS; i++)
    if (!strcmp(kinds[i].name, from)) return &kinds[i];
  return NULL;
}

/* The names of what there is, as "'a', 'b'". */
static void list_names(dor_str *s, const char *const names[], int32_t n)
{
  if (!n) dor_str_add(s, "none");
  for (int32_t i = 0; i < n; i++) dor_str_fmt(s, i ? ", '%s'" : "'%s'", names[i]);
}

static dor_status refuse_from(const char *name, const char *from, const char *where)
{
  const char *names[N_KINDS];
  for (size_t i = 0; i < N_KINDS; i++) names[i] = kinds[i].name;
  const char *near = dor_nearest(from, names, N_KINDS);
  dor_str s = {0};
  list_names(&s, names, N_KINDS);
  dor_status status = DOR_FAIL(CONFIG, "%s: input '%s': no source '%s'%s%s%s; there are %s", where, name, from,
                               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", s.s ? s.s : "");
  dor_str_release(&s);
  return status;
}

dor_status dor_source_check(const char *name, const dor_source_cfg *c, const dor_tree *where)
{
  char at[256];
  dor_tree_where(where, at);
  DOR_NEED(*c->from, CONFIG, "%s: input '%s' does not say what it is from", at, name);
  const struct kind *k = find_kind(c->from);
  if (!k) return refuse_from(name, c->from, at);
  DOR_NEED(!c->size.n || c->size.n == 2, CONFIG, "%s: input '%s': size must be [height, width], got %d numbers", at, name, c->size.n);
  const struct { const char *key; bool set, fits; } rules[] = {
    {"movement", *c->movement, k->trials}, {"frames", c->frames > 0, k->trials}, {"size", c->size.n > 0, k->pixels},
    {"columns", c->columns.n > 0, !k->pixels}, {"impute", c->impute != DOR_IMPUTE_NONE, !k->pixels},
    {"scale", c->scale != DOR_SCALE_NONE, !k->pixels}, {"name", *c->name, strcmp(k->name, "proms") != 0}};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    DOR_NEED(!rules[i].set || rules[i].fits, CONFIG, "%s: input '%s': key '%s' does not go with from = \"%s\"", at, name, rules[i].key, c->from);
  return DOR_OK;
}

/* ---- vectors ---- */

static dor_status missing_column(const request *r, const dor_table *t, const char *what, const char *column)
{
  const char *near = dor_nearest(column, t->items.name, (size_t)t->items.n);
  dor_str s = {0};
  list_names(&s, t->items.name, t->items.n);
  dor_status status = DOR_FAIL(CONFIG, "%s: input '%s': no column '%s' in %s%s%s%s; it has %s", r->where, r->name, column, what,
                               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", s.s ? s.s : "");
  dor_str_release(&s);
  return status;
}

static dor_status choose_columns(const request *r, const dor_table *t, const char *what, int32_t *p, int32_t **out)
{
  const dor_texts *want = &r->c->columns;
  *p = want->n ? want->n : t->items.n;
  int32_t *col = *out = dor_arena_alloc(r->a, (size_t)*p * sizeof *col);
  DOR_NEED(col, NOMEM, "input '%s': %d columns", r->name, *p);
  for (int32_t j = 0; j < *p; j++) {
    col[j] = want->n ? -1 : j;
    for (int32_t k = 0; want->n && k < t->items.n; k++)
      if (!strcmp(want->v[j], t->items.name[k])) col[j] = k;
    if (col[j] < 0) return missing_column(r, t, what, want->v[j]);
  }
  return DOR_OK;
}

/* Without a fill a missing value would reach the network. */
static dor_status check_missing(const request *r, const dor_source *s)
{
  if (r->c->impute != DOR_IMPUTE_NONE) return DOR_OK;
  for (int32_t j = 0; j < s->p; j++) {
    int32_t missing = 0;
    for (int32_t i = 0; i < s->n; i++) missing += isnan(s->values[(size_t)i * (size_t)s->p + (size_t)j]) != 0;
    DOR_NEED(!missing, CONFIG, "%s: input '%s': %d of %d values of '%s' are missing; say impute = \"mean\" or \"median\"", r->where, r->name,
             missing, s->n, s->feature[j]);
  }
  return DOR_OK;
}

static dor_status take_columns(const request *r, const dor_table *t, const char *what, dor_source *out)
{
  int32_t p, *col;
  DOR_TRY(choose_columns(r, t, what, &p, &col));
  float *v = dor_arena_alloc(r->a, (size_t)t->n * (size_t)p * sizeof *v);
  const char **feature = dor_arena_alloc(r->a, (size_t)p * sizeof *feature);
  int32_t *trial = dor_arena_alloc(r->a, (size_t)t->n * sizeof *trial);
  DOR_NEED(v && feature && trial, NOMEM, "input '%s': %d rows of %d columns", r->name, t->n, p);
  for (int32_t j = 0; j < p; j++) feature[j] = t->items.name[col[j]];
  for (int32_t i = 0; i < t->n; i++) {
    trial[i] = -1;
    for (int32_t j = 0; j < p; j++) v[(size_t)i * (size_t)p + (size_t)j] = t->values[(size_t)i * (size_t)t->items.n + (size_t)col[j]];
  }
  *out = (dor_source){.name = r->name, .n = t->n, .subject = t->subject, .trial = trial, .p = p, .feature = feature, .values = v};
  return check_missing(r, out);
}

static dor_status make_proms(const request *r, dor_source *out)
{
  DOR_NEED(r->d->proms.items.n, CONFIG, "%s: input '%s': the dataset has no proms", r->where, r->name);
  return take_columns(r, &r->d->proms, "proms", out);
}

/* The member called `want` of a list of things with names, or the only one. `names` are those of /KIND. */
static dor_status choose(const request *r, const char *kind, const char *const names[], int32_t n, int32_t *out)
{
  *out = -1;
  for (int32_t i = 0; i < n; i++)
    if (!strcmp(names[i], r->c->name)) *out = i;
  if (!*r->c->name && n == 1) *out = 0;
  if (*out >= 0) return DOR_OK;
  dor_str s = {0};
  list_names(&s, names, n);
  dor_status status = n && !*r->c->name
    ? DOR_FAIL(CONFIG, "%s: input '%s': the dataset has several %s; say name = one of %s", r->where, r->name, kind, s.s ? s.s : "")
    : DOR_FAIL(CONFIG, "%s: input '%s': the dataset has no %s%s%s%s; it has %s", r->where, r->name, kind, *r->c->name ? " '" : "",
               r->c->name, *r->c->name ? "'" : "", s.s ? s.s : "");
  dor_str_release(&s);
  return status;
}

static dor_status make_tables(const request *r, dor_source *out)
{
  const char **names = dor_arena_alloc(r->a, (size_t)(r->d->n_tables + 1) * sizeof *names);
  DOR_NEED(names, NOMEM, "input '%s'", r->name);
  for (int32_t i = 0; i < r->d->n_tables; i++) names[i] = r->d->tables[i].name;
  int32_t k;
  DOR_TRY(choose(r, "tables", names, r->d->n_tables, &k));
  return take_columns(r, &r->d->tables[k], names[k], out);
}

/* ---- pixels ---- */

static dor_status choose_frames(const request *r, const char *kind, const dor_frames *list, int32_t n, const dor_frames **out)
{
  const char **names = dor_arena_alloc(r->a, (size_t)(n + 1) * sizeof *names);
  DOR_NEED(names, NOMEM, "input '%s'", r->name);
  for (int32_t i = 0; i < n; i++) names[i] = list[i].name;
  int32_t k;
  DOR_TRY(choose(r, kind, names, n, &k));
  *out = &list[k];
  return DOR_OK;
}

/* Pixels of the chosen frames (frame[i] into f), resized; borrowed when they are a run of the dataset as it is. */
static dor_status take_pixels(const request *r, const dor_frames *f, const int32_t *frame, dor_source *out)
{
  const bool resize = r->c->size.n == 2;
  out->image = true, out->c = f->c;
  out->h = resize ? (int32_t)r->c->size.v[0] : f->h, out->w = resize ? (int32_t)r->c->size.v[1] : f->w;
  const size_t from = (size_t)f->h * (size_t)f->w * (size_t)f->c, to = (size_t)out->h * (size_t)out->w * (size_t)out->c;
  bool same = out->h == f->h && out->w == f->w, run = same;
  for (int32_t i = 1; i < out->n; i++) run = run && frame[i] == frame[i - 1] + 1;
  if (run) {
    out->pixels = f->data + (size_t)frame[0] * from;
    return DOR_OK;
  }
  uint8_t *p = dor_arena_alloc(r->a, (size_t)out->n * to);
  DOR_NEED(p, NOMEM, "input '%s': %d pictures of %d x %d", r->name, out->n, out->h, out->w);
  for (int32_t i = 0; i < out->n; i++) {
    const uint8_t *in = f->data + (size_t)frame[i] * from;
    if (same) memcpy(p + (size_t)i * to, in, to);
    else DOR_TRY(dor_pixels_resize(f->h, f->w, f->c, in, out->h, out->w, p + (size_t)i * to));
  }
  out->pixels = p;
  return DOR_OK;
}

static dor_status make_images(const request *r, dor_source *out)
{
  const dor_frames *f;
  DOR_TRY(choose_frames(r, "images", r->d->images, r->d->n_images, &f));
  int32_t *all = dor_arena_alloc(r->a, (size_t)(f->n + 1) * sizeof *all);
  DOR_NEED(all, NOMEM, "input '%s': %d images", r->name, f->n);
  DOR_NEED(f->n, CONFIG, "%s: input '%s': there are no images in '%s'", r->where, r->name, f->name);
  for (int32_t i = 0; i < f->n; i++) all[i] = i;
  *out = (dor_source){.name = r->name, .n = f->n, .subject = f->subject, .trial = all};
  return take_pixels(r, f, all, out);
}

static dor_status refuse_movement(const request *r)
{
  dor_str s = {0};
  for (int32_t t = 0; t < r->d->n_trials; t++) {
    bool seen = false;
    for (int32_t u = 0; u < t; u++) seen = seen || !strcmp(r->d->movement[u], r->d->movement[t]);
    if (!seen) dor_str_fmt(&s, s.n ? ", '%s'" : "'%s'", r->d->movement[t]);
  }
  dor_status status = DOR_FAIL(CONFIG, "%s: input '%s': no silhouettes of movement '%s'; the dataset has %s", r->where, r->name, r->c->movement,
                               s.s ? s.s : "none");
  dor_str_release(&s);
  return status;
}

/* Is trial t part of the input, and how many of its frames? 0: it is not. */
static dor_status frames_of(const request *r, const dor_frames *f, int32_t t, int32_t *n)
{
  *n = 0;
  if (!f->count[t] || (*r->c->movement && strcmp(r->d->movement[t], r->c->movement))) return DOR_OK;
  *n = r->c->frames ? (int32_t)r->c->frames : f->count[t];
  DOR_NEED(*n <= f->count[t], CONFIG, "%s: input '%s': trial row %d has %d frames, %d wanted", r->where, r->name, t, f->count[t], *n);
  return DOR_OK;
}

static dor_status make_silhouettes(const request *r, dor_source *out)
{
  const dor_frames *f;
  DOR_TRY(choose_frames(r, "silhouettes", r->d->silhouettes, r->d->n_silhouettes, &f));
  int32_t total = 0, n;
  for (int32_t t = 0; t < r->d->n_trials; t++) {
    DOR_TRY(frames_of(r, f, t, &n));
    total += n;
  }
  if (!total) return refuse_movement(r);
  int32_t *frame = dor_arena_alloc(r->a, (size_t)total * sizeof *frame), *subject = dor_arena_alloc(r->a, (size_t)total * sizeof *frame);
  int32_t *trial = dor_arena_alloc(r->a, (size_t)total * sizeof *frame);
  DOR_NEED(frame && subject && trial, NOMEM, "input '%s': %d frames", r->name, total);
  for (int32_t t = 0, at = 0; t < r->d->n_trials; t++, at += n) {
    DOR_TRY(frames_of(r, f, t, &n));
    if (n) dor_pixels_even(f->count[t], f->phase ? f->phase + f->first[t] : NULL, n, frame + at);
    for (int32_t i = at; i < at + n; i++) frame[i] += f->first[t], subject[i] = r->d->trial_subject[t], trial[i] = t;
  }
  *out = (dor_source){.name = r->name, .n = total, .subject = subject, .trial = trial};
  return take_pixels(r, f, frame, out);
}

dor_status dor_source_make(dor_arena *a, const dor_dataset *d, const char *name, const dor_source_cfg *c, const dor_tree *where, dor_source *out)
{
  DOR_TRY(dor_source_check(name, c, where));
  request r = {.a = a, .d = d, .c = c, .name = name};
  dor_tree_where(where, r.where);
  return find_kind(c->from)->make(&r, out);
}
