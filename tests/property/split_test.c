/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever the cohort: folds partition the people, clusters stay whole, classes
 * are even, and the bytes of an id move nobody. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/split.h"

enum { MOST = 120 };

typedef struct cohort {
  int32_t cluster[MOST], label[MOST], site[MOST], row[MOST];
  const char *id[MOST];
  char text[MOST][32];
  dor_units u;
} cohort;

/* People in clusters of 1 to 3 of one class each; ids spelled by `spelling`. */
static void make(cohort *c, uint64_t seed, int32_t n, int32_t classes, int32_t most_together, const char *spelling)
{
  dor_rng r = dor_rng_stream(seed, 7, 0);
  *c = (cohort){0};
  for (int32_t i = 0, left = 0, cluster = -1, label = 0; i < n; i++, left--) {
    if (left <= 0) left = 1 + (int32_t)dor_rng_below(&r, (uint32_t)most_together), cluster++, label = (int32_t)dor_rng_below(&r, (uint32_t)classes);
    c->cluster[i] = cluster * 3 + 1, c->label[i] = label, c->site[i] = cluster % 4, c->row[i] = i;
    snprintf(c->text[i], sizeof c->text[i], spelling, (i * 7919) % 1000);
    c->id[i] = c->text[i];
  }
  c->u = (dor_units){n, classes, c->cluster, c->label, c->site, c->id, c->row, NULL, NULL, NULL};
}

static dor_split_cfg config(int scheme)
{
  dor_split_cfg c;
  dor_arena a = {0};
  OK(dor_schema_defaults(dor_split_keys, &c, &a));
  dor_arena_release(&a);
  c.scheme = scheme, c.test = "", c.file = "";
  return c;
}

static void check_whole(const cohort *c, const dor_split *s)
{
  for (int32_t r = 0; r < s->repeats; r++)
    for (int32_t i = 0; i < s->n; i++) {
      int32_t f = s->fold[r * s->n + i];
      CHECK(f >= -1 && f < s->folds, "fold %d of %d", f, s->folds);
      for (int32_t j = 0; j < i; j++) CHECK(c->cluster[i] != c->cluster[j] || s->fold[r * s->n + j] == f, "cluster %d is in folds %d and %d", c->cluster[i],
          f, s->fold[r * s->n + j]);
    }
}

TEST(split_kfold_partitions_and_balances)
{
  (void)state;
  cohort c;
  dor_split_cfg cfg = config(DOR_SPLIT_KFOLD);
  cfg.repeats = 2;
  for (uint64_t seed = 0; seed < 40; seed++) {
    dor_arena a = {0};
    dor_split s;
    make(&c, seed, 60 + (int32_t)seed, 2 + (int32_t)(seed % 2), 1 + (int32_t)(seed % 3), "p%d");
    OK(dor_split_make(&a, &cfg, &c.u, &s));
    check_whole(&c, &s);
    int32_t count[2][5][3] = {{{0}}}, total[3] = {0}, moved = 0;
    for (int32_t i = 0; i < s.n; i++) {
      total[c.label[i]]++, moved += s.fold[i] != s.fold[s.n + i];
      for (int32_t r = 0; r < 2; r++) {
        REQUIRE(s.fold[r * s.n + i] >= 0, "nobody is left out");
        count[r][s.fold[r * s.n + i]][c.label[i]]++;
      }
    }
    CHECK(moved > s.n / 3, "repeats give other folds: %d of %d moved", moved, s.n);
    for (int32_t r = 0; r < 2; r++)
      for (int32_t f = 0; f < 5; f++)
        for (int32_t k = 0; k < c.u.n_classes; k++) CHECK(abs(5 * count[r][f][k] - total[k]) <= 5 * 3, "seed %d: fold %d has %d of %d of class %d", (int)seed,
            f, count[r][f][k], total[k], k);
    dor_arena_release(&a);
  }
}

TEST(split_ignores_the_bytes_of_ids)
{
  (void)state;
  cohort one, two;
  make(&one, 5, 90, 2, 2, "p%d");
  make(&two, 5, 90, 2, 2, "zz%08x");
  for (int32_t i = 0; i < 90; i++) two.cluster[i] = 500 - two.cluster[i]; /* nor do the numbers of groups matter */
  for (int scheme = DOR_SPLIT_KFOLD; scheme <= DOR_SPLIT_RANK; scheme++) {
    dor_arena a = {0};
    dor_split s, t;
    dor_split_cfg cfg = config(scheme);
    if (scheme == DOR_SPLIT_HOLDOUT) cfg.test = "first:1";
    if (scheme == DOR_SPLIT_HOLDOUT) one.cluster[0] = two.cluster[0] = 999;
    OK(dor_split_make(&a, &cfg, &one.u, &s));
    OK(dor_split_make(&a, &cfg, &two.u, &t));
    check_whole(&one, &s);
    CHECK(s.folds == t.folds && !memcmp(s.fold, t.fold, 90 * sizeof *s.fold), "scheme %d: other ids, other folds", scheme);
    dor_arena_release(&a);
  }
}

TEST(split_other_schemes)
{
  (void)state;
  cohort c;
  dor_arena a = {0};
  dor_split s;
  make(&c, 3, 40, 2, 1, "p%d");
  dor_split_cfg cfg = config(DOR_SPLIT_LOSO);
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  CHECK(s.folds == 40 && s.fold[0] == 0 && s.fold[39] == 39, "each person once");
  cfg.scheme = DOR_SPLIT_LOSITE;
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  CHECK(s.folds == 4, "%d folds of 4 sites", s.folds);
  for (int32_t i = 0; i < 40; i++) CHECK(s.fold[i] == c.site[i], "person %d of site %d in fold %d", i, c.site[i], s.fold[i]);
  cfg.scheme = DOR_SPLIT_RANK;
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  for (int32_t i = 0, rank[2] = {0}; i < 40; i++) CHECK(s.fold[i] == rank[c.label[i]]++ % 5, "person %d in fold %d", i, s.fold[i]);
  cfg.scheme = DOR_SPLIT_HOLDOUT, cfg.test = "last:7";
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  for (int32_t i = 0; i < 40; i++) CHECK(s.fold[i] == (i >= 33 ? 0 : -1), "person %d in fold %d", i, s.fold[i]);
  cfg.test = "first:3";
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  CHECK(s.folds == 1 && s.fold[2] == 0 && s.fold[3] == -1, "first three");
  dor_arena_release(&a);
}

static void refused(const dor_split_cfg *cfg, const dor_units *u, dor_status want, const char *text)
{
  dor_arena a = {0};
  dor_split s;
  dor_status st = dor_split_make(&a, cfg, u, &s);
  CHECK(st == want && strstr(dor_errmsg(), text), "status %d, '%s' does not say '%s'", st, dor_errmsg(), text);
  dor_arena_release(&a);
}

TEST(split_refuses)
{
  (void)state;
  cohort c;
  make(&c, 3, 40, 2, 3, "p%d");
  dor_split_cfg cfg = config(DOR_SPLIT_HOLDOUT);
  refused(&cfg, &c.u, DOR_E_CONFIG, "needs split.test");
  cfg.test = "last:40";
  refused(&cfg, &c.u, DOR_E_CONFIG, "from 1 to 39");
  c.cluster[20] = c.cluster[21] = 77, cfg.test = "first:21";
  refused(&cfg, &c.u, DOR_E_LEAK, "cuts through");
  cfg.repeats = 2;
  refused(&cfg, &c.u, DOR_E_CONFIG, "repeats");
  cfg = config(DOR_SPLIT_LOSITE);
  c.site[20] = 0, c.site[21] = 1;
  refused(&cfg, &c.u, DOR_E_LEAK, "two sites");
  c.u.site = NULL;
  refused(&cfg, &c.u, DOR_E_CONFIG, "no sites");
  cfg = config(DOR_SPLIT_KFOLD);
  cfg.folds = 41;
  refused(&cfg, &c.u, DOR_E_CONFIG, "41 folds");
}

TEST(split_inner_is_a_grouped_fifth)
{
  (void)state;
  cohort c;
  for (uint64_t seed = 0; seed < 20; seed++) {
    dor_arena a = {0};
    make(&c, seed, 100, 2, 2, "p%d");
    int32_t rows[MOST], n = 0, held[2] = {0}, total[2] = {0};
    bool out[MOST];
    for (int32_t i = 0; i < 100; i++)
      if (c.cluster[i] % 4) rows[n++] = i;
    OK(dor_split_inner(&a, &c.u, rows, n, 5, seed, out));
    for (int32_t i = 0; i < n; i++) {
      held[c.label[rows[i]]] += out[i], total[c.label[rows[i]]]++;
      for (int32_t j = 0; j < i; j++) CHECK(c.cluster[rows[i]] != c.cluster[rows[j]] || out[i] == out[j], "a cluster is cut");
    }
    for (int k = 0; k < 2; k++) CHECK(abs(5 * held[k] - total[k]) <= 10, "class %d: %d of %d held out", k, held[k], total[k]);
    dor_arena_release(&a);
  }
}

static const char *file_of(const char *text)
{
  static char path[1024];
  snprintf(path, sizeof path, "%s/splits.json", test_folder("split"));
  if (text && dor_io_write(path, text, strlen(text))) abort();
  return path;
}

TEST(split_file_round_trip)
{
  (void)state;
  cohort c;
  dor_arena a = {0};
  dor_split s, t;
  make(&c, 9, 50, 2, 1, "p%d \"quoted\" \xc3\xa9");
  dor_split_cfg cfg = config(DOR_SPLIT_KFOLD);
  cfg.repeats = 3;
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  OK(dor_split_write(&s, &c.u, file_of(NULL)));
  OK(dor_split_read(&a, file_of(NULL), &c.u, &t));
  CHECK(t.repeats == 3 && t.folds == 5 && !memcmp(s.fold, t.fold, 150 * sizeof *s.fold), "read back otherwise");
  cfg = config(DOR_SPLIT_HOLDOUT), cfg.test = "last:9";
  OK(dor_split_make(&a, &cfg, &c.u, &s));
  OK(dor_split_write(&s, &c.u, file_of(NULL)));
  OK(dor_split_read(&a, file_of(NULL), &c.u, &t));
  CHECK(t.folds == 1 && !memcmp(s.fold, t.fold, 50 * sizeof *s.fold), "a holdout reads back otherwise");
  dor_arena_release(&a);
}

static void file_refused(const dor_units *u, const char *text, dor_status want, const char *says)
{
  dor_arena a = {0};
  dor_split s;
  dor_status st = dor_split_read(&a, file_of(text), u, &s);
  CHECK(st == want && strstr(dor_errmsg(), says), "status %d, '%s' does not say '%s'", st, dor_errmsg(), says);
  CHECK(!strstr(dor_errmsg(), "p919"), "an id is printed: %s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(split_file_is_checked)
{
  (void)state;
  cohort c;
  make(&c, 9, 3, 2, 1, "p%d"); /* p0 p919 p838 */
  file_refused(&c.u, "{\"schema\":1,\"repeats\":[{\"folds\":[[\"p0\"],[\"p919\"]]}]}", DOR_E_DATA, "leaves out row 3");
  file_refused(&c.u, "{\"schema\":1,\"repeats\":[{\"folds\":[[\"p0\",\"p919\"],[\"p919\",\"p838\"]]}]}", DOR_E_DATA, "fold 2: entry 1 stands twice");
  file_refused(&c.u, "{\"schema\":1,\"repeats\":[{\"folds\":[[\"p0\",\"who\"],[\"p919\",\"p838\"]]}]}", DOR_E_DATA, "fold 1: entry 2 is nobody");
  file_refused(&c.u, "{\"schema\":2,\"repeats\":[]}", DOR_E_DATA, "schema");
  file_refused(&c.u, "{\"schema\":1,\"repeats\":[]}", DOR_E_DATA, "0 repeats");
  file_refused(&c.u, "{\"schema\":1,\n\"repeats\":[", DOR_E_DATA, "splits.json:2");
  c.cluster[0] = c.cluster[1];
  file_refused(&c.u, "{\"schema\":1,\"repeats\":[{\"folds\":[[\"p0\"],[\"p919\",\"p838\"]]}]}", DOR_E_LEAK, "cuts through");
}
