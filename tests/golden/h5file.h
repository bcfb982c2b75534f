/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading golden HDF5 files: a dataset whole, as floats or doubles, with its shape. */
#ifndef DOR_TESTS_GOLDEN_H5FILE_H
#define DOR_TESTS_GOLDEN_H5FILE_H

#include <hdf5.h>

#include "base/mem.h"
#include "tests/test.h"

enum { H5_SET_RANK = 8 };

typedef struct h5_set { /* free data with dor_free */
  int rank;
  hsize_t d[H5_SET_RANK];
  size_t n;
  void *data;
} h5_set;

static inline hid_t h5_open(const char *path)
{
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  REQUIRE(f >= 0, "%s cannot be opened", path);
  return f;
}

/* data is NULL when there is no such dataset. */
static inline h5_set h5_read(hid_t f, const char *name, hid_t type)
{
  h5_set s = {.n = 1};
  hid_t set = H5Dopen2(f, name, H5P_DEFAULT);
  if (set < 0) return s;
  hid_t space = H5Dget_space(set);
  s.rank = H5Sget_simple_extent_dims(space, s.d, NULL);
  for (int i = 0; i < s.rank; i++) s.n *= s.d[i];
  s.data = dor_calloc(s.n + 1, H5Tget_size(type));
  REQUIRE(s.data && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, s.data) >= 0, "%s cannot be read", name);
  H5Sclose(space);
  H5Dclose(set);
  return s;
}

/* A number that is an attribute of an object. */
static inline double h5_number(hid_t f, const char *object, const char *attr)
{
  double v = 0;
  hid_t a = H5Aopen_by_name(f, object, attr, H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(a >= 0 && H5Aread(a, H5T_NATIVE_DOUBLE, &v) >= 0, "%s of %s cannot be read", attr, object);
  H5Aclose(a);
  return v;
}

#endif
