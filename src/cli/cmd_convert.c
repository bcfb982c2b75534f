/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum convert: weights of PyTorch, of safetensors or of a run as safetensors
 * in float, with the record of what they were trained on. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/version.h"
#include "weights/weights.h"

/* ---- one file ---- */

typedef struct job {
  const char *in, *out;
  dor_tensors t;
  dor_arena arena;
  dor_tensor *as_float;
  dor_weights_change change;
  dor_weights_record record;
  char sha256[DOR_HASH_HEX];
} job;

/* The record of the file goes on, and what it was converted from first; texts of other programs are kept beside it. */
static dor_status write(const dor_cli *c, job *j)
{
  dor_meta *meta = dor_arena_alloc(&j->arena, ((size_t)j->t.n_meta + DOR_WEIGHTS_META) * sizeof *meta);
  DOR_NEED(meta, NOMEM, "out of memory");
  int32_t own = dor_weights_record_meta(&j->record, meta), n = own;
  for (int32_t i = 0; i < j->t.n_meta; i++) {
    bool there = false;
    for (int32_t k = 0; k < own; k++) there = there || !strcmp(meta[k].key, j->t.meta[i].key);
    if (!there) meta[n++] = j->t.meta[i];
  }
  return c->dry_run ? DOR_OK : dor_tensors_write(j->out, j->t.n, j->as_float, n, meta);
}

static void change_text(const dor_weights_change *h, dor_str *s)
{
  const struct { int32_t n; const char *name; } from[] = {{h->from_f16, "F16"}, {h->from_bf16, "BF16"}, {h->from_f64, "F64"}};
  for (int i = 0; i < 3; i++)
    if (from[i].n) dor_str_fmt(s, "%s%d from %s", s->n ? ", " : "", from[i].n, from[i].name);
  if (!s->n) dor_str_add(s, "no type changed");
  else dor_str_add(s, " to F32");
}

static void say(const dor_cli *c, const job *j)
{
  dor_str change = {0}, record = {0};
  change_text(&j->change, &change);
  dor_weights_record_line(&j->record, &record);
  dor_say(c, "%s %s: %s, %d tensors, %lld numbers; %s", c->dry_run ? "would write" : "wrote", j->out, j->t.format, j->t.n, (long long)j->change.numbers,
          change.s ? change.s : "");
  dor_say(c, "weights %s", record.s ? record.s : "");
  dor_str_release(&change), dor_str_release(&record);
}

static void put_json(const job *j, bool first, dor_str *s)
{
  dor_str_add(s, first ? "[{\"in\": " : ",\n {\"in\": ");
  dor_str_json(s, j->in);
  dor_str_add(s, ", \"out\": ");
  dor_str_json(s, j->out);
  dor_str_add(s, ", \"format\": ");
  dor_str_json(s, j->t.format);
  dor_str_fmt(s, ", \"tensors\": %d, \"numbers\": %lld, \"from_f16\": %d, \"from_bf16\": %d, \"from_f64\": %d, \"origin_known\": %s, \"stamp\": ", j->t.n,
              (long long)j->change.numbers, j->change.from_f16, j->change.from_bf16, j->change.from_f64, dor_weights_known(&j->record) ? "true" : "false");
  dor_str_json(s, j->record.stamp ? j->record.stamp : "");
  dor_str_add(s, "}");
}

static dor_status convert(const dor_cli *c, job *j)
{
  DOR_TRY(dor_weights_read(&j->t, j->in));
  j->as_float = dor_arena_alloc(&j->arena, ((size_t)j->t.n + 1) * sizeof *j->as_float);
  DOR_NEED(j->as_float, NOMEM, "out of memory");
  DOR_TRY(dor_weights_as_float(&j->arena, &j->t, j->in, j->as_float, &j->change));
  dor_weights_record_of(&j->t, &j->record);
  if (!j->record.source) {
    dor_hash_bytes(j->t.file, j->t.size, j->sha256);
    j->record.source = j->t.format, j->record.source_sha256 = j->sha256;
  }
  if (!j->record.version) j->record.version = DOR_VERSION;
  return write(c, j);
}

static dor_status one(const dor_cli *c, const char *in, const char *out, bool first, dor_str *json)
{
  job j = {.in = in, .out = out};
  dor_status s = convert(c, &j);
  if (!s && c->json) put_json(&j, first, json);
  if (!s) say(c, &j);
  dor_tensors_release(&j.t);
  dor_arena_release(&j.arena);
  return s;
}

/* ---- which files ---- */

enum { MOST = 4096 };          /* cells of a run that are converted at once */

typedef struct list {
  dor_cli *c;
  const char *in[MOST], *name[MOST]; /* name: of the file written, in a run with several cells */
  int32_t n;
} list;

static bool wanted(const dor_cli *c, const char *folder)
{
  char seed[32], fold[32];
  snprintf(seed, sizeof seed, "seed_%lld", (long long)c->seed);
  snprintf(fold, sizeof fold, "fold_%lld", (long long)c->fold);
  if (!strncmp(folder, "seed_", 5)) return c->seed < 0 || !strcmp(folder, seed);
  if (!strncmp(folder, "fold_", 5)) return c->fold < 0 || !strcmp(folder, fold);
  return !strncmp(folder, "repeat_", 7);
}

/* seed_S/fold_K or seed_S/repeat_R/fold_K under an arm: folders with best.safetensors are cells. */
static dor_status find_cells(list *l, const char *folder, const char *name, int depth)
{
  dor_arena *a = &l->c->arena;
  const char *const *names;
  size_t n;
  const char *best = dor_path_join(a, folder, "best.safetensors");
  DOR_NEED(best, NOMEM, "out of memory");
  if (dor_io_exists(best)) {
    DOR_NEED(l->n < MOST, USAGE, "%s: more than %d cells; choose with --seed or --fold", l->c->arg[0], MOST);
    l->in[l->n] = best, l->name[l->n++] = dor_arena_fmt(a, "%s.safetensors", name);
    return DOR_OK;
  }
  if (depth == 3 || !dor_io_is_dir(folder)) return DOR_OK;
  DOR_TRY(dor_io_list(a, folder, &names, &n));
  for (size_t i = 0; i < n; i++) {
    const char *sub = dor_path_join(a, folder, names[i]), *longer = dor_arena_fmt(a, "%s%s%s", name, *name ? "." : "", names[i]);
    DOR_NEED(sub && longer, NOMEM, "out of memory");
    if (wanted(l->c, names[i])) DOR_TRY(find_cells(l, sub, longer, depth + 1));
  }
  return DOR_OK;
}

static dor_status choose_arm(dor_cli *c, const char *cells, const char **arm)
{
  const char *const *names;
  char all[512] = "";
  size_t n, used = 0;
  DOR_TRY(dor_io_list(&c->arena, cells, &names, &n));
  *arm = c->arm ? c->arm : n == 1 ? names[0] : NULL;
  for (size_t i = 0; i < n && used < sizeof all - 68; i++) used += (size_t)snprintf(all + used, sizeof all - used, "%s%.64s", i ? ", " : "", names[i]);
  DOR_NEED(*arm, USAGE, "%s: a run of several arms; choose one with --arm: %s", c->arg[0], n ? all : "none");
  bool there = false;
  for (size_t i = 0; i < n; i++) there = there || !strcmp(names[i], *arm);
  DOR_NEED(there, USAGE, "%s: no arm '%s' in this run; there are: %s", c->arg[0], *arm, n ? all : "none");
  return DOR_OK;
}

static dor_status find_inputs(list *l)
{
  dor_cli *c = l->c;
  const char *in = c->arg[0], *arm, *cells = dor_path_join(&c->arena, in, "cells");
  DOR_NEED(cells, NOMEM, "out of memory");
  if (!dor_io_is_dir(in)) return l->in[l->n++] = in, DOR_OK;
  if (dor_io_is_dir(cells)) {
    DOR_TRY(choose_arm(c, cells, &arm));
    const char *folder = dor_path_join(&c->arena, cells, arm);
    DOR_NEED(folder, NOMEM, "out of memory");
    DOR_TRY(find_cells(l, folder, "", 0));
  } else DOR_TRY(find_cells(l, in, "", 0));
  DOR_NEED(l->n, USAGE, "%s: neither a weight file nor a run or cell folder with best.safetensors in it", in);
  return DOR_OK;
}

static bool ends_in(const char *path, const char *ending)
{
  size_t n = strlen(path), k = strlen(ending);
  return n > k && !strcmp(path + n - k, ending);
}

static dor_status convert_all(dor_cli *c, const list *l)
{
  dor_str json = {0};
  dor_status s = DOR_OK;
  bool several = l->n > 1;
  DOR_NEED(several || ends_in(c->out, ".safetensors"), USAGE, "%s: weights are written as .safetensors, and the name must say so", c->out);
  DOR_NEED(!several || !ends_in(c->out, ".safetensors"), USAGE, "%s: %d cells are written, one file each: -o FOLDER, or choose with --seed and --fold",
           c->out, l->n);
  if (several && !c->dry_run) DOR_TRY(dor_io_mkdirs(c->out));
  for (int32_t i = 0; i < l->n && !s; i++) {
    const char *out = several ? dor_path_join(&c->arena, c->out, l->name[i]) : c->out;
    s = out ? dor_cli_may_write(c, out) : DOR_FAIL(NOMEM, "out of memory");
    if (!s) s = one(c, l->in[i], out, i == 0, &json);
  }
  if (c->json && !s) dor_str_add(&json, "]\n"), dor_out_str(&json);
  dor_str_release(&json);
  return s;
}

static dor_status run(dor_cli *c)
{
  DOR_TRY(dor_cli_need_out(c, "weights"));
  DOR_TRY(dor_cli_must_exist(c->arg[0]));
  list *l = dor_arena_alloc(&c->arena, sizeof *l);
  DOR_NEED(l, NOMEM, "out of memory");
  l->c = c;
  DOR_TRY(find_inputs(l));
  DOR_TRY(convert_all(c, l));
  dor_say(c, "next: dorsum describe %s", l->n > 1 ? l->in[0] : c->out);
  return DOR_OK;
}

const dor_command dor_command_convert = {
    .name = "convert",
    .summary = "weights of PyTorch, safetensors or a run as safetensors",
    .usage = "IN -o OUT.safetensors",
    .options = "oaksnfJq",
    .examples = "  dorsum convert pose_higher_hrnet_w32_512.pth -o w32.safetensors\n"
                "  dorsum convert checkpoint.pth.tar -o w32.safetensors --json\n"
                "  dorsum convert results/backtracker/3/cells/backward/seed_1/fold_1 -o fold1.safetensors\n"
                "  dorsum convert results/backtracker/3 --arm backward -o weights\n",
    .text = "IN is a .pth file (zip or legacy format; nothing in it is run), a .safetensors file, or the folder of a run or cell\n"
            "(its best weights; of several cells each becomes a file in the folder OUT). Of a training checkpoint best_state_dict is\n"
            "taken, else state_dict, else model; the prefixes 'module.' and '1.' are removed. Halves and doubles become float, and that\n"
            "is said; weights that are not finite are refused. What they were trained on travels in the file.\n",
    .least = 1,
    .most = 1,
    .run = run};
