/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors into the parameter table: numbers of every type, what does not fit in
 * words, nothing written unless all of it is good; and the record that travels. */
#include "weights/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "nn/pose_net.h"
#include "tensor/convert.h"
#include "tests/test.h"

static float block[4][64];     /* parameters, states, and the same read back */

static void table(dor_params *p)
{
  static const dor_param_spec specs[] = {
      {.name = "conv.weight", .shape = DOR_DIMS(3, 3, 1, 2), .layout = DOR_FILE_OIHW, .init = DOR_INIT_NORMAL, .init_a = 1},
      {.name = "bn.weight", .shape = DOR_DIMS(2), .init = DOR_INIT_ONE},
      {.name = "bn.running_mean", .shape = DOR_DIMS(2), .state = true, .init = DOR_INIT_NORMAL, .init_a = 1},
      {.name = "bn.num_batches_tracked", .shape = DOR_DIMS(1), .dtype = DOR_I32, .state = true}};
  int32_t i;
  *p = (dor_params){0};
  for (int k = 0; k < 4; k++) OK(dor_params_add(p, &specs[k], &i));
  REQUIRE(p->param_bytes <= sizeof block[0] && p->state_bytes <= sizeof block[1], "blocks");
  memset(block, 0, sizeof block);
  dor_params_init(p, 3, block[0], block[1]);
}

static dor_status fill(const dor_params *p, dor_tensor *at, int32_t n, dor_weights_mode mode, dor_weights_tally *tally)
{
  dor_tensors t = {.n = n, .at = at};
  return dor_weights_fill(p, "a.", &t, "w.pth", mode, block[2], block[3], tally);
}

static bool untouched(void)
{
  static const float zero[64];
  return !memcmp(block[2], zero, sizeof zero) && !memcmp(block[3], zero, sizeof zero);
}

TEST(weights_into_the_table)
{
  dor_params p;
  dor_arena a = {0};
  dor_tensor at[8];
  dor_weights_tally y;
  int32_t counter = 7;
  (void)state;
  table(&p);
  memcpy(block[1] + 16, &counter, sizeof counter);
  OK(dor_weights_collect(&a, &p, "a.", block[0], block[1], at));
  at[4] = (dor_tensor){.name = "a.bn2.num_batches_tracked", .type = DOR_TENSOR_I64, .data = "\1\0\0\0\0\0\0", .bytes = 8};
  at[5] = (dor_tensor){.name = "b.else", .type = DOR_TENSOR_U8, .rank = 1, .dim = {0}, .data = ""};
  OK(fill(&p, at, 6, DOR_WEIGHTS_ALL, &y));
  CHECK(!memcmp(block[0], block[2], sizeof block[0]) && !memcmp(block[1], block[3], sizeof block[1]), "other weights came back");
  CHECK(y.loaded == 4 && !y.missing && !y.misfit && !y.unexpected && !y.narrowed, "%d loaded", y.loaded);
  memset(block[2], 0, 2 * sizeof block[2]);
  at[6] = (dor_tensor){.name = "a.bn.weigth", .type = DOR_TENSOR_U8, .rank = 1, .dim = {0}, .data = ""};
  at[1].name = "a.bn.other", at[0].dim[0] = 3;
  CHECK(fill(&p, at, 7, DOR_WEIGHTS_ALL, &y) == DOR_E_DATA && untouched(), "weights that do not fit were taken");
  CHECK(!strcmp(dor_errmsg(), "w.pth: these weights do not fit the model: 1 of another shape: 'a.conv.weight' is [3,1,3,3], wanted [2,1,3,3]; "
                              "1 of 4 missing: 'a.bn.weight' (there is 'bn.weigth'); 2 that the model does not have: 'a.bn.other', 'a.bn.weigth'"),
        "%s", dor_errmsg());
  OK(fill(&p, at, 7, DOR_WEIGHTS_MATCHING, &y));
  CHECK(y.loaded == 2 && y.missing == 1 && y.misfit == 1 && y.unexpected == 2, "%d loaded, %d missing, %d misfit, %d unexpected", y.loaded, y.missing, y.misfit,
        y.unexpected);
  CHECK(!memcmp(block[1], block[3], sizeof block[1]) && block[2][0] == 0, "what matches, and nothing else");
  CHECK(fill(&p, at + 4, 3, DOR_WEIGHTS_MATCHING, &y) == DOR_E_DATA, "nothing matches");
  at[3].name = "a.bn.other_count", memset(block[3], 0xff, sizeof block[3]);
  OK(fill(&p, at, 4, DOR_WEIGHTS_MATCHING, &y));
  memcpy(&counter, block[3] + 16, sizeof counter);
  CHECK(counter == 0, "a counter that is not there starts at %d", counter);
  dor_arena_release(&a);
  dor_params_release(&p);
}

TEST(weights_that_are_not_finite)
{
  dor_params p;
  dor_arena a = {0};
  dor_tensor at[4];
  double far[2] = {1, 1e39};
  (void)state;
  table(&p);
  OK(dor_weights_collect(&a, &p, "a.", block[0], block[1], at));
  float *w = (float *)(uintptr_t)at[0].data;
  w[14] = NAN;
  CHECK(fill(&p, at, 4, DOR_WEIGHTS_ALL, NULL) == DOR_E_NUMERIC && untouched(), "a NaN was taken");
  CHECK(!strcmp(dor_errmsg(), "w.pth: tensor 'a.conv.weight': element [1,0,1,2] is not finite"), "%s", dor_errmsg());
  w[14] = 1, w[0] = -INFINITY;
  CHECK(fill(&p, at, 4, DOR_WEIGHTS_ALL, NULL) == DOR_E_NUMERIC && strstr(dor_errmsg(), "element [0,0,0,0]"), "%s", dor_errmsg());
  w[0] = 1;
  at[1].type = DOR_TENSOR_F64, at[1].data = far, at[1].bytes = sizeof far;
  CHECK(fill(&p, at, 4, DOR_WEIGHTS_ALL, NULL) == DOR_E_NUMERIC && strstr(dor_errmsg(), "element [1]"), "%s", dor_errmsg());
  dor_arena_release(&a);
  dor_params_release(&p);
}

TEST(tensor_numbers_of_every_type)
{
  static uint16_t all[65536];
  static double want[65536];
  static float is[65536];
  (void)state;
  for (int i = 0; i < 65536; i++) all[i] = (uint16_t)i;
  for (int k = 0; k < 2; k++) {
    dor_tensor t = {.name = "x", .type = k ? DOR_TENSOR_BF16 : DOR_TENSOR_F16, .rank = 1, .dim = {65536}, .data = all, .bytes = sizeof all};
    dor_to_real(k ? DOR_BF16 : DOR_F16, all, 65536, want);
    OK(dor_tensor_floats(&t, 0, 65536, is));
    int wrong = 0;
    for (int i = 0; i < 65536; i++) wrong += isnan(want[i]) ? !isnan(is[i]) : (double)is[i] != want[i] || !signbit(is[i]) != !signbit(want[i]);
    CHECK(!wrong, "%d of 65536 %s differ", wrong, dor_tensor_type_name(t.type));
    int64_t bad;
    OK(dor_tensor_finite(&t, &bad));
    CHECK(bad == (k ? 0x7f80 : 0x7c00), "first that is not finite: %lld", (long long)bad);
  }
  const int64_t big[2] = {-1, 1 << 24};
  const uint8_t yes[3] = {0, 1, 255};
  dor_tensor t = {.name = "i", .type = DOR_TENSOR_I64, .rank = 1, .dim = {2}, .data = big, .bytes = 16};
  OK(dor_tensor_floats(&t, 1, 1, is));
  CHECK(is[0] == 16777216, "%g", (double)is[0]);
  t = (dor_tensor){.name = "u", .type = DOR_TENSOR_U8, .rank = 1, .dim = {3}, .data = yes, .bytes = 3};
  OK(dor_tensor_floats(&t, 0, 3, is));
  CHECK(is[2] == 255, "%g", (double)is[2]);
  t.type = DOR_TENSOR_F8_E4M3;
  CHECK(dor_tensor_floats(&t, 0, 3, is) == DOR_E_UNSUPPORTED, "8-bit floats");
}

TEST(weights_record_travels)
{
  static const dor_weights_record r = {.version = "0.1.0", .experiment = "e", .arm = "a", .data = "cohort", .data_sha256 = "12", .trained_on = "72",
                                       .unit = "subject", .keypoints = "nose,\"left\" eye", .stamp = "SYNTHETIC QUICK", .config = ""};
  dor_meta meta[DOR_WEIGHTS_META];
  dor_weights_record back, none = {0};
  dor_tensors t;
  dor_str s = {0}, line = {0};
  (void)state;
  int32_t n = dor_weights_record_meta(&r, meta);
  OK(dor_tensors_encode(&s, 0, NULL, n, meta));
  OK(dor_weights_parse(&t, "w.safetensors", s.s, s.n));
  dor_weights_record_of(&t, &back);
  CHECK(n == 10 && !strcmp(back.keypoints, r.keypoints) && !strcmp(back.trained_on, "72") && !back.config && !back.source, "%d entries", n);
  CHECK(dor_weights_synthetic(&back) && dor_weights_known(&back) && !dor_weights_synthetic(&none) && !dor_weights_known(&none), "what is known");
  dor_weights_record_line(&back, &line);
  CHECK(!strcmp(line.s, "trained on 72 subjects of cohort, experiment e, arm a; SYNTHETIC QUICK"), "%s", line.s);
  dor_str_clear(&line);
  dor_weights_record_line(&none, &line);
  CHECK(strstr(line.s, "unknown origin"), "%s", line.s);
  dor_tensors_release(&t);
  dor_str_release(&s), dor_str_release(&line);
}

TEST(weights_of_no_known_kind)
{
  static const struct { const char *bytes; size_t n; const char *says; } files[] = {
      {"", 0, "an empty file"}, {"<!DOCTYPE html><html>", 21, "a web page"},
      {"version https://git-lfs", 23, "Git LFS pointer"}, {"\x89HDF\r\n\x1a\n", 8, "begins with '\\x89HDF"},
      {"\x80\2}.", 4, "neither PyTorch weights nor safetensors"}, {"PK\3\4", 4, "no end record"}};
  char path[600];
  dor_tensors t;
  (void)state;
  snprintf(path, sizeof path, "%s/w", test_folder("weights"));
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    OK(dor_io_write(path, files[i].bytes, files[i].n));
    CHECK(dor_weights_read(&t, path) == DOR_E_DATA && strstr(dor_errmsg(), files[i].says), "wanted '%s' in '%s'", files[i].says, dor_errmsg());
    CHECK(dor_weights_is(path) == !strncmp(files[i].bytes, "PK", 2), "file %zu", i);
  }
  CHECK(dor_weights_read(&t, test_folder("weights")) == DOR_E_DATA && !dor_weights_is(test_folder("weights")), "a folder");
  snprintf(path, sizeof path, "%s/none", test_folder("weights"));
  CHECK(dor_weights_read(&t, path) == DOR_E_NOTFOUND && !dor_weights_is(path), "a missing file");
}

TEST(weights_as_float)
{
  static const uint16_t half[2] = {0x3c00, 0xc000};
  static const double wide[1] = {0.1};
  static const dor_tensor at[] = {{.name = "h", .type = DOR_TENSOR_F16, .rank = 1, .dim = {2}, .data = half, .bytes = 4},
                                  {.name = "d", .type = DOR_TENSOR_F64, .rank = 0, .data = wide, .bytes = 8},
                                  {.name = "i", .type = DOR_TENSOR_I64, .rank = 0, .data = wide, .bytes = 8}};
  dor_tensors t = {.n = 3, .at = at};
  dor_tensor out[3];
  dor_weights_change c;
  dor_arena a = {0};
  float x[2], d;
  (void)state;
  OK(dor_weights_as_float(&a, &t, "w.pth", out, &c));
  memcpy(x, out[0].data, 8), memcpy(&d, out[1].data, 4);
  CHECK(x[0] == 1 && x[1] == -2 && d == 0.1f && out[2].type == DOR_TENSOR_I64 && out[2].data == wide, "%g %g %g", (double)x[0], (double)x[1], (double)d);
  CHECK(c.numbers == 4 && c.from_f16 == 1 && c.from_bf16 == 0 && c.from_f64 == 1, "%lld numbers", (long long)c.numbers);
  dor_arena_release(&a);
}

/* An ImageNet HRNet has the body's names and some of its own; a HigherHRNet has the body and a head. */
TEST(weights_of_hrnet_start_a_higherhrnet)
{
  dor_params body = {0}, whole = {0};
  dor_graph g;
  dor_pose_net net;
  dor_arena a = {0};
  dor_weights_tally y;
  const dor_model *m = dor_model_find("higherhrnet");
  REQUIRE(m, "no model higherhrnet");
  void *cfg = dor_arena_alloc(&a, m->cfg_size);
  dor_tree root = {.type = DOR_TREE_GROUP, .file = "test"};
  (void)state;
  OK(dor_tree_assign(&a, &root, "width=8"));
  OK(dor_schema_defaults(m->keys, cfg, &a));
  OK(dor_schema_load(m->keys, cfg, &root, NULL, &a));
  dor_graph_init(&g, &whole, false);
  OK(dor_pose_graph_eval(&g, m, cfg, DOR_SHAPE(1, 64, 64, 3), &net));
  dor_graph_release(&g);
  dor_graph_init(&g, &body, false);
  dor_hrnet_features(&g, dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(1, 64, 64, 3), DOR_F32}), 8, DOR_START_KAIMING);
  OK(dor_graph_status(&g));
  dor_graph_release(&g);
  float *from[2] = {dor_block_alloc(body.param_bytes), dor_block_alloc(body.state_bytes)};
  float *to[2] = {dor_block_alloc(whole.param_bytes), dor_block_alloc(whole.state_bytes)};
  REQUIRE(from[0] && from[1] && to[0] && to[1], "memory");
  dor_params_init(&body, 4, from[0], from[1]);
  dor_tensor *at = dor_arena_alloc(&a, ((size_t)body.n + 2) * sizeof *at);
  OK(dor_weights_collect(&a, &body, "", from[0], from[1], at));
  at[body.n] = (dor_tensor){.name = "classifier.weight", .type = DOR_TENSOR_F32, .rank = 1, .dim = {0}, .data = ""};
  at[body.n + 1] = (dor_tensor){.name = "incre_modules.0.0.conv1.weight", .type = DOR_TENSOR_F32, .rank = 1, .dim = {0}, .data = ""};
  dor_tensors t = {.n = body.n + 2, .at = at};
  OK(dor_weights_fill(&whole, "", &t, "hrnet.pth", DOR_WEIGHTS_MATCHING, to[0], to[1], &y));
  CHECK(y.loaded == body.n && y.unexpected == 2 && !y.misfit && y.missing > 20 && y.missing < whole.n - body.n, "%d of %d loaded, %d missing, %d unexpected",
        y.loaded, body.n, y.missing, y.unexpected);
  int32_t head = dor_params_find(&whole, "final_layers.0.weight"), one = dor_params_find(&whole, "stage4.2.branches.3.1.conv2.weight");
  int32_t same = dor_params_find(&body, "stage4.2.branches.3.1.conv2.weight");
  REQUIRE(head >= 0 && one >= 0 && same >= 0, "names");
  CHECK(to[0][whole.at[head].offset / 4] == 0 && !memcmp((char *)to[0] + whole.at[one].offset, (char *)from[0] + body.at[same].offset, 64 * 9 * 64 * 4),
        "the body is loaded and the head left");
  CHECK(dor_weights_fill(&whole, "", &t, "hrnet.pth", DOR_WEIGHTS_ALL, to[0], to[1], &y) == DOR_E_DATA, "taken as the whole");
  dor_block_free(from[0], body.param_bytes), dor_block_free(from[1], body.state_bytes);
  dor_block_free(to[0], whole.param_bytes), dor_block_free(to[1], whole.state_bytes);
  dor_params_release(&body), dor_params_release(&whole);
  dor_arena_release(&a);
}
