/* SPDX-License-Identifier: Apache-2.0
 *
 * HRNet and HigherHRNet: every name and shape of the original's state_dict, exact
 * counts, the sizes of the maps, and how the weights begin. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/tree.h"
#include "nn/pose_net.h"
#include "tests/test.h"

typedef struct built { dor_arena arena; dor_params params; dor_graph graph; dor_pose_net net; void *cfg; const dor_model *model; } built;

static dor_status build(built *b, const char *text, dor_shape x)
{
  memset(b, 0, sizeof *b);
  b->model = dor_model_find("higherhrnet");
  b->cfg = dor_arena_alloc(&b->arena, b->model->cfg_size);
  OK(dor_schema_defaults(b->model->keys, b->cfg, &b->arena));
  dor_tree *tree;
  OK(dor_tree_parse(&b->arena, "test.cfg", text, &tree));
  OK(dor_schema_load(b->model->keys, b->cfg, tree, NULL, &b->arena));
  dor_graph_init(&b->graph, &b->params, false);
  return dor_pose_graph_eval(&b->graph, b->model, b->cfg, x, &b->net);
}

static void drop(built *b)
{
  dor_graph_release(&b->graph);
  dor_params_release(&b->params);
  dor_arena_release(&b->arena);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* SHA-256 of the sorted lines "name <tab> param|buffer <tab> AxBxC|scalar". */
static void hash_names(const dor_params *p, char hex[DOR_HASH_HEX])
{
  char **line = calloc((size_t)p->n, sizeof *line);
  for (int32_t i = 0; i < p->n; i++) {
    dor_shape s = dor_param_file_shape(&p->at[i]);
    dor_str text = {0};
    dor_str_fmt(&text, "%s\t%s\t%s", p->at[i].spec.name, p->at[i].spec.state ? "buffer" : "param", s.n ? "" : "scalar");
    for (int32_t k = 0; k < s.n; k++) dor_str_fmt(&text, "%s%d", k ? "x" : "", s.d[k]);
    dor_str_add(&text, "\n");
    line[i] = text.s;
  }
  qsort(line, (size_t)p->n, sizeof *line, by_text);
  dor_hash h;
  dor_hash_init(&h);
  for (int32_t i = 0; i < p->n; i++) {
    dor_hash_add(&h, line[i], strlen(line[i]));
    dor_free(line[i]);
  }
  dor_hash_final(&h, hex);
  free(line);
}

/* The listings were made from the original's code; what a hash hides is in them: sort FILE | sha256sum. */
static void expect(const char *text, int64_t count, const char *names, double macs, double charged)
{
  built b;
  char hex[DOR_HASH_HEX];
  OK(build(&b, text, DOR_SHAPE(1, 512, 512, 3)));
  hash_names(&b.params, hex);
  CHECK(dor_params_count(&b.params, false) == count, "%lld parameters, wanted %lld", (long long)dor_params_count(&b.params, false), (long long)count);
  CHECK(b.params.n == 1810, "%d names, wanted 1810", b.params.n);
  CHECK(!strcmp(hex, names), "names and shapes hash to %s", hex);
  double got[2] = {dor_conv_macs(&b.graph, false), dor_conv_macs(&b.graph, true)};
  CHECK(fabs(got[0] / macs - 1) < 1e-5 && fabs(got[1] / charged - 1) < 1e-5, "%.6g multiply-adds, %.6g as the authors count", got[0], got[1]);
  drop(&b);
}

TEST(higherhrnet_w32_is_the_original)
{
  expect("", 28645331, "788aa7fdb382ac2341f4fcb814cd9e464cf3b37db456b4e8174930ac79935f64", 46.203e9, 47.864e9);
}

TEST(higherhrnet_w48_is_the_original)
{
  double scale = 512.0 * 512 / (640 * 640);
  expect("width = 48;", 63827139, "deea72e166d936c4b4da78fe790f10c2c752ce15e327dff1357f014d35b36948", 149.469e9 * scale, 154.305e9 * scale);
}

TEST(higherhrnet_maps_follow_the_picture)
{
  built b;
  OK(build(&b, "width = 8; joints = 14;", DOR_SHAPE(2, 96, 64, 3)));
  CHECK(b.net.n_maps == 2 && b.net.joints == 14, "%d maps of %d joints", b.net.n_maps, b.net.joints);
  CHECK(dor_shape_same(b.net.map[0], DOR_SHAPE(2, 24, 16, 28)) && dor_shape_same(b.net.map[1], DOR_SHAPE(2, 48, 32, 14)), "sizes");
  drop(&b);
  CHECK(build(&b, "width = 8;", DOR_SHAPE(1, 96, 48, 3)) == DOR_E_SHAPE && strstr(dor_errmsg(), "multiples of 32"), "%s", dor_errmsg());
  drop(&b);
}

static double sd_of(const built *b, const float *block, const char *name)
{
  int32_t i = dor_params_find(&b->params, name);
  REQUIRE(i >= 0, "no parameter %s", name);
  const float *x = block + b->params.at[i].offset / sizeof *x;
  int64_t n = dor_shape_size(b->params.at[i].spec.shape);
  double square = 0;
  for (int64_t k = 0; k < n; k++) square += (double)x[k] * (double)x[k];
  return sqrt(square / (double)n);
}

static void check_start(const char *text, double conv, double transposed)
{
  built b;
  OK(build(&b, text, DOR_SHAPE(1, 32, 32, 3)));
  float *param = dor_block_alloc(b.params.param_bytes), *state = dor_block_alloc(b.params.state_bytes);
  dor_params_init(&b.params, 3, param, state);
  double got[4] = {sd_of(&b, param, "stage3.1.branches.1.0.conv1.weight"), sd_of(&b, param, "deconv_layers.0.0.0.weight"),
                   sd_of(&b, param, "final_layers.1.weight"), sd_of(&b, param, "final_layers.0.bias")};
  CHECK(fabs(got[0] / conv - 1) < 0.02 && fabs(got[1] / transposed - 1) < 0.02, "%s: sd %g and %g, wanted %g and %g", text, got[0], got[1], conv, transposed);
  CHECK(fabs(got[2] / 0.001 - 1) < 0.1 && got[3] == 0, "final layers: sd %g, bias %g", got[2], got[3]);
  dor_block_free(param, b.params.param_bytes);
  dor_block_free(state, b.params.state_bytes);
  drop(&b);
}

TEST(higherhrnet_starts_as_it_is_told)
{
  check_start("", sqrt(2.0 / (64 * 9)), sqrt(2.0 / (66 * 4)));
  check_start("init = \"original\";", 0.001, 0.001);
}

/* The body alone, as a net of a config: the same names without the head, and a vector of its width. */
TEST(hrnet_is_higherhrnet_without_its_head)
{
  built b;
  dor_params alone = {0};
  dor_graph g;
  OK(build(&b, "", DOR_SHAPE(1, 64, 64, 3)));
  const dor_model *m = dor_model_find("hrnet");
  void *cfg = dor_arena_alloc(&b.arena, m->cfg_size);
  OK(dor_schema_defaults(m->keys, cfg, &b.arena));
  dor_graph_init(&g, &alone, false);
  dor_val y = m->body(&g, cfg, dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(3, 64, 64, 3), DOR_F32}));
  OK(dor_graph_status(&g));
  CHECK(dor_shape_same(dor_graph_type(&g, y).shape, DOR_SHAPE(3, 32)), "the mean of the finest maps");
  CHECK(dor_params_count(&alone, false) == 28535552, "%lld parameters", (long long)dor_params_count(&alone, false));
  for (int32_t i = 0; i < alone.n; i++) CHECK(dor_params_find(&b.params, alone.at[i].spec.name) >= 0, "%s is not in the whole", alone.at[i].spec.name);
  dor_graph_release(&g);
  dor_params_release(&alone);
  drop(&b);
}
