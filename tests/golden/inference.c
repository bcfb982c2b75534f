/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole picture through the network with formula weights, flip test, one and two
 * scales: aggregated heat maps and tags against the original's, every 8th pixel.
 * The golden file and the picture lie beside the repository; without them: skipped. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "pose/infer.h"
#include "tests/golden/formula.h"
#include "tests/golden/h5file.h"

static const char golden[] = "../shared/golden/inference_785.h5";

typedef struct formula_net { /* a HigherHRNet of width 32 whose weights follow the formula */
  dor_params params;
  dor_arena arena;
  dor_keypoints keypoints;
  dor_finder_model model;
} formula_net;

static void make(formula_net *n)
{
  *n = (formula_net){.model = {.model = dor_model_find("higherhrnet"), .params = &n->params, .keypoints = &n->keypoints}};
  void *cfg = dor_arena_alloc(&n->arena, n->model.model->cfg_size);
  dor_graph g;
  dor_val map[DOR_MAPS];
  OK(dor_keypoints_named(&n->arena, "coco17", &n->keypoints));
  OK(dor_schema_defaults(n->model.model->keys, cfg, &n->arena));
  n->model.cfg = cfg;
  dor_graph_init(&g, &n->params, false);
  n->model.model->maps(&g, cfg, dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(1, 64, 64, 3), DOR_F32}), map);
  OK(dor_graph_status(&g));
  dor_graph_release(&g);
  n->model.blocks.at[DOR_PARAM] = dor_block_alloc(n->params.param_bytes);
  n->model.blocks.at[DOR_STATE] = dor_block_alloc(n->params.state_bytes);
  REQUIRE(n->model.blocks.at[DOR_PARAM] && n->model.blocks.at[DOR_STATE], "no memory");
  formula_fill(&n->params, n->model.blocks.at[DOR_PARAM], n->model.blocks.at[DOR_STATE]);
}

static void release(formula_net *n)
{
  dor_block_free(n->model.blocks.at[DOR_PARAM], n->params.param_bytes);
  dor_block_free(n->model.blocks.at[DOR_STATE], n->params.state_bytes);
  dor_params_release(&n->params);
  dor_arena_release(&n->arena);
}

/* Share of the samples within `most`, in units of sd, and the worst. want [K,H/8,W/8(,T)], got [T,K,H,W] */
static double within(const h5_set *want, const float *got, const dor_maps *m, int32_t t, double sd, double most, double *worst)
{
  int64_t n = 0, good = 0;
  const float *w = want->data;
  for (int32_t k = 0; k < m->k; k++)
    for (int32_t y = 0; y < m->h; y += 8)
      for (int32_t x = 0; x < m->w; x += 8)
        for (int32_t j = 0; j < t; j++, n++) {
          double off = fabs((double)*w++ - (double)got[(((size_t)j * (size_t)m->k + (size_t)k) * (size_t)m->h + (size_t)y) * (size_t)m->w + (size_t)x]) / sd;
          good += off <= most;
          *worst = fmax(*worst, off);
        }
  return (double)good / (double)n;
}

static void compare(hid_t f, const char *kind, const dor_picture *picture, const formula_net *n)
{
  static const double two[] = {0.5, 1};
  char name[64];
  dor_pose_cfg c;
  dor_arena a = {0};
  dor_finder *finder;
  dor_people people;
  OK(dor_schema_defaults(dor_pose_keys, &c, &a));
  c.size = 256, c.refine = false, c.threads = 2, c.conv = 1, c.people = 1;
  if (!strcmp(kind, "multi")) c.scales = (dor_reals){2, two};
  OK(dor_finder_over(&finder, &n->model, &c));
  OK(dor_finder_run(finder, 1, picture, &a, &people));
  const dor_maps *m = dor_finder_maps(finder);
  snprintf(name, sizeof name, "%s/heatmaps_every8", kind);
  h5_set heat = h5_read(f, name, H5T_NATIVE_FLOAT);
  snprintf(name, sizeof name, "%s/tags_every8", kind);
  h5_set tags = h5_read(f, name, H5T_NATIVE_FLOAT);
  double sd = h5_number(f, kind, "heat_std"), worst = 0;
  REQUIRE(heat.d[1] * 8 == (hsize_t)m->h && heat.d[2] * 8 == (hsize_t)m->w && tags.d[3] == 2, "%s: maps of %d x %d", kind, m->h, m->w);
  double share = within(&heat, m->heat, m, 1, sd, 2e-3, &worst);
  CHECK(share >= 0.999, "%s: %.3f %% of the heat within .002 sd, worst %g", kind, 100 * share, worst);
  share = within(&tags, m->tag, m, 2, sd, 2e-3, &worst);
  CHECK(share >= 0.999, "%s: %.3f %% of the tags within .002 sd, worst %g", kind, 100 * share, worst);
  print_message("%s: worst %.2g sd\n", kind, worst);
  dor_finder_close(finder);
  dor_free(heat.data), dor_free(tags.data);
  dor_arena_release(&a);
}

TEST(golden_inference_785)
{
#ifdef DOR_FAULTS
  SKIP("golden inference: two whole pictures are too slow under the sanitizers");
#endif
  const char *jpeg = test_shared("coco_kp_fixture/000000000785.jpg");
  if (!jpeg || access(golden, R_OK)) SKIP("golden inference: no golden file or picture beside the repository, 2 comparisons skipped");
  dor_picture picture;
  formula_net n;
  OK(dor_picture_read(jpeg, 3, &picture));
  make(&n);
  hid_t f = h5_open(golden);
  compare(f, "single", &picture, &n);
  compare(f, "multi", &picture, &n);
  H5Fclose(f);
  dor_free(picture.pixels);
  release(&n);
}
