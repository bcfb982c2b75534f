/* SPDX-License-Identifier: Apache-2.0
 *
 * The results file: a list of detections, held against a ground truth. */
#include <math.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/coco_json.h"

static int32_t category_of(const dor_coco *c, int64_t id)
{
  for (int32_t i = 0; i < c->n_categories; i++)
    if (c->category[i].id == id) return i;
  return -1;
}

static void bound(int32_t k, dor_coco_result *to)
{
  double x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
  for (int32_t i = 0; i < k; i++) {
    x0 = fmin(x0, to->keypoint[3 * i]), x1 = fmax(x1, to->keypoint[3 * i]);
    y0 = fmin(y0, to->keypoint[3 * i + 1]), y1 = fmax(y1, to->keypoint[3 * i + 1]);
  }
  to->bbox[0] = x0, to->bbox[1] = y0, to->bbox[2] = x1 - x0, to->bbox[3] = y1 - y0;
  to->area = (x1 - x0) * (y1 - y0);
}

static dor_status read_one(const dor_place *p, dor_arena *a, const json_t *o, const dor_coco *truth, const dor_ids *images, dor_coco_result *to)
{
  int64_t image, category;
  int32_t n;
  DOR_NEED(json_is_object(o), DATA, "%s: wants an object", DOR_PLACE(p));
  DOR_TRY(dor_need_id(p, o, "image_id", &image));
  DOR_TRY(dor_need_id(p, o, "category_id", &category));
  to->image = dor_ids_find(images, image), to->category = category_of(truth, category);
  DOR_NEED(to->image >= 0, DATA, "%s: no image of %s has id %lld", DOR_PLACE(p), truth->path, (long long)image);
  DOR_NEED(to->category >= 0, DATA, "%s: no category of %s has id %lld", DOR_PLACE(p), truth->path, (long long)category);
  const dor_coco_category *c = &truth->category[to->category];
  DOR_NEED(c->k, DATA, "%s: category '%s' of %s has no keypoints", DOR_PLACE(p), c->name, truth->path);
  DOR_TRY(dor_numbers(p, a, json_object_get(o, "keypoints"), "keypoints", &to->keypoint, &n));
  DOR_NEED(n == 3 * c->k, DATA, "%s: %d numbers of keypoints; '%s' has %d keypoints: wanted %d", DOR_PLACE(p), n, c->name, c->k, 3 * c->k);
  to->score = NAN;
  DOR_TRY(dor_take_real(p, o, "score", &to->score));
  DOR_NEED(!isnan(to->score), DATA, "%s: no 'score'", DOR_PLACE(p));
  bound(c->k, to);
  return DOR_OK;
}

/* Stamps of any entry are those of the file. */
static dor_status read_stamps(dor_coco_results *r, const char *name, const json_t *root)
{
  static const char *const stamps[] = {"SYNTHETIC", "LEAKS", "QUICK"};
  bool has[3] = {false};
  for (size_t i = 0; i < json_array_size(root); i++) {
    const char *s = json_string_value(json_object_get(json_array_get(root, i), "stamp"));
    for (int k = 0; s && k < 3; k++) has[k] = has[k] || strstr(s, stamps[k]);
  }
  char *all = dor_arena_fmt(&r->arena, "%s%s%s", has[0] ? " SYNTHETIC" : "", has[1] ? " LEAKS" : "", has[2] ? " QUICK" : "");
  DOR_NEED(all, NOMEM, "no memory for %s", name);
  r->stamp = all + (*all == ' ');
  return DOR_OK;
}

static dor_status read_all(dor_coco_results *r, const char *name, const json_t *root, const dor_coco *truth, dor_arena *scratch)
{
  const size_t n = json_array_size(root);
  dor_place p = {.file = name, .list = ""};
  dor_ids images;
  DOR_NEED(json_is_array(root), DATA, "%s: no COCO results: wants a list of detections", name);
  DOR_NEED(n < 1 << 28, DATA, "%s: %zu detections", name, n);
  dor_coco_result *at = dor_arena_alloc(&r->arena, (n + 1) * sizeof *at);
  DOR_NEED(at, NOMEM, "no memory for %s", name);
  DOR_TRY(dor_ids_init(&images, scratch, (size_t)truth->n_images));
  for (int32_t i = 0; i < truth->n_images; i++) dor_ids_add(&images, truth->image[i].id);
  for (p.at = 0; p.at < n; p.at++) DOR_TRY(read_one(&p, &r->arena, json_array_get(root, p.at), truth, &images, &at[p.at]));
  r->at = at, r->n = (int32_t)n;
  return read_stamps(r, name, root);
}

dor_status dor_coco_results_parse(dor_coco_results *r, const char *name, const char *text, size_t size, const dor_coco *truth)
{
  json_t *root;
  dor_arena scratch = {0};
  *r = (dor_coco_results){0};
  DOR_TRY(dor_coco_json(name, text, size, &root));
  dor_status s = read_all(r, name, root, truth, &scratch);
  json_decref(root);
  dor_arena_release(&scratch);
  if (s) dor_coco_results_release(r);
  return s;
}

dor_status dor_coco_results_read(dor_coco_results *r, const char *path, const dor_coco *truth)
{
  char *text;
  size_t size;
  *r = (dor_coco_results){0};
  DOR_TRY(dor_io_read(path, DOR_COCO_BYTES, &text, &size));
  dor_status s = dor_coco_results_parse(r, path, text, size, truth);
  dor_free(text);
  DOR_TRY(s);
  return DOR_OK;
}

void dor_coco_results_release(dor_coco_results *r)
{
  dor_arena_release(&r->arena);
  *r = (dor_coco_results){0};
}
