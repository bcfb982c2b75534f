/* SPDX-License-Identifier: Apache-2.0
 *
 * The annotation file: categories, then images, then annotations, each entry
 * checked where it stands. Keys that are not ours (licences, captions) are
 * passed over, as every such file has some. */
#include <math.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/coco_json.h"
#include "data/picture.h"

static const double FAR = 1e5; /* pixels: no outline reaches further, and none can be made slow to paint */

typedef struct reader {
  dor_coco *c;
  dor_arena *a;                 /* of c */
  dor_arena scratch;
  const char *name;
  dor_ids categories, images;
} reader;

static dor_status no_memory(const reader *r) { return DOR_FAIL(NOMEM, "no memory for %s", r->name); }

/* The list and its entry count; an absent one is refused. */
static dor_status list_of(const reader *r, const json_t *root, const char *key, json_t **list, size_t *n)
{
  *list = json_object_get(root, key);
  DOR_NEED(json_is_array(*list), DATA, "%s: no list '%s'", r->name, key);
  *n = json_array_size(*list);
  DOR_NEED(*n < 1 << 28, DATA, "%s: '%s' has %zu entries", r->name, key, *n);
  return DOR_OK;
}

/* The entry's object and id; ids are unique in their list. */
static dor_status entry(const reader *r, dor_place *p, const json_t *list, dor_ids *ids, const json_t **o)
{
  p->has_id = false;
  p->file = r->name;
  *o = json_array_get(list, p->at);
  DOR_NEED(json_is_object(*o), DATA, "%s: wants an object", DOR_PLACE(p));
  DOR_TRY(dor_need_id(p, *o, "id", &p->id));
  p->has_id = true;
  DOR_NEED(dor_ids_add(ids, p->id), DATA, "%s: '%s' has this id already", DOR_PLACE(p), p->list);
  return DOR_OK;
}

/* ---- categories ---- */

static dor_status read_joints(const reader *r, const dor_place *p, const json_t *list, dor_coco_category *c)
{
  const size_t k = json_array_size(list);
  DOR_NEED(json_is_array(list) && k && k <= DOR_COCO_JOINTS, DATA, "%s: 'keypoints' wants 1 to %d names", DOR_PLACE(p), DOR_COCO_JOINTS);
  const char **name = dor_arena_alloc(r->a, k * sizeof *name);
  if (!name) return no_memory(r);
  for (size_t i = 0; i < k; i++) {
    const json_t *v = json_array_get(list, i);
    DOR_NEED(json_is_string(v), DATA, "%s: 'keypoints'[%zu] wants a name", DOR_PLACE(p), i);
    name[i] = dor_arena_str(r->a, json_string_value(v));
    if (!name[i]) return no_memory(r);
  }
  c->k = (int32_t)k, c->joint = name;
  return DOR_OK;
}

static dor_status read_bones(const reader *r, const dor_place *p, const json_t *list, dor_coco_category *c)
{
  const size_t n = json_array_size(list);
  int32_t(*bone)[2] = dor_arena_alloc(r->a, (n + 1) * sizeof *bone);
  if (!bone) return no_memory(r);
  DOR_NEED(json_is_array(list), DATA, "%s: 'skeleton' wants a list of pairs", DOR_PLACE(p));
  for (size_t i = 0; i < n; i++)
    for (size_t e = 0; e < 2; e++) {
      const json_t *pair = json_array_get(list, i), *v = json_array_get(pair, e);
      DOR_NEED(json_array_size(pair) == 2 && json_is_integer(v) && json_integer_value(v) >= 1 && json_integer_value(v) <= c->k, DATA,
               "%s: 'skeleton'[%zu] wants two numbers of keypoints, 1 to %d", DOR_PLACE(p), i, c->k);
      bone[i][e] = (int32_t)json_integer_value(v) - 1;
    }
  c->n_bones = (int32_t)n;
  c->bone = (const int32_t(*)[2])bone;
  return DOR_OK;
}

static dor_status read_categories(reader *r, const json_t *root)
{
  json_t *list;
  size_t n;
  dor_place p = {.list = "categories"};
  DOR_TRY(list_of(r, root, p.list, &list, &n));
  dor_coco_category *c = dor_arena_alloc(r->a, (n + 1) * sizeof *c);
  if (!c) return no_memory(r);
  DOR_TRY(dor_ids_init(&r->categories, &r->scratch, n));
  for (p.at = 0; p.at < n; p.at++) {
    const json_t *o, *v;
    dor_coco_category *to = &c[p.at];
    DOR_TRY(entry(r, &p, list, &r->categories, &o));
    to->id = p.id;
    DOR_TRY(dor_need_text(&p, r->a, o, "name", &to->name));
    if ((v = json_object_get(o, "keypoints"))) DOR_TRY(read_joints(r, &p, v, to));
    if (to->k && (v = json_object_get(o, "skeleton"))) DOR_TRY(read_bones(r, &p, v, to));
  }
  r->c->category = c, r->c->n_categories = (int32_t)n;
  return DOR_OK;
}

/* ---- images ---- */

static bool stays_inside(const char *file)
{
  if (*file == '/' || strchr(file, '\\')) return false;
  for (const char *p = file; p; p = strchr(p, '/')) {
    p += *p == '/';
    if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/')) return false;
  }
  return true;
}

static dor_status read_images(reader *r, const json_t *root)
{
  json_t *list;
  size_t n;
  dor_place p = {.list = "images"};
  DOR_TRY(list_of(r, root, p.list, &list, &n));
  dor_coco_image *im = dor_arena_alloc(r->a, (n + 1) * sizeof *im);
  if (!im) return no_memory(r);
  DOR_TRY(dor_ids_init(&r->images, &r->scratch, n));
  for (p.at = 0; p.at < n; p.at++) {
    const json_t *o;
    int64_t h, w;
    char shown[128];
    DOR_TRY(entry(r, &p, list, &r->images, &o));
    DOR_TRY(dor_need_text(&p, r->a, o, "file_name", &im[p.at].file));
    DOR_NEED(stays_inside(im[p.at].file), DATA, "%s: file_name '%s' leaves the picture folder", DOR_PLACE(&p),
             dor_printable(im[p.at].file, shown, sizeof shown));
    DOR_TRY(dor_need_int(&p, o, "height", 1, DOR_PICTURE_SIDE, &h));
    DOR_TRY(dor_need_int(&p, o, "width", 1, DOR_PICTURE_SIDE, &w));
    im[p.at].crowd_index = NAN;
    DOR_TRY(dor_take_real(&p, o, "crowdIndex", &im[p.at].crowd_index));
    im[p.at].id = p.id, im[p.at].h = (int32_t)h, im[p.at].w = (int32_t)w;
  }
  r->c->image = im, r->c->n_images = (int32_t)n;
  return DOR_OK;
}

/* ---- segmentations ---- */

static dor_status read_polygons(const reader *r, const dor_place *p, const json_t *list, dor_segment *s)
{
  const size_t n = json_array_size(list);
  dor_polygon *polygon = dor_arena_alloc(r->a, (n + 1) * sizeof *polygon);
  if (!polygon) return no_memory(r);
  for (size_t i = 0; i < n; i++) {
    int32_t count;
    DOR_TRY(dor_numbers(p, r->a, json_array_get(list, i), "segmentation", &polygon[i].xy, &count));
    DOR_NEED(count >= 6 && count % 2 == 0, DATA, "%s: 'segmentation'[%zu] has %d numbers; a polygon is three corners or more, x and y of each",
             DOR_PLACE(p), i, count);
    for (int32_t k = 0; k < count; k++)
      DOR_NEED(fabs(polygon[i].xy[k]) <= FAR, DATA, "%s: 'segmentation'[%zu]: a corner at %g pixels", DOR_PLACE(p), i, polygon[i].xy[k]);
    polygon[i].n = count / 2;
  }
  s->polygon = polygon, s->n_polygons = (int32_t)n;
  return DOR_OK;
}

static dor_status read_plain_runs(const reader *r, const dor_place *p, const json_t *counts, const dor_coco_image *im, dor_segment *s)
{
  const size_t n = json_array_size(counts);
  uint32_t *run = dor_arena_alloc(r->a, (n + 1) * sizeof *run);
  int64_t sum = 0, all = (int64_t)im->h * im->w;
  if (!run) return no_memory(r);
  for (size_t i = 0; i < n; i++) {
    const json_t *v = json_array_get(counts, i);
    const int64_t x = json_integer_value(v);
    DOR_NEED(json_is_integer(v) && x >= 0 && x <= all - sum, DATA, "%s: 'counts'[%zu] does not fit into %d x %d pixels", DOR_PLACE(p), i, im->h, im->w);
    run[i] = (uint32_t)x, sum += x;
  }
  DOR_NEED(sum == all, DATA, "%s: 'counts' sum to %lld pixels, the image has %lld", DOR_PLACE(p), (long long)sum, (long long)all);
  s->run = run, s->n_runs = (int32_t)n;
  return DOR_OK;
}

static dor_status read_runs(const reader *r, const dor_place *p, const json_t *o, const dor_coco_image *im, dor_segment *s)
{
  const json_t *size = json_object_get(o, "size"), *counts = json_object_get(o, "counts");
  DOR_NEED(json_array_size(size) == 2 && json_integer_value(json_array_get(size, 0)) == im->h && json_integer_value(json_array_get(size, 1)) == im->w,
           DATA, "%s: the 'size' of its segmentation is not that of its image, [%d, %d]", DOR_PLACE(p), im->h, im->w);
  if (json_is_array(counts)) return read_plain_runs(r, p, counts, im, s);
  DOR_NEED(json_is_string(counts), DATA, "%s: 'counts' wants a list of numbers or their compressed text", DOR_PLACE(p));
  dor_status status = dor_rle_decode(r->a, json_string_value(counts), im->h, im->w, &s->run, &s->n_runs);
  if (status != DOR_E_DATA) return status;
  char message[512];
  strncpy(message, dor_errmsg(), sizeof message - 1);
  message[sizeof message - 1] = 0;
  return DOR_FAIL(DATA, "%s: %s", DOR_PLACE(p), message);
}

static dor_status read_segment(const reader *r, const dor_place *p, const json_t *o, const dor_coco_image *im, dor_segment *s)
{
  const json_t *v = json_object_get(o, "segmentation");
  if (!v || json_is_null(v)) return DOR_OK;
  if (json_is_object(v)) return read_runs(r, p, v, im, s);
  DOR_NEED(json_is_array(v), DATA, "%s: 'segmentation' wants polygons or run lengths", DOR_PLACE(p));
  return read_polygons(r, p, v, s);
}

/* ---- annotations ---- */

static dor_status read_keypoints(const reader *r, const dor_place *p, const json_t *o, dor_coco_annotation *to)
{
  const dor_coco_category *c = &r->c->category[to->category];
  const json_t *v = json_object_get(o, "keypoints");
  int32_t n;
  int64_t labelled = 0;
  if (!c->k) return DOR_OK;
  DOR_TRY(dor_numbers(p, r->a, v, "keypoints", &to->keypoint, &n));
  DOR_NEED(n == 3 * c->k, DATA, "%s: %d numbers of keypoints; '%s' has %d keypoints: wanted %d", DOR_PLACE(p), n, c->name, c->k, 3 * c->k);
  for (int32_t i = 0; i < c->k; i++) {
    double seen = to->keypoint[3 * i + 2];
    DOR_NEED(seen == 0 || seen == 1 || seen == 2, DATA, "%s: visibility %g of '%s', wanted 0, 1 or 2", DOR_PLACE(p), seen, c->joint[i]);
    labelled += seen > 0;
  }
  DOR_TRY(dor_take_int(p, o, "num_keypoints", 0, c->k, &labelled));
  to->n_labelled = (int32_t)labelled;
  return DOR_OK;
}

static dor_status read_box(const dor_place *p, dor_arena *scratch, const json_t *o, double box[4])
{
  const json_t *v = json_object_get(o, "bbox");
  const double *x;
  int32_t n;
  for (int i = 0; i < 4; i++) box[i] = NAN;
  if (!v) return DOR_OK;
  DOR_TRY(dor_numbers(p, scratch, v, "bbox", &x, &n));
  DOR_NEED(n == 4, DATA, "%s: 'bbox' has %d numbers, wanted x, y, width, height", DOR_PLACE(p), n);
  memcpy(box, x, 4 * sizeof *x);
  return DOR_OK;
}

static dor_status read_annotation(reader *r, const dor_place *p, const json_t *o, dor_coco_annotation *to)
{
  int64_t image, category, crowd = 0;
  DOR_TRY(dor_need_id(p, o, "image_id", &image));
  DOR_TRY(dor_need_id(p, o, "category_id", &category));
  DOR_TRY(dor_take_int(p, o, "iscrowd", 0, 1, &crowd));
  to->id = p->id, to->crowd = crowd == 1, to->area = NAN;
  to->image = dor_ids_find(&r->images, image), to->category = dor_ids_find(&r->categories, category);
  DOR_NEED(to->image >= 0, DATA, "%s: no image has id %lld", DOR_PLACE(p), (long long)image);
  DOR_NEED(to->category >= 0, DATA, "%s: no category has id %lld", DOR_PLACE(p), (long long)category);
  DOR_TRY(dor_take_real(p, o, "area", &to->area));
  DOR_TRY(read_box(p, &r->scratch, o, to->bbox));
  DOR_TRY(read_keypoints(r, p, o, to));
  return read_segment(r, p, o, &r->c->image[to->image], &to->segment);
}

static dor_status read_annotations(reader *r, const json_t *root)
{
  json_t *list;
  size_t n;
  dor_ids ids;
  dor_place p = {.list = "annotations"};
  DOR_TRY(list_of(r, root, p.list, &list, &n));
  dor_coco_annotation *at = dor_arena_alloc(r->a, (n + 1) * sizeof *at);
  if (!at) return no_memory(r);
  DOR_TRY(dor_ids_init(&ids, &r->scratch, n));
  for (p.at = 0; p.at < n; p.at++) {
    const json_t *o;
    DOR_TRY(entry(r, &p, list, &ids, &o));
    DOR_TRY(read_annotation(r, &p, o, &at[p.at]));
  }
  r->c->annotation = at, r->c->n_annotations = (int32_t)n;
  return DOR_OK;
}

/* Annotations by image, in file order. */
static dor_status sort_by_image(reader *r)
{
  dor_coco *c = r->c;
  dor_coco_image *im = (dor_coco_image *)(uintptr_t)c->image;
  int32_t *of = dor_arena_alloc(r->a, ((size_t)c->n_annotations + 1) * sizeof *of), first = 0;
  if (!of) return no_memory(r);
  for (int32_t i = 0; i < c->n_annotations; i++) im[c->annotation[i].image].count++;
  for (int32_t i = 0; i < c->n_images; i++) im[i].first = first, first += im[i].count, im[i].count = 0;
  for (int32_t i = 0; i < c->n_annotations; i++) {
    dor_coco_image *to = &im[c->annotation[i].image];
    of[to->first + to->count++] = i;
  }
  c->of_image = of;
  return DOR_OK;
}

/* What the file says of itself: no more than a line, and nothing that would not print. */
static dor_status read_facts(reader *r, const json_t *root)
{
  enum { LINE = 400 };
  const json_t *list = json_object_get(root, "licenses");
  const char *about = json_string_value(json_object_get(json_object_get(root, "info"), "description"));
  dor_str all = {0};
  char shown[2][LINE];
  for (size_t i = 0; i < json_array_size(list) && all.n < LINE; i++) {
    const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
    if (name) dor_str_fmt(&all, "%s%s", all.n ? "; " : "", name);
  }
  dor_status s = dor_str_status(&all);
  r->c->about = dor_arena_str(r->a, dor_printable(about ? about : "", shown[0], LINE));
  r->c->license = dor_arena_str(r->a, dor_printable(all.s ? all.s : "", shown[1], LINE));
  dor_str_release(&all);
  DOR_TRY(s);
  return r->c->about && r->c->license ? DOR_OK : no_memory(r);
}

static dor_status read_all(reader *r, const json_t *root)
{
  DOR_NEED(json_is_object(root), DATA, "%s: no COCO annotations: wants an object with images, annotations and categories", r->name);
  r->c->synthetic = json_is_true(json_object_get(json_object_get(root, "info"), "synthetic"));
  DOR_TRY(read_facts(r, root));
  DOR_TRY(read_categories(r, root));
  DOR_TRY(read_images(r, root));
  DOR_TRY(read_annotations(r, root));
  return sort_by_image(r);
}

dor_status dor_coco_parse(dor_coco *c, const char *name, const char *text, size_t size)
{
  *c = (dor_coco){0};
  reader r = {.c = c, .a = &c->arena, .name = name};
  json_t *root;
  DOR_TRY(dor_coco_json(name, text, size, &root));
  c->path = dor_arena_str(&c->arena, name);
  dor_status s = c->path ? read_all(&r, root) : no_memory(&r);
  json_decref(root);
  dor_arena_release(&r.scratch);
  if (s) dor_coco_release(c);
  return s;
}

dor_status dor_coco_read(dor_coco *c, const char *path)
{
  char *text;
  size_t size;
  *c = (dor_coco){0};
  DOR_TRY(dor_io_read(path, DOR_COCO_BYTES, &text, &size));
  dor_status s = dor_coco_parse(c, path, text, size);
  dor_free(text);
  DOR_TRY(s);
  return DOR_OK;
}

void dor_coco_release(dor_coco *c)
{
  dor_arena_release(&c->arena);
  *c = (dor_coco){0};
}

/* ---- questions ---- */

int32_t dor_coco_find_image(const dor_coco *c, int64_t id)
{
  for (int32_t i = 0; i < c->n_images; i++)
    if (c->image[i].id == id) return i;
  return -1;
}

static bool meant(const dor_coco_category *c, const char *name) { return c->k && (!name || !strcmp(c->name, name)); }

dor_status dor_coco_person(const dor_coco *c, const char *name, int32_t *category)
{
  int32_t found = 0;
  dor_str all = {0};
  for (int32_t i = 0; i < c->n_categories; i++) {
    if (c->category[i].k) dor_str_fmt(&all, "%s%s", all.n ? ", " : "", c->category[i].name);
    if (!meant(&c->category[i], name)) continue;
    *category = i;
    found++;
  }
  char shown[256];
  dor_printable(all.s && !all.failed ? all.s : "none", shown, sizeof shown);
  dor_str_release(&all);
  DOR_NEED(found, DATA, "%s: no category %s%s%s; those that have keypoints: %s", c->path, name ? "'" : "with keypoints", name ? name : "", name ? "'" : "",
           shown);
  DOR_NEED(found == 1, DATA, "%s: which category is meant? Those that have keypoints: %s", c->path, shown);
  return DOR_OK;
}

dor_status dor_coco_check_pictures(const dor_coco *c, const char *folder)
{
  int32_t missing = 0, first = -1;
  dor_arena a = {0};
  char shown[256];
  for (int32_t i = 0; i < c->n_images; i++) {
    if (!c->image[i].count) continue;
    const char *path = dor_path_join(&a, folder, c->image[i].file);
    DOR_NEED(path, NOMEM, "no memory for a path");
    if (dor_io_exists(path)) continue;
    if (!missing++) first = i;
  }
  dor_arena_release(&a);
  DOR_NEED(!missing, NOTFOUND, "%s: image %lld: no picture '%s' in %s; %d of its pictures %s missing", c->path, (long long)c->image[first].id,
           dor_printable(c->image[first].file, shown, sizeof shown), folder, missing, missing == 1 ? "is" : "are");
  return DOR_OK;
}
