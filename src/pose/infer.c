/* SPDX-License-Identifier: Apache-2.0
 *
 * Warp, network, aggregation, grouping, and back to the picture. One program
 * carries the warp and the network; the mirror image is a row of the same batch
 * whose warp runs backwards. */
#include "pose/infer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "nn/pose_net.h"
#include "pose/aggregate.h"
#include "pose/model.h"
#include "pose/resize.h"

enum { SLOTS = 4, ROUND = 256 }; /* programs kept; picture sides are rounded up, so that pictures of many sizes share one */

typedef struct bound { /* a program for one size of input, and its memory */
  int32_t h, w, rows, picture_h, picture_w;
  dor_program *program;
  dor_instance *instance;
  uint8_t *picture;            /* [rows,picture_h,picture_w,3]: where the next run's inputs go */
  int32_t *size, *path;        /* [rows,2], [rows,2(h+w)] */
  const float *coarse, *fine;  /* of the last run */
  int64_t used;
} bound;

struct dor_finder {
  dor_arena arena;
  dor_pose_cfg c;
  dor_finder_model m;
  dor_finder_facts facts;
  dor_finder_times times;
  double least;                /* of the scales, which fall */
  dor_params own;              /* table and blocks of weights that were read; m points to them */
  dor_store store;
  bound slot[SLOTS];
  int64_t runs;
  dor_aggregate maps;
};

const dor_finder_facts *dor_finder_about(const dor_finder *f) { return &f->facts; }
const dor_finder_times *dor_finder_time(const dor_finder *f) { return &f->times; }
const dor_maps *dor_finder_maps(const dor_finder *f) { return &f->maps.maps; }

size_t dor_finder_bytes(const dor_finder *f)
{
  size_t n = 0;
  for (int32_t i = 0; i < SLOTS; i++)
    if (f->slot[i].program) n += dor_program_pool_bytes(f->slot[i].program);
  return n;
}

/* ---- opening ---- */

static int falling(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return (*x < *y) - (*x > *y);
}

static dor_status take_scales(dor_finder *f)
{
  bool one = false;
  double *v = dor_arena_copy(&f->arena, f->c.scales.v, (size_t)f->c.scales.n * sizeof *v);
  DOR_NEED(f->c.scales.n > 0, CONFIG, "'scales' wants at least one");
  DOR_NEED(v, NOMEM, "%d scales", f->c.scales.n);
  qsort(v, (size_t)f->c.scales.n, sizeof *v, falling);
  for (int32_t i = 0; i < f->c.scales.n; i++) {
    one = one || v[i] == 1;
    DOR_NEED(i == 0 || v[i] < v[i - 1], CONFIG, "'scales' has %g twice", v[i]);
  }
  DOR_NEED(one, CONFIG, "'scales' must have 1 among them: tags come from there");
  f->least = v[f->c.scales.n - 1];
  f->c.scales.v = v;
  return DOR_OK;
}

static dor_status begin(dor_finder **out, const dor_pose_cfg *c)
{
  *out = NULL;
  dor_finder *f = dor_calloc(1, sizeof *f);
  DOR_NEED(f, NOMEM, "a finder of people");
  f->c = *c;
  f->facts = (dor_finder_facts){.record = "", .path = "", .sha256 = "", .stamp = "",
                               .threads = (int32_t)(c->threads ? c->threads : sysconf(_SC_NPROCESSORS_ONLN))};
  dor_status s = take_scales(f);
  if (!s && c->nms % 2 == 0) s = DOR_FAIL(CONFIG, "'nms' must be odd, got %lld", (long long)c->nms);
  if (s) dor_finder_close(f);
  else *out = f;
  return s;
}

static void know(dor_finder *f, int64_t width)
{
  f->facts.keypoints = f->m.keypoints;
  f->facts.size = (int32_t)(f->c.size ? f->c.size : width >= 48 ? 640 : 512);
  f->facts.n_params = dor_params_count(f->m.params, true);
}

dor_status dor_finder_over(dor_finder **out, const dor_finder_model *m, const dor_pose_cfg *c)
{
  DOR_TRY(begin(out, c));
  (*out)->m = *m;
  if (!m->backend) (*out)->m.backend = &dor_backend_cpu;
  know(*out, 0);
  return DOR_OK;
}

/* The table of parameters comes from building the network once, small. */
static dor_status declare(dor_finder *f)
{
  dor_graph g;
  dor_pose_net built;
  dor_graph_init(&g, &f->own, false);
  dor_status s = dor_pose_graph_eval(&g, f->m.model, f->m.cfg, DOR_SHAPE(1, DOR_FIT_STEP, DOR_FIT_STEP, 3), &built);
  dor_graph_release(&g);
  f->m.params = &f->own;
  return s;
}

static dor_status take_weights(dor_finder *f, const dor_tensors *t, const char *path)
{
  dor_weights_tally tally;
  DOR_TRY(declare(f));
  DOR_TRY(dor_store_make(&f->store, f->m.backend, (size_t[DOR_KIND_COUNT]){[DOR_PARAM] = f->own.param_bytes, [DOR_STATE] = f->own.state_bytes}));
  f->m.blocks = f->store.blocks;
  DOR_TRY(dor_weights_fill(&f->own, "", t, path, DOR_WEIGHTS_ALL, f->store.host[DOR_PARAM], f->store.host[DOR_STATE], &tally));
  DOR_TRY(dor_store_push(&f->store, DOR_PARAM));
  return dor_store_push(&f->store, DOR_STATE);
}

/* Those we know, in our order: the rest of a file's text is its own. */
static const char *stamps_of(dor_arena *a, const dor_weights_record *r)
{
  static const char *const known[] = {"SYNTHETIC", "LEAKS", "QUICK"};
  const char *all = "";
  for (size_t i = 0; all && i < sizeof known / sizeof *known; i++)
    if (r->stamp && strstr(r->stamp, known[i])) all = dor_arena_fmt(a, "%s%s%s", all, *all ? " " : "", known[i]);
  return all;
}

static dor_status remember(dor_finder *f, const dor_tensors *t, const char *path)
{
  dor_weights_record r;
  dor_str line = {0};
  char hex[DOR_HASH_HEX];
  dor_weights_record_of(t, &r);
  dor_weights_record_line(&r, &line);
  dor_hash_bytes(t->file, t->size, hex);
  f->facts.record = dor_arena_str(&f->arena, line.s ? line.s : "");
  f->facts.sha256 = dor_arena_str(&f->arena, hex);
  f->facts.path = dor_arena_str(&f->arena, path);
  f->facts.stamp = stamps_of(&f->arena, &r);
  bool failed = line.failed || !f->facts.record || !f->facts.sha256 || !f->facts.path || !f->facts.stamp;
  dor_str_release(&line);
  DOR_NEED(!failed, NOMEM, "the record of %s", path);
  return DOR_OK;
}

static dor_status open_weights(dor_finder *f, const dor_tensors *t, const char *path)
{
  dor_pose_source source;
  dor_keypoints *k = dor_arena_alloc(&f->arena, sizeof *k);
  DOR_NEED(k, NOMEM, "keypoints");
  DOR_TRY(dor_pose_source_of(&f->arena, t, path, &source));
  DOR_TRY(dor_pose_keypoints_of(&f->arena, t, path, f->c.keypoints, source.joints, k));
  f->m.model = source.model, f->m.cfg = source.cfg, f->m.keypoints = k;
  DOR_TRY(take_weights(f, t, path));
  know(f, source.width);
  return remember(f, t, path);
}

dor_status dor_finder_open(dor_finder **out, const char *weights, const dor_pose_cfg *c, const dor_backend *backend)
{
  dor_tensors t = {0};
  DOR_TRY(begin(out, c));
  (*out)->m.backend = backend ? backend : &dor_backend_cpu;
  dor_status s = dor_weights_read(&t, weights);
  if (!s) s = open_weights(*out, &t, weights);
  dor_tensors_release(&t);
  if (s) dor_finder_close(*out), *out = NULL;
  DOR_TRY(s);
  return DOR_OK;
}

static void drop(bound *b)
{
  dor_instance_free(b->instance);
  dor_program_release(b->program);
  *b = (bound){0};
}

void dor_finder_close(dor_finder *f)
{
  if (!f) return;
  for (int32_t i = 0; i < SLOTS; i++) drop(&f->slot[i]);
  dor_store_release(&f->store);
  dor_aggregate_release(&f->maps);
  dor_params_release(&f->own);
  dor_arena_release(&f->arena);
  dor_free(f);
}

/* ---- programs ---- */

static dor_status build(const dor_finder *f, bound *b)
{
  static const char *const conv[] = {"auto", "direct", "winograd"};
  dor_graph g;
  dor_warp_attr rgb = dor_warp_rgb(b->h, b->w);
  dor_val map[DOR_MAPS];
  dor_graph_init(&g, f->m.params, false);
  dor_val picture = dor_graph_input(&g, "picture", (dor_type){DOR_SHAPE(b->rows, b->picture_h, b->picture_w, 3), DOR_U8});
  dor_val size = dor_graph_input(&g, "size", (dor_type){DOR_SHAPE(b->rows, 2), DOR_I32});
  dor_val path = dor_graph_input(&g, "path", (dor_type){DOR_SHAPE(b->rows, 2 * (b->h + b->w)), DOR_I32});
  int32_t n = f->m.model->maps(&g, f->m.cfg, dor_warp_affine(&g, picture, size, path, &rgb), map);
  if (!dor_graph_status(&g) && n != 2) g.status = DOR_FAIL(UNSUPPORTED, "%s gives %d maps; people are found in two", f->m.model->name, n);
  if (!dor_graph_status(&g)) dor_graph_keep(&g, map[0], "coarse"), dor_graph_keep(&g, map[1], "fine");
  dor_status s = dor_graph_status(&g);
  if (s) return dor_graph_release(&g), s;
  return dor_program_build(&b->program, &g, f->m.backend, &(dor_program_options){.threads = f->facts.threads, .name = "pose", .conv = conv[f->c.conv],
                                                                                      .precision = f->m.precision});
}

static dor_status make(const dor_finder *f, bound *b)
{
  DOR_TRY(build(f, b));
  DOR_TRY(dor_instance_new(&b->instance, b->program, &f->m.blocks));
  return DOR_OK;
}

/* The program for this input and pictures of at most this size; the one that was not used for longest gives way. */
static dor_status obtain(dor_finder *f, const bound *want, bound **out)
{
  bound *oldest = &f->slot[0];
  for (int32_t i = 0; i < SLOTS; i++) {
    bound *b = &f->slot[i];
    if (b->used < oldest->used) oldest = b;
    bool same = b->program && b->h == want->h && b->w == want->w && b->rows == want->rows;
    if (!same || b->picture_h < want->picture_h || b->picture_w < want->picture_w) continue;
    *out = b;
    return DOR_OK;
  }
  double from = dor_clock_s();
  drop(oldest);
  *oldest = *want;
  oldest->picture_h = (want->picture_h + ROUND - 1) / ROUND * ROUND;
  oldest->picture_w = (want->picture_w + ROUND - 1) / ROUND * ROUND;
  dor_status s = make(f, oldest);
  if (s) drop(oldest);
  f->times.build_s += dor_clock_s() - from;
  *out = oldest;
  return s;
}

/* ---- a run ---- */

typedef struct chosen { /* pictures that go through the network together */
  int32_t n;
  const int32_t *index;
  const dor_picture *picture;  /* all of the call */
} chosen;

static void put_row(const bound *b, int32_t row, const dor_picture *p, const dor_fit *fit, bool mirror)
{
  size_t line = (size_t)b->picture_w * 3;
  uint8_t *to = b->picture + (size_t)row * (size_t)b->picture_h * line;
  dor_affine a = dor_fit_matrix(fit, fit->w, fit->h);
  for (int32_t y = 0; y < p->h; y++) memcpy(to + (size_t)y * line, p->pixels + (size_t)y * (size_t)p->w * 3, (size_t)p->w * 3);
  b->size[2 * row] = p->h, b->size[2 * row + 1] = p->w;
  dor_warp_path(&a, b->h, b->w, mirror, b->path + (size_t)row * 2 * (size_t)(b->h + b->w));
}

static dor_val value(const bound *b, const char *name) { return dor_graph_find(dor_program_graph(b->program), name); }

static void find_inputs(bound *b)
{
  b->picture = dor_instance_input(b->instance, value(b, "picture"));
  b->size = dor_instance_input(b->instance, value(b, "size"));
  b->path = dor_instance_input(b->instance, value(b, "path"));
}

static dor_status run_bound(bound *b)
{
  dor_instance_run(b->instance, &(dor_step){0});
  DOR_TRY(dor_instance_wait(b->instance));
  b->coarse = dor_instance_kept(b->instance, value(b, "coarse"), 0);
  b->fine = dor_instance_kept(b->instance, value(b, "fine"), 0);
  return DOR_OK;
}

static dor_status network(dor_finder *f, const chosen *c, double scale, bound **out)
{
  int32_t each = f->c.flip ? 2 : 1, h = 0, w = 0;
  dor_fit fit;
  bound *b;
  for (int32_t i = 0; i < c->n; i++) {
    const dor_picture *p = &c->picture[c->index[i]];
    h = p->h > h ? p->h : h, w = p->w > w ? p->w : w;
  }
  DOR_TRY(dor_fit_of(c->picture[c->index[0]].w, c->picture[c->index[0]].h, f->facts.size, scale, f->least, &fit));
  DOR_TRY(obtain(f, &(bound){.h = fit.h, .w = fit.w, .rows = each * c->n, .picture_h = h, .picture_w = w}, &b));
  double from = dor_clock_s();
  find_inputs(b);
  for (int32_t i = 0; i < c->n; i++) {
    const dor_picture *p = &c->picture[c->index[i]];
    DOR_TRY(dor_fit_of(p->w, p->h, f->facts.size, scale, f->least, &fit));
    for (int32_t m = 0; m < each; m++) put_row(b, each * i + m, p, &fit, m == 1);
  }
  b->used = ++f->runs;
  DOR_TRY(run_bound(b));
  f->times.net_s += dor_clock_s() - from;
  *out = b;
  return DOR_OK;
}

static dor_output output_of(const dor_finder *f, const bound *b, int32_t row)
{
  int32_t h = b->h / 4, w = b->w / 4, k = f->m.keypoints->k;
  size_t n = (size_t)row * (size_t)h * (size_t)w * (size_t)k;
  return (dor_output){h, w, b->coarse + 2 * n, b->fine + 4 * n};
}

/* The i-th picture of a run, added to the maps. */
static dor_status add_maps(dor_finder *f, const bound *b, int32_t i, double scale)
{
  double from = dor_clock_s();
  int32_t each = f->c.flip ? 2 : 1;
  dor_output plain = output_of(f, b, each * i), mirrored = output_of(f, b, each * i + each - 1);
  dor_status s = dor_aggregate_add(&f->maps, &plain, f->c.flip ? &mirrored : NULL, f->m.keypoints->mirror, scale == 1, f->facts.threads);
  f->times.aggregate_s += dor_clock_s() - from;
  return s;
}

static void to_picture(const dor_fit *fit, const dor_maps *m, dor_people *p)
{
  dor_affine a = dor_fit_inverse(fit, m->w, m->h);
  for (int32_t i = 0; i < p->n * p->k; i++) {
    float *j = p->joint + 3 * (size_t)i;
    double at[2];
    dor_affine_apply(&a, (double)j[0], (double)j[1], at);
    if (j[2] != 0) j[0] = (float)at[0], j[1] = (float)at[1];
  }
}

static dor_status group(dor_finder *f, const dor_picture *p, dor_arena *a, dor_people *out)
{
  double from = dor_clock_s();
  dor_fit fit;
  dor_aggregate_end(&f->maps, f->facts.threads);
  DOR_TRY(dor_fit_of(p->w, p->h, f->facts.size, f->least, f->least, &fit)); /* the original goes back by the smallest scale's matrix */
  DOR_TRY(dor_group(&f->maps.maps, &f->c, f->m.keypoints->order, f->facts.threads, a, out));
  to_picture(&fit, &f->maps.maps, out);
  f->times.group_s += dor_clock_s() - from;
  f->times.pictures++;
  return DOR_OK;
}

static dor_status begin_maps(dor_finder *f, const dor_picture *p)
{
  dor_fit base;
  DOR_TRY(dor_fit_of(p->w, p->h, f->facts.size, 1, f->least, &base));
  return dor_aggregate_begin(&f->maps, f->m.keypoints->k, base.h, base.w, f->c.flip);
}

/* One scale: all chosen pictures at once, then one after the other. */
static dor_status run_batch(dor_finder *f, const chosen *c, dor_arena *a, dor_people *people)
{
  bound *b;
  DOR_TRY(network(f, c, 1, &b));
  for (int32_t i = 0; i < c->n; i++) {
    const dor_picture *p = &c->picture[c->index[i]];
    DOR_TRY(begin_maps(f, p));
    DOR_TRY(add_maps(f, b, i, 1));
    DOR_TRY(group(f, p, a, &people[c->index[i]]));
  }
  return DOR_OK;
}

static dor_status run_scales(dor_finder *f, const chosen *one, dor_arena *a, dor_people *people)
{
  bound *b;
  DOR_TRY(begin_maps(f, &one->picture[one->index[0]]));
  for (int32_t i = 0; i < f->c.scales.n; i++) {
    DOR_TRY(network(f, one, f->c.scales.v[i], &b));
    DOR_TRY(add_maps(f, b, 0, f->c.scales.v[i]));
  }
  return group(f, &one->picture[one->index[0]], a, &people[one->index[0]]);
}

/* The first picture not done, and others that lead to the same input, up to a batch. done [n] is marked. */
static dor_status choose(const dor_finder *f, int32_t n, const dor_picture *picture, bool *done, int32_t *index, int32_t *count)
{
  int32_t most = f->c.scales.n > 1 ? 1 : (int32_t)f->c.batch;
  dor_fit first = {0}, fit;
  *count = 0;
  for (int32_t i = 0; i < n && *count < most; i++) {
    if (done[i]) continue;
    DOR_TRY(dor_fit_of(picture[i].w, picture[i].h, f->facts.size, 1, f->least, &fit));
    if (*count && (fit.w != first.w || fit.h != first.h)) continue;
    if (!*count) first = fit;
    done[i] = true, index[(*count)++] = i;
  }
  return DOR_OK;
}

static dor_status run(dor_finder *f, int32_t n, const dor_picture *picture, dor_arena *a, dor_arena *local, dor_people *people)
{
  bool *done = dor_arena_alloc(local, (size_t)n * sizeof *done);
  int32_t *index = dor_arena_alloc(local, (size_t)f->c.batch * sizeof *index);
  DOR_NEED(done && index, NOMEM, "%d pictures", n);
  for (chosen c = {.index = index, .picture = picture};;) {
    DOR_TRY(choose(f, n, picture, done, index, &c.n));
    if (!c.n) return DOR_OK;
    DOR_TRY(f->c.scales.n > 1 ? run_scales(f, &c, a, people) : run_batch(f, &c, a, people));
  }
}

dor_status dor_finder_run(dor_finder *f, int32_t n, const dor_picture *picture, dor_arena *a, dor_people *people)
{
  for (int32_t i = 0; i < n; i++)
    DOR_NEED(picture[i].c == 3 && picture[i].pixels, ARG, "picture %d: people are found in RGB, not in %d channels", i, picture[i].c);
  dor_arena local = {0};
  dor_status s = run(f, n, picture, a, &local, people);
  dor_arena_release(&local);
  return s;
}
