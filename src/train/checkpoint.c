/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and verifying checkpoints. The hash is a tensor of its own at the end,
 * so the file stays readable by every safetensors reader. */
#include "train/checkpoint.h"

#include <string.h>
#include <sys/statvfs.h>

#include "base/hash.h"
#include "base/io.h"

enum { HEX = DOR_HASH_HEX - 1 };
static const size_t max_bytes = (size_t)8 << 30;

dor_status dor_checkpoint_room(const char *path, size_t bytes)
{
  dor_arena a = {0};
  struct statvfs v;
  const char *dir = dor_path_dir(&a, path);
  int rc = dir ? statvfs(*dir ? dir : ".", &v) : -1;
  dor_arena_release(&a);
  if (rc) return DOR_OK; /* a file system that cannot say: the write itself will tell */
  double free_bytes = (double)v.f_bavail * (double)v.f_frsize;
  DOR_NEED(free_bytes >= 3.0 * (double)bytes, IO, "%s: %.0f bytes are free on that disk, a checkpoint needs three times %zu", path, free_bytes, bytes);
  return DOR_OK;
}

static dor_status encode(dor_arena *a, dor_str *file, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta)
{
  char hex[DOR_HASH_HEX] = {0};
  dor_tensor *all = dor_arena_alloc(a, (size_t)(n + 1) * sizeof *all);
  dor_meta *m = dor_arena_alloc(a, (size_t)(n_meta + 1) * sizeof *m);
  DOR_NEED(all && m, NOMEM, "no memory for a checkpoint of %d tensors", n);
  memcpy(all, at, (size_t)n * sizeof *at);
  all[n] = (dor_tensor){.name = "sha256", .type = DOR_TENSOR_U8, .rank = 1, .dim = {HEX}, .data = hex, .bytes = HEX};
  m[0] = (dor_meta){"version", "1"};
  if (n_meta) memcpy(m + 1, meta, (size_t)n_meta * sizeof *meta);
  DOR_TRY(dor_tensors_encode(file, n + 1, all, n_meta + 1, m));
  dor_hash_bytes(file->s, file->n - HEX, hex);
  memcpy(file->s + file->n - HEX, hex, HEX);
  return DOR_OK;
}

dor_status dor_checkpoint_write(const char *path, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta)
{
  dor_arena a = {0};
  dor_str file = {0};
  dor_status s = encode(&a, &file, n, at, n_meta, meta);
  if (!s) s = dor_checkpoint_room(path, file.n);
  if (!s) s = dor_io_write(path, file.s, file.n);
  dor_str_release(&file);
  dor_arena_release(&a);
  return s;
}

static dor_status verify(const dor_tensors *t, const char *path)
{
  const dor_tensor *last = t->n ? &t->at[t->n - 1] : NULL;
  DOR_NEED(last && !strcmp(last->name, "sha256") && last->bytes == HEX, DATA, "%s: damaged: its hash is missing", path);
  char hex[DOR_HASH_HEX];
  dor_hash_bytes(t->file, t->size - HEX, hex);
  DOR_NEED(!memcmp(hex, last->data, HEX), DATA, "%s: damaged: its bytes do not have the hash written at its end", path);
  const char *version = dor_tensors_meta(t, "version");
  DOR_NEED(version && !strcmp(version, "1"), DATA, "%s: checkpoint version %s, this program reads 1", path, version ? version : "missing");
  return DOR_OK;
}

static dor_status compare(const dor_tensors *t, const char *path, int32_t n, const dor_meta *want)
{
  for (int32_t i = 0; i < n; i++) {
    const char *is = dor_tensors_meta(t, want[i].key);
    if (!is && !strcmp(want[i].key, "precision")) is = "fp32"; /* written before there was a choice */
    DOR_NEED(is && !strcmp(is, want[i].value), CONFIG, "%s: made with another %s: %s, now %s", path, want[i].key, is ? is : "none", want[i].value);
  }
  return DOR_OK;
}

dor_status dor_checkpoint_read(dor_tensors *out, const char *path, int32_t n_want, const dor_meta *want)
{
  DOR_TRY(dor_tensors_read(out, path, max_bytes));
  dor_status s = verify(out, path);
  if (!s) s = compare(out, path, n_want, want);
  if (s) dor_tensors_release(out);
  return s;
}
