/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that want to reach out, run code or fill the memory: each is a sound
 * dataset with one hostile thing added, and each must be refused for that thing. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hdf5.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/unit/data_fixture.h"

static char path[1024];

static void fresh(void)
{
  dor_dataset d;
  fixture_dataset(&d);
  snprintf(path, sizeof path, "%s/hostile.h5", test_folder("hostile"));
  OK(dor_dataset_write(&d, path));
  dor_dataset_release(&d);
}

/* The file closes on one exit; what is added is a function of the open file. */
static void refused(const char *what, herr_t (*add)(hid_t file), const char *says)
{
  fresh();
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(file >= 0, "%s: the file does not open", what);
  herr_t made = add(file);
  H5Fclose(file);
  REQUIRE(made >= 0, "%s: could not be made", what);
  dor_dataset d;
  dor_status s = dor_dataset_read(&d, path);
  CHECK(s == DOR_E_DATA && strstr(dor_errmsg(), says), "%s: status %d, '%s' does not say '%s'", what, s, dor_errmsg(), says);
  CHECK(strstr(dor_errmsg(), "hostile.h5"), "%s: the file is not named: %s", what, dor_errmsg());
  if (!s) dor_dataset_release(&d);
}

static herr_t external_link(hid_t f) { return H5Lcreate_external("/etc/hostname", "/x", f, "tables/more", H5P_DEFAULT, H5P_DEFAULT); }
static herr_t soft_link(hid_t f) { return H5Lcreate_soft("/subjects", f, "tables/more", H5P_DEFAULT, H5P_DEFAULT); }

static herr_t dataset_with(hid_t f, hid_t type, const hsize_t *dims, int rank, hid_t plist)
{
  hid_t space = H5Screate_simple(rank, dims, NULL), set = H5Dcreate2(f, "tables/gait/more", type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Sclose(space);
  return set < 0 ? -1 : H5Dclose(set);
}

static herr_t external_storage(hid_t f)
{
  hsize_t n = 16;
  hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(p, "/etc/hostname", 0, 16);
  herr_t r = dataset_with(f, H5T_STD_U8LE, &n, 1, p);
  H5Pclose(p);
  return r;
}

static herr_t virtual_dataset(hid_t f)
{
  hsize_t n = 4;
  hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
  H5Pset_virtual(p, space, "other.h5", "/x", space);
  herr_t r = dataset_with(f, H5T_IEEE_F32LE, &n, 1, p);
  H5Sclose(space);
  H5Pclose(p);
  return r;
}

static herr_t variable_string(hid_t f)
{
  hsize_t n = 2;
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  herr_t r = dataset_with(f, type, &n, 1, H5P_DEFAULT);
  H5Tclose(type);
  return r;
}

static herr_t variable_attribute(hid_t f)
{
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, H5T_VARIABLE);
  hid_t a = H5Acreate2(f, "note", type, space, H5P_DEFAULT, H5P_DEFAULT);
  const char *text = "x";
  herr_t r = H5Awrite(a, type, &text);
  H5Aclose(a), H5Sclose(space), H5Tclose(type);
  return r;
}

static herr_t reference(hid_t f)
{
  hsize_t n = 1;
  return dataset_with(f, H5T_STD_REF_OBJ, &n, 1, H5P_DEFAULT);
}

static herr_t compound(hid_t f)
{
  hsize_t n = 1;
  hid_t type = H5Tcreate(H5T_COMPOUND, 8);
  H5Tinsert(type, "a", 0, H5T_NATIVE_INT32);
  herr_t r = dataset_with(f, type, &n, 1, H5P_DEFAULT);
  H5Tclose(type);
  return r;
}

static herr_t bomb(hid_t f)
{
  hsize_t n[2] = {1 << 20, 1 << 12}, chunk[2] = {1 << 10, 1 << 12};
  hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 2, chunk);
  herr_t r = dataset_with(f, H5T_STD_U8LE, n, 2, p);
  H5Pclose(p);
  return r;
}

static herr_t wide(hid_t f)
{
  hsize_t n[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  return dataset_with(f, H5T_STD_U8LE, n, 9, H5P_DEFAULT);
}

static herr_t other_filter(hid_t f)
{
  hsize_t n = 64;
  hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 1, &n);
  H5Pset_nbit(p);
  herr_t r = dataset_with(f, H5T_STD_I32LE, &n, 1, p);
  H5Pclose(p);
  return r;
}

static herr_t cycle(hid_t f) { return H5Lcreate_hard(f, "/", f, "tables/gait/up", H5P_DEFAULT, H5P_DEFAULT); }

static herr_t control_name(hid_t f)
{
  hid_t g = H5Gcreate2(f, "tables/ga\nit", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  return g < 0 ? -1 : H5Gclose(g);
}

static herr_t named_type(hid_t f)
{
  hid_t t = H5Tcopy(H5T_STD_I32LE);
  herr_t r = H5Tcommit2(f, "tables/type", t, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Tclose(t);
  return r;
}

static herr_t other_version(hid_t f)
{
  int two = 2;
  hid_t a = H5Aopen(f, "version", H5P_DEFAULT);
  herr_t r = H5Awrite(a, H5T_NATIVE_INT, &two);
  H5Aclose(a);
  return r;
}

static herr_t short_column(hid_t f)
{
  hsize_t n = FIX_SUBJECTS - 1;
  H5Ldelete(f, "subjects/age", H5P_DEFAULT);
  hid_t space = H5Screate_simple(1, &n, NULL), set = H5Dcreate2(f, "subjects/age", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Sclose(space);
  return H5Dclose(set);
}

static herr_t missing_column(hid_t f) { return H5Ldelete(f, "tables/gait/items", H5P_DEFAULT); }

TEST(h5_hostile_files_are_refused)
{
  (void)state;
  refused("external link", external_link, "/tables/more: a link to another file");
  refused("soft link", soft_link, "/tables/more: a soft link");
  refused("external storage", external_storage, "/tables/gait/more: stored in an external file");
  refused("virtual dataset", virtual_dataset, "/tables/gait/more: a virtual dataset");
  refused("variable string", variable_string, "/tables/gait/more: a variable-length string");
  refused("variable string in an attribute", variable_attribute, "a variable-length string");
  refused("reference", reference, "a reference");
  refused("compound", compound, "a compound");
  refused("shape bomb", bomb, "a thousand times larger");
  refused("nine dimensions", wide, "more than 8 dimensions");
  refused("filter", other_filter, "filtered by something else");
  refused("cycle", cycle, "nested more than 16 deep");
  refused("control character", control_name, "a control character");
  refused("named type", named_type, "neither a group nor a dataset");
  refused("version", other_version, "dataset version 2");
  refused("short column", short_column, "/subjects/age: 5 rows, 6 are needed");
  refused("missing column", missing_column, "/tables/gait/items: is no group");
}

TEST(h5_no_file_and_no_hdf5)
{
  (void)state;
  dor_dataset d;
  snprintf(path, sizeof path, "%s/text.h5", test_folder("hostile"));
  CHECK(dor_dataset_read(&d, "no/such/file.h5") == DOR_E_NOTFOUND, "%s", dor_errmsg());
  OK(dor_io_write(path, "not an HDF5 file", 16));
  CHECK(dor_dataset_read(&d, path) == DOR_E_DATA && strstr(dor_errmsg(), "is no HDF5 file"), "%s", dor_errmsg());
}

/* Without the syncs of dor_io_write: hundreds of them take seconds. */
static int put_bytes(const char *bytes, size_t n)
{
  FILE *f = fopen(path, "wb");
  size_t done = f ? fwrite(bytes, 1, n, f) : 0;
  return !f || fclose(f) || done != n;
}

/* A child's end without the leak checker: what libhdf5 loses on damaged files is not ours. */
static void leave(int code) { syscall(SYS_exit_group, code); }

/* Bytes overwritten at random. Checksums cover the data, so what is read at all must be what was written. */
TEST(h5_random_damage)
{
  (void)state;
  dor_dataset truth, d;
  char *bytes, *work;
  size_t n;
  int crashes = 0, silent = 0;
  fresh();
  OK(dor_dataset_read(&truth, path));
  OK(dor_io_read(path, 1 << 24, &bytes, &n));
  work = dor_calloc(n, 1);
  for (uint64_t round = 0; round < 20; round++) {
    pid_t child = test_fork();
    if (!child) {
      setrlimit(RLIMIT_CPU, &(struct rlimit){20, 20});
      for (uint64_t i = 0; i < 15; i++) {
        dor_rng r = dor_rng_stream(round, 1, i);
        memcpy(work, bytes, n);
        for (uint32_t k = 1 + dor_rng_below(&r, 8); k; k--) work[dor_rng_below(&r, (uint32_t)n)] = (char)dor_rng_u32(&r);
        if (put_bytes(work, n)) leave(2);
        if (dor_dataset_read(&d, path)) continue;
        if (!fixture_equal(&truth, &d)) leave(1);
        dor_dataset_release(&d);
      }
      leave(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    silent += WIFEXITED(status) && WEXITSTATUS(status) == 1;
    crashes += WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) > 1);
  }
  CHECK(!silent && !crashes, "%d changes went unseen, %d rounds crashed", silent, crashes);
  dor_free(bytes);
  dor_free(work);
  dor_dataset_release(&truth);
}
