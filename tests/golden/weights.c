/* SPDX-License-Identifier: Apache-2.0
 *
 * Weight files that PyTorch and safetensors wrote, against what they hold, number
 * by number; and files that no reader may take. */
#include "weights/weights.h"

#include <jansson.h>
#include <string.h>

#include "tests/test.h"

static const char *path_of(const char *name, char out[256])
{
  snprintf(out, 256, "weights/%s", name);
  const char *path = test_golden(out);
  REQUIRE(path, "tests/golden/weights/%s is not here", name);
  snprintf(out, 256, "%s", path);
  return out;
}

static bool same_type(const char *torch, dor_tensor_type t)
{
  static const struct { const char *torch, *ours; } names[] = {{"float32", "F32"}, {"float16", "F16"}, {"bfloat16", "BF16"}, {"float64", "F64"},
                                                              {"int64", "I64"}, {"uint8", "U8"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i].torch, torch)) return !strcmp(names[i].ours, dor_tensor_type_name(t));
  return false;
}

static void check_tensor(const char *file, const dor_tensor *t, const char *name, const json_t *want)
{
  REQUIRE(t, "%s: no tensor '%s'", file, name);
  const json_t *shape = json_object_get(want, "shape"), *values = json_object_get(want, "values");
  CHECK(same_type(json_string_value(json_object_get(want, "dtype")), t->type), "%s: '%s' is %s", file, name, dor_tensor_type_name(t->type));
  CHECK((size_t)t->rank == json_array_size(shape), "%s: '%s' has %d dimensions", file, name, t->rank);
  for (int32_t i = 0; i < t->rank; i++) CHECK(t->dim[i] == json_integer_value(json_array_get(shape, (size_t)i)), "%s: '%s' dimension %d", file, name, i);
  size_t n = t->bytes / dor_tensor_type_bytes(t->type), shown = json_array_size(values) < n ? json_array_size(values) : n;
  float x[512];
  REQUIRE(n <= 512 && (n == 0 || shown > 0), "%s: '%s' has %zu numbers", file, name, n);
  OK(dor_tensor_floats(t, 0, (int64_t)n, x));
  for (size_t i = 0; i < shown; i++) {
    double is = (double)x[i], wanted = (double)(float)json_number_value(json_array_get(values, i));
    CHECK(is == wanted, "%s: '%s' element %zu is %.9g, not %.9g", file, name, i, is, wanted);
  }
}

TEST(golden_weights_are_read)
{
  char path[256];
  json_error_t e;
  (void)state;
  json_t *all = json_load_file(path_of("expected.json", path), 0, &e), *tensors, *want;
  REQUIRE(json_is_object(all) && json_object_size(all) == 4, "expected.json: %s", e.text);
  const char *file, *name;
  json_object_foreach(all, file, tensors) {
    dor_tensors t;
    OK(dor_weights_read(&t, path_of(file, path)));
    CHECK((size_t)t.n == json_object_size(tensors), "%s: %d tensors, wanted %zu", file, t.n, json_object_size(tensors));
    json_object_foreach(tensors, name, want) check_tensor(file, dor_tensors_find(&t, name), name, want);
    CHECK(!strstr(file, "checkpoint") || strstr(t.format, "best_state_dict"), "%s: taken from %s", file, t.format);
    CHECK((strstr(t.format, "legacy") != NULL) == (strstr(file, "legacy") != NULL), "%s: %s", file, t.format);
    dor_tensors_release(&t);
  }
  dor_tensors t;
  OK(dor_weights_read(&t, path_of("plain.safetensors", path)));
  for (int32_t i = 0; i < t.n; i++) check_tensor("plain.safetensors", &t.at[i], t.at[i].name, json_object_get(json_object_get(all, "zip.pth"), t.at[i].name));
  CHECK(t.n == 5, "%d tensors", t.n);
  dor_tensors_release(&t);
  json_decref(all);
}

TEST(golden_hostile_weights_are_refused)
{
  static const struct { const char *file, *says; } refused[] = {
      {"refuse_code.pth", "data.pkl, byte 13: 'posix.system' is no part of weights (nothing was run)"},
      {"refuse_whole_module.pth", "data.pkl, byte 2: 'torch.nn.modules.container.Sequential' is code: a whole model was saved"},
      {"refuse_header.safetensors", "header"},
      {"refuse_overlap.safetensors", "tensor 'b' overlaps another"},
      {"refuse_shape.safetensors", "tensor 'a': its shape overflows"}};
  char path[256], begins[300];
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    dor_tensors t;
    CHECK(dor_weights_read(&t, path_of(refused[i].file, path)) == DOR_E_DATA, "%s was taken", refused[i].file);
    snprintf(begins, sizeof begins, "%s: ", path);
    CHECK(!strncmp(dor_errmsg(), begins, strlen(begins)) && strstr(dor_errmsg(), refused[i].says), "wanted '%s%s' in '%s'", begins,
          refused[i].says, dor_errmsg());
  }
}
