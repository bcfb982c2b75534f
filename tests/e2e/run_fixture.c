/* SPDX-License-Identifier: Apache-2.0
 *
 * The made-up cohort and its runs. */
#include "tests/e2e/run_fixture.h"

#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/test.h"

const char plain_config[] = "experiment = \"plain\";\n"
                            "data = \"data.h5\";\n"
                            "target = { column = \"kind\"; positive = \"B\"; };\n"
                            "split = { scheme = \"kfold\"; folds = 3; seed = 5; };\n"
                            "seeds = [1];\n"
                            "inputs = { x = { from = \"tables\"; name = \"features\"; impute = \"mean\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
                            "nets = { mlp = { kind = \"mlp\"; hidden = [8]; }; };\n"
                            "train = { optimizer = \"adam\"; lr = 0.01; epochs = 30; batch = 16; stop = \"none\"; };\n"
                            "arms = { net = { use = [\"x\"]; }; };\n"
                            "baselines = [\"majority\"];\n";

static const char *fmt(dor_arena *a, const char *prefix, int32_t i) { return dor_arena_fmt(a, "%s%03d", prefix, i); }

static void fill_table(dor_arena *a, dor_dataset *d, made m, const float *kind, dor_rng *rng)
{
  dor_table *t = dor_arena_alloc(a, sizeof *t);
  int32_t rows = m.subjects * (m.two_rows ? 2 : 1);
  int32_t *subject = dor_arena_alloc(a, (size_t)rows * sizeof *subject);
  float *values = dor_arena_alloc(a, (size_t)rows * (size_t)m.features * sizeof *values);
  const char **names = dor_arena_alloc(a, (size_t)m.features * sizeof *names), **units = dor_arena_alloc(a, (size_t)m.features * sizeof *units);
  for (int32_t k = 0; k < m.features; k++) names[k] = fmt(a, "f", k), units[k] = "";
  for (int32_t i = 0; i < rows; i++) {
    subject[i] = i % m.subjects;
    for (int32_t k = 0; k < m.features; k++)
      values[i * m.features + k] = (float)(dor_rng_normal(rng) + (k == 0 && !isnan(kind[subject[i]]) ? m.apart * ((double)kind[subject[i]] - .5) : 0));
  }
  *t = (dor_table){.name = "features", .n = rows, .items = {.n = m.features, .name = names, .unit = units}, .subject = subject, .values = values};
  d->tables = t, d->n_tables = 1;
}

static void fill_proms(dor_arena *a, dor_dataset *d, const float *kind, dor_rng *rng)
{
  static const char *const names[] = {"odi", "nrs"}, *const units[] = {"", ""};
  int32_t *subject = dor_arena_alloc(a, (size_t)d->n_subjects * sizeof *subject);
  float *values = dor_arena_alloc(a, (size_t)d->n_subjects * 2 * sizeof *values);
  for (int32_t i = 0; i < d->n_subjects; i++) {
    subject[i] = i;
    values[2 * i] = (float)(20 + 5 * dor_rng_normal(rng) + (kind[i] > 0 ? 3 : 0));
    values[2 * i + 1] = i % 7 == 3 ? NAN : (float)(4 + dor_rng_normal(rng));
  }
  d->proms = (dor_table){.name = "proms", .n = d->n_subjects, .items = {.n = 2, .name = names, .unit = units}, .subject = subject, .values = values};
}

static void fill_people(dor_arena *a, dor_dataset *d, made m, float *kind)
{
  static const char *const two[] = {"A", "B"}, *const three[] = {"X", "Y", "Z"};
  const char **id = dor_arena_alloc(a, (size_t)m.subjects * sizeof *id), **sex = dor_arena_alloc(a, (size_t)m.subjects * sizeof *sex);
  float *age = dor_arena_alloc(a, (size_t)m.subjects * sizeof *age), *third = dor_arena_alloc(a, (size_t)m.subjects * sizeof *third);
  dor_target *t = dor_arena_alloc(a, 3 * sizeof *t);
  for (int32_t i = 0; i < m.subjects; i++) {
    id[i] = fmt(a, "s", i), sex[i] = i % 3 ? "F" : "M", age[i] = (float)(30 + i % 40);
    kind[i] = (float)(i % 5 < 2), third[i] = (float)(i % 3);
  }
  kind[m.subjects - 1] = NAN;
  t[0] = (dor_target){"kind", DOR_TARGET_CLASS, DOR_PER_SUBJECT, m.subjects, 2, two, kind};
  t[1] = (dor_target){"three", DOR_TARGET_CLASS, DOR_PER_SUBJECT, m.subjects, 3, three, third};
  t[2] = (dor_target){"score", DOR_TARGET_VALUE, DOR_PER_SUBJECT, m.subjects, 0, NULL, third};
  d->id = id, d->sex = sex, d->age = age, d->target = t, d->n_targets = 3;
}

const char *make_data(const char *folder, made m)
{
  static char path[1200];
  dor_dataset d = {.name = "made up", .license = "CC0", .created_by = "a test", .n_subjects = m.subjects};
  dor_rng rng = dor_rng_stream(7, 11, 13);
  float *kind = dor_arena_alloc(&d.arena, (size_t)m.subjects * sizeof *kind);
  memset(d.source_sha256, '0', 64);
  fill_people(&d.arena, &d, m, kind);
  fill_table(&d.arena, &d, m, kind, &rng);
  fill_proms(&d.arena, &d, kind, &rng);
  snprintf(path, sizeof path, "%s/data.h5", folder);
  OK(dor_dataset_write(&d, path));
  dor_arena_release(&d.arena);
  return path;
}

dor_run_options default_options(const char *folder)
{
  static char results[1200];
  snprintf(results, sizeof results, "%s/results", folder);
  return (dor_run_options){.results = results, .fold = -1, .seed = -1, .jobs = 1};
}

dor_status run_text(const char *folder, const char *text, dor_run_options *o, dor_run_result *out)
{
  char path[1200];
  dor_experiment e;
  snprintf(path, sizeof path, "%s/test.cfg", folder);
  if (strcmp(text_of(folder, "test.cfg"), text)) OK(dor_io_write(path, text, strlen(text)));
  dor_status s = dor_experiment_read(&e, path, NULL, 0);
  if (s) return s;
  s = dor_run(&e, o, out);
  dor_experiment_release(&e);
  return s;
}

static bool left_out(const char *name) { return !strcmp(name, "private") || !strcmp(name, "cost.csv") || !strcmp(name, "log.txt"); }

static void hash_tree(dor_arena *a, const char *folder, dor_hash *h)
{
  const char *const *names;
  size_t n;
  OK(dor_io_list(a, folder, &names, &n));
  for (size_t i = 0; i < n; i++) {
    const char *path = dor_path_join(a, folder, names[i]);
    char *data;
    size_t size;
    if (left_out(names[i])) continue;
    dor_hash_text(h, "name", names[i]);
    if (dor_io_is_dir(path)) {
      hash_tree(a, path, h);
      continue;
    }
    OK(dor_io_read(path, 1 << 28, &data, &size));
    dor_hash_add(h, data, size);
    dor_free(data);
  }
}

void hash_run(const char *folder, char hex[65])
{
  dor_arena a = {0};
  dor_hash h;
  dor_hash_init(&h);
  hash_tree(&a, folder, &h);
  dor_hash_final(&h, hex);
  dor_arena_release(&a);
}

const char *text_of(const char *folder, const char *name)
{
  static char text[1 << 20];
  char path[5200], *data;
  size_t n;
  text[0] = 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (dor_io_read(path, sizeof text - 1, &data, &n)) return text;
  memcpy(text, data, n + 1);
  dor_free(data);
  return text;
}

double accuracy_of(const char *folder, const char *arm)
{
  dor_arena a = {0};
  dor_csv t;
  int32_t of_arm, truth, decided, n = 0, right = 0;
  char path[5200];
  snprintf(path, sizeof path, "%s/predictions.csv", folder);
  OK(dor_csv_read(&a, path, &t));
  OK(dor_csv_need(&t, "arm", &of_arm));
  OK(dor_csv_need(&t, "y_true", &truth));
  OK(dor_csv_need(&t, "y_pred", &decided));
  for (int32_t i = 0; i < t.n_rows; i++) {
    if (strcmp(dor_csv_at(&t, i, of_arm), arm)) continue;
    n++, right += !strcmp(dor_csv_at(&t, i, truth), dor_csv_at(&t, i, decided));
  }
  dor_arena_release(&a);
  return n ? (double)right / n : -1;
}
