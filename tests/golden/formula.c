/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/formula.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/test.h"

void formula_sym(const char *name, int64_t n, float *out)
{
  uint64_t h = dor_hash_name(name);
  for (int64_t i = 0; i < n; i++) {
    uint64_t z = h + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    out[i] = (float)(2 * ((double)(z >> 40) / 16777216.0) - 1);
  }
}


int64_t golden_place(dor_shape nhwc, int64_t i)
{
  int64_t pixels = (int64_t)nhwc.d[1] * nhwc.d[2], c = nhwc.d[3], map = i / pixels;
  return (map / c * pixels + i % pixels) * c + map % c;
}

void formula_image(const char *name, dor_shape s, float *out)
{
  int64_t n = dor_shape_size(s);
  float *nchw = malloc((size_t)n * sizeof *nchw);
  formula_sym(name, n, nchw);
  for (int64_t i = 0; i < n; i++) out[golden_place(s, i)] = nchw[i];
  free(nchw);
}

static bool ends(const char *name, const char *with)
{
  size_t n = strlen(name), m = strlen(with);
  return n >= m && !strcmp(name + n - m, with);
}

/* Has the layer of this parameter running moments? */
static bool of_norm(const dor_params *p, const char *name)
{
  char other[256];
  snprintf(other, sizeof other, "%.*srunning_mean", (int)(strrchr(name, '.') + 1 - name), name);
  return dor_params_find(p, other) >= 0;
}

static void fill_one(const dor_params *p, const dor_param *q, float *file)
{
  dor_shape s = dor_param_file_shape(q);
  int64_t n = dor_shape_size(s);
  bool norm = s.n == 1 && of_norm(p, q->spec.name);
  double base = norm && (ends(q->spec.name, ".weight") || ends(q->spec.name, "running_var")) ? 1 : 0;
  double factor = s.n > 1 ? sqrt(1.5 / ((double)n / s.d[0])) : !norm ? 0.1 : ends(q->spec.name, "running_var") ? 0.4 : 0.2;
  formula_sym(q->spec.name, n, file);
  for (int64_t i = 0; i < n; i++) file[i] = (float)(base + factor * (double)file[i]);
}

void formula_fill(const dor_params *p, void *param_block, void *state_block)
{
  memset(param_block, 0, p->param_bytes);
  memset(state_block, 0, p->state_bytes);
  for (int32_t k = 0; k < p->n; k++) {
    const dor_param *q = &p->at[k];
    if (q->spec.dtype != DOR_F32) continue;
    float *file = malloc((size_t)dor_shape_size(q->spec.shape) * sizeof *file);
    fill_one(p, q, file);
    dor_param_from_file(q, file, (float *)(void *)((char *)(q->spec.state ? state_block : param_block) + q->offset));
    free(file);
  }
}

hid_t golden_open(const char *file)
{
  const char *path = test_golden(file);
  REQUIRE(path, "tests/golden/%s is missing", file);
  hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  REQUIRE(f >= 0, "%s cannot be opened", path);
  return f;
}

void golden_read(hid_t file, const char *dataset, int64_t n, double *out)
{
  hid_t d = H5Dopen2(file, dataset, H5P_DEFAULT);
  REQUIRE(d >= 0, "no dataset %s", dataset);
  hid_t space = H5Dget_space(d);
  REQUIRE(H5Sget_simple_extent_npoints(space) == n, "%s has %lld numbers, wanted %lld", dataset, (long long)H5Sget_simple_extent_npoints(space), (long long)n);
  REQUIRE(H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0, "%s cannot be read", dataset);
  H5Sclose(space);
  H5Dclose(d);
}

double golden_attr(hid_t file, const char *group, const char *attr)
{
  double x = NAN;
  hid_t a = H5Aopen_by_name(file, group, attr, H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(a >= 0 && H5Aread(a, H5T_NATIVE_DOUBLE, &x) >= 0, "no attribute %s of %s", attr, group);
  H5Aclose(a);
  return x;
}

void golden_nhwc(const double *nchw, dor_shape s, double *out)
{
  for (int64_t i = 0, n = dor_shape_size(s); i < n; i++) out[golden_place(s, i)] = nchw[i];
}

double golden_l2(const double *got, const double *want, int64_t n)
{
  double error = 0, size = 0;
  for (int64_t i = 0; i < n; i++) error += (got[i] - want[i]) * (got[i] - want[i]), size += want[i] * want[i];
  return sqrt(error / size);
}
