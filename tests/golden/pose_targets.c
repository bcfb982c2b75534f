/* SPDX-License-Identifier: Apache-2.0
 *
 * What the official HigherHRNet makes of annotations: heat maps and joint lists
 * to the last bit (higherhrnet_targets.h5), and OpenCV's warp to the last grey
 * level (resize.h5; resize_warp.inc, from OpenCV 4.6). */
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "data/pose_sample.h"
#include "ops/ops.h"
#include "tests/test.h"

static void *read_set(const char *file, const char *name, hid_t type, size_t bytes, hsize_t shape[4])
{
  const char *path = test_golden(file);
  REQUIRE(path, "tests/golden/%s is missing", file);
  hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, name, H5P_DEFAULT), s = H5Dget_space(d);
  int rank = H5Sget_simple_extent_dims(s, shape, NULL);
  size_t n = bytes;
  for (int i = 0; i < rank; i++) n *= (size_t)shape[i];
  void *data = malloc(n);
  REQUIRE(d >= 0 && H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0, "%s: %s cannot be read", file, name);
  H5Sclose(s), H5Dclose(d), H5Fclose(f);
  return data;
}

/* One op on its inputs, by the CPU's kernels. */
static void run_op(dor_graph *g, dor_val y, int n, const char *const name[], const void *const data[], const size_t bytes[], float *out)
{
  dor_program *p;
  dor_instance *i;
  size_t size = dor_type_bytes(dor_graph_type(g, y));
  dor_graph_keep(g, y, "y");
  OK(dor_graph_status(g));
  OK(dor_program_build(&p, g, &dor_backend_cpu, &(dor_program_options){.threads = 2}));
  OK(dor_instance_new(&i, p, NULL));
  for (int k = 0; k < n; k++) memcpy(dor_instance_named(i, name[k]), data[k], bytes[k]);
  dor_instance_run(i, &(dor_step){.grad_scale = 1});
  memcpy(out, dor_instance_named(i, "y"), size);
  dor_instance_free(i);
  dor_program_release(p);
}

static void heat_maps(const int32_t *joint, int32_t people, int32_t r, float *out)
{
  dor_graph g;
  dor_graph_init(&g, NULL, false);
  dor_val j = dor_graph_input(&g, "joint", (dor_type){DOR_SHAPE(1, people, 17, 3), DOR_I32});
  run_op(&g, dor_heatmap_target(&g, j, r, r, 2), 1, (const char *const[]){"joint"}, (const void *const[]){joint},
         (const size_t[]){(size_t)people * 17 * 3 * sizeof(int32_t)}, out);
}

/* The golden people as a COCO file of one r x r image, cropped to itself. */
static void joints_of(const double *xyv, int32_t people, int32_t r, int32_t *joint, dor_arena *a)
{
  dor_coco_image im = {.h = r, .w = r, .count = people};
  dor_coco_annotation *p = calloc((size_t)people, sizeof *p);
  int32_t *of = calloc((size_t)people, sizeof *of), n;
  for (int32_t i = 0; i < people; i++) p[i] = (dor_coco_annotation){.keypoint = xyv + 51 * i, .n_labelled = 17}, of[i] = i;
  dor_coco c = {.n_images = 1, .image = &im, .n_annotations = people, .annotation = p, .of_image = of};
  dor_keypoints k;
  OK(dor_keypoints_named(a, "coco17", &k));
  dor_pose_joints(&(dor_pose_set){.coco = &c, .keypoints = &k}, 0, &(dor_pose_crop){.x = r / 2.0, .y = r / 2.0, .side = r}, r, 30, joint, &n);
  CHECK(n == people, "%d people of %d", n, people);
  free(p), free(of);
}

TEST(golden_pose_targets)
{
  static const int32_t res[] = {32, 64, 128};
  for (int k = 0; k < 3; k++) {
    char name[3][32];
    hsize_t shape[4];
    int32_t r = res[k], joint[30 * 17 * 3], tag[30 * 17 * 2];
    dor_arena a = {0};
    static const char *const part[] = {"joints", "heatmaps", "ae_joints"};
    for (int i = 0; i < 3; i++) snprintf(name[i], sizeof name[i], "case%d/%s", k, part[i]);
    float *heat = read_set("higherhrnet_targets.h5", name[1], H5T_NATIVE_FLOAT, sizeof(float), shape), *got = calloc((size_t)(r * r * 17), sizeof *got);
    int32_t *want = read_set("higherhrnet_targets.h5", name[2], H5T_NATIVE_INT32, sizeof(int32_t), shape);
    double *people = read_set("higherhrnet_targets.h5", name[0], H5T_NATIVE_DOUBLE, sizeof(double), shape);
    joints_of(people, (int32_t)shape[0], r, joint, &a);
    dor_pose_tags(joint, 30, 17, r, tag);
    CHECK(!memcmp(tag, want, sizeof tag), "case %d: the joint list differs", k);
    heat_maps(joint, 30, r, got);
    int32_t wrong = 0, bumps = 0;
    for (int32_t j = 0; j < 17; j++)
      for (int32_t i = 0; i < r * r; i++) wrong += heat[j * r * r + i] != got[i * 17 + j], bumps += heat[j * r * r + i] == 1;
    CHECK(!wrong && bumps, "case %d: %d of %d values differ, %d joints", k, wrong, r * r * 17, bumps);
    free(heat), free(want), free(people), free(got);
    dor_arena_release(&a);
  }
}

/* ---- the warp ---- */

typedef struct warped { int32_t h, w, c, to_h, to_w; const uint8_t *picture; dor_affine m; bool mirror, mask; } warped;

/* Grey levels: of a picture, mean 0 and sd 1/255 give the level itself. The canvas is larger than the picture and full of 99. */
static void warp(const warped *t, float *out)
{
  const int32_t ch = t->h + 3, cw = t->w + 5, size[2] = {t->h, t->w};
  int32_t *path = calloc((size_t)(2 * (t->to_h + t->to_w)), sizeof *path);
  uint8_t *canvas = malloc((size_t)(ch * cw * t->c));
  memset(canvas, 99, (size_t)(ch * cw * t->c));
  for (int32_t y = 0; y < t->h; y++) memcpy(canvas + y * cw * t->c, t->picture + y * t->w * t->c, (size_t)(t->w * t->c));
  dor_warp_path(&t->m, t->to_h, t->to_w, t->mirror, path);
  dor_warp_attr a = {.size = {t->to_h, t->to_w}, .mask = t->mask, .sd = {1 / 255.0, 1 / 255.0, 1 / 255.0}};
  dor_graph g;
  dor_graph_init(&g, NULL, false);
  dor_val p = dor_graph_input(&g, "p", (dor_type){DOR_SHAPE(1, ch, cw, t->c), DOR_U8});
  dor_val s = dor_graph_input(&g, "s", (dor_type){DOR_SHAPE(1, 2), DOR_I32});
  dor_val q = dor_graph_input(&g, "q", (dor_type){DOR_SHAPE(1, 2 * (t->to_h + t->to_w)), DOR_I32});
  run_op(&g, dor_warp_affine(&g, p, s, q, &a), 3, (const char *const[]){"p", "s", "q"}, (const void *const[]){canvas, size, path},
         (const size_t[]){(size_t)(ch * cw * t->c), sizeof size, (size_t)(2 * (t->to_h + t->to_w)) * sizeof *path}, out);
  free(path), free(canvas);
}

TEST(golden_warp_is_opencv_to_the_grey_level)
{
  static const struct { const char *name; int32_t size; } set[] = {{"warp128", 128}, {"warp64", 64}};
  hsize_t shape[4];
  uint8_t *image = read_set("resize.h5", "image", H5T_NATIVE_UINT8, 1, shape);
  const int32_t h = (int32_t)shape[0], w = (int32_t)shape[1];
  for (int k = 0; k < 2; k++) {
    uint8_t *want = read_set("resize.h5", set[k].name, H5T_NATIVE_UINT8, 1, shape);
    const int32_t to_h = (int32_t)shape[0], to_w = (int32_t)shape[1];
    const double r = (double)set[k].size / h;
    warped t = {h, w, 3, to_h, to_w, image, {{r, 0, to_w / 2.0 - r * (w / 2), 0, r, to_h / 2.0 - r * (h / 2)}}, false, false};
    float *got = calloc((size_t)(to_h * to_w * 3), sizeof *got);
    int32_t wrong = 0, most = 0;
    warp(&t, got);
    for (int32_t i = 0; i < to_h * to_w * 3; i++) {
      int32_t d = abs((int32_t)lrintf(got[i]) - want[i]);
      wrong += d > 0, most = d > most ? d : most;
    }
    CHECK(!wrong, "%s: %d levels differ, by %d at most", set[k].name, wrong, most);
    free(want), free(got);
  }
  free(image);
}

/* Pictures sym-like by index on h x w x c, cropped as in training; FNV-1a of the bytes that HigherHRNet's transforms give with OpenCV 4.6. */
static const struct { int32_t h, w, c, r; double x, y, side, deg; bool mirror; uint64_t hash; } crops[] = {
#include "tests/golden/pose_crops.inc"
};

TEST(golden_crops_are_those_of_the_original)
{
  for (size_t k = 0; k < sizeof crops / sizeof *crops; k++) {
    const int32_t h = crops[k].h, w = crops[k].w, c = crops[k].c, r = crops[k].r;
    uint8_t *picture = malloc((size_t)(h * w * c));
    float *got = calloc((size_t)(r * r * c), sizeof *got);
    for (uint32_t i = 0; i < (uint32_t)(h * w * c); i++) {
      uint32_t z = i * 2654435761u;
      picture[i] = (uint8_t)(c > 1 ? z >> 24 : z >> 28 > 3 ? 255 : 0);
    }
    dor_affine m = dor_affine_crop(crops[k].x, crops[k].y, crops[k].side, crops[k].deg, r, r);
    warp(&(warped){h, w, c, r, r, picture, m, crops[k].mirror, c == 1}, got);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int32_t i = 0; i < r * r * c; i++) hash = (hash ^ (uint8_t)lrintf(got[i])) * 0x100000001b3u;
    CHECK(hash == crops[k].hash, "crop %zu (%d x %d, turned by %g)", k, h, w, crops[k].deg);
    free(picture), free(got);
  }
}
