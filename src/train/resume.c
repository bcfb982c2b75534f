/* SPDX-License-Identifier: Apache-2.0
 *
 * Saving and restoring a cell in the middle of training. Blocks are stored as
 * they lie in memory: the code version in the signature covers their layout. */
#include "train/resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "train/checkpoint.h"

enum { PER_BRANCH = 6, SIGNATURE = 6 };

/* Precision is part of the config, and is named first where it differs. */
static int32_t signature(const dor_resume *r, dor_meta m[SIGNATURE])
{
  m[0] = (dor_meta){"code version", DOR_NUMERICS};
  m[1] = (dor_meta){"precision", dor_format_name(r->replica->net->precision)};
  m[2] = (dor_meta){"config", r->cell->config_hash};
  m[3] = (dor_meta){"data", r->data_hash};
  m[4] = (dor_meta){"split", r->cell->split_hash};
  m[5] = (dor_meta){"cell", r->cell->hash};
  return SIGNATURE;
}

/* The parts of a branch's memory, by name; the same list saves and restores. */
static void parts(const dor_resume *r, int32_t branch, char name[PER_BRANCH][32], dor_tensor t[PER_BRANCH])
{
  static const char *const word[PER_BRANCH] = {"param", "state", "moment", "best_param", "best_state", "position"};
  dor_replica *p = &r->replica[branch];
  const dor_network *net = p->net;
  void *const data[PER_BRANCH] = {p->store.host[DOR_PARAM], p->store.host[DOR_STATE], p->store.host[DOR_MOMENT], p->best_param, p->best_state,
                                  &r->at[branch]};
  const size_t bytes[PER_BRANCH] = {net->params.param_bytes, net->params.state_bytes, net->moment_bytes, net->params.param_bytes,
                                    net->params.state_bytes, sizeof(dor_position)};
  for (int i = 0; i < PER_BRANCH; i++) {
    snprintf(name[i], 32, "%d.%s", branch, word[i]);
    t[i] = (dor_tensor){.name = name[i], .type = DOR_TENSOR_U8, .rank = 1, .dim = {(int64_t)bytes[i]}, .data = data[i], .bytes = bytes[i]};
  }
}

dor_status dor_resume_save(const dor_resume *r)
{
  dor_arena a = {0};
  int32_t n = 0, most = (r->branch + 1) * PER_BRANCH + 1;
  dor_tensor *t = dor_arena_alloc(&a, (size_t)most * sizeof *t);
  char(*name)[PER_BRANCH][32] = dor_arena_alloc(&a, (size_t)(r->branch + 1) * sizeof *name);
  dor_meta meta[SIGNATURE + 1];
  char branch[16];
  dor_status s = t && name ? DOR_OK : DOR_FAIL(NOMEM, "no memory for a checkpoint");
  for (int32_t b = 0; b <= r->branch && !s; b++, n += PER_BRANCH) {
    parts(r, b, name[b], &t[n]);
    s = dor_replica_pull(&r->replica[b]);
  }
  if (!s) {
    int32_t m = signature(r, meta);
    snprintf(branch, sizeof branch, "%d", r->branch);
    meta[m++] = (dor_meta){"branch", branch};
    t[n++] = (dor_tensor){.name = "train.csv", .type = DOR_TENSOR_U8, .rank = 1, .dim = {(int64_t)r->csv->n}, .data = r->csv->s, .bytes = r->csv->n};
    s = dor_checkpoint_write(r->path, n, t, m, meta);
  }
  dor_arena_release(&a);
  return s;
}

static dor_status restore(dor_resume *r, const dor_tensors *file, int32_t n_branches)
{
  const char *branch = dor_tensors_meta(file, "branch");
  const dor_tensor *csv = dor_tensors_find(file, "train.csv");
  r->branch = branch ? (int32_t)strtol(branch, NULL, 10) : -1;
  DOR_NEED(csv && r->branch >= 0 && r->branch < n_branches, DATA, "%s: damaged: no position in it", r->path);
  for (int32_t b = 0; b <= r->branch; b++) {
    char name[PER_BRANCH][32];
    dor_tensor t[PER_BRANCH];
    parts(r, b, name, t);
    for (int i = 0; i < PER_BRANCH; i++) {
      const dor_tensor *is = dor_tensors_find(file, t[i].name);
      DOR_NEED(is && is->bytes == t[i].bytes, DATA, "%s: damaged: '%s' is missing or of another size", r->path, t[i].name);
      if (is->bytes) memcpy((void *)(uintptr_t)t[i].data, is->data, is->bytes);
    }
    DOR_TRY(dor_replica_push(&r->replica[b]));
  }
  dor_str_clear(r->csv);
  dor_str_bytes(r->csv, csv->data, csv->bytes);
  return dor_str_status(r->csv);
}

dor_status dor_resume_load(dor_resume *r, int32_t n_branches)
{
  dor_meta want[SIGNATURE];
  dor_tensors file;
  DOR_TRY(dor_checkpoint_read(&file, r->path, signature(r, want), want));
  dor_status s = restore(r, &file, n_branches);
  dor_tensors_release(&file);
  return s;
}
