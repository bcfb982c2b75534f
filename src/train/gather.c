/* SPDX-License-Identifier: Apache-2.0
 *
 * Gathering: rows in order of arm, seed, repeat, fold and unit, so that the file
 * does not know in which order cells were trained. Who is tested in a cell is
 * worked out again, and must agree with what the cell wrote. */
#include "train/gather.h"

#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/mem.h"
#include "eval/predictions.h"
#include "train/baselines.h"
#include "train/folder.h"
#include "train/record.h"

typedef struct table { /* predictions while they grow; `t` points at the arrays below */
  const dor_study *s;
  dor_arena arena;
  dor_predictions t;
  int32_t cap;
  const char **subject, **trial, **site, **group;
  int32_t *arm, *fold, *repeat, *truth, *n_clips;
  int64_t *seed;
  double *p, *value, *predicted, *threshold;
  dor_str clips;
  dor_marks marks;
} table;

/* ---- room ---- */

static int32_t rows_of_arm(const dor_study_arm *sa) { return sa->roster->n * sa->roster->split.repeats * sa->arm->top.seeds.n; }

static void point(table *g)
{
  g->t.subject = g->subject, g->t.trial = g->trial, g->t.site = g->site, g->t.group = g->group, g->t.arm = g->arm, g->t.fold = g->fold;
  g->t.repeat = g->repeat, g->t.truth = g->truth, g->t.n_clips = g->n_clips, g->t.seed = g->seed, g->t.p = g->p, g->t.value = g->value;
  g->t.predicted = g->predicted, g->t.threshold = g->threshold;
}

static dor_status make_room(table *g)
{
  const dor_study *s = g->s;
  int32_t classes = s->roster[0].n_classes;
  size_t n = (size_t)s->roster[0].n * (size_t)s->roster[0].split.repeats * (size_t)s->experiment->top.baselines.n + 1;
  for (int32_t i = 0; i < s->n_arms; i++) n += (size_t)rows_of_arm(&s->arm[i]);
#define ROOM(field, count) ((g->field = dor_arena_alloc(&g->arena, (count) * sizeof *g->field)) != NULL)
  bool got = ROOM(subject, n) && ROOM(trial, n) && ROOM(site, n) && ROOM(group, n) && ROOM(arm, n) && ROOM(fold, n) && ROOM(repeat, n) &&
             ROOM(truth, n) && ROOM(n_clips, n) && ROOM(seed, n) && ROOM(p, n * (size_t)(classes + 1)) && ROOM(value, n) && ROOM(predicted, n) &&
             ROOM(threshold, n);
#undef ROOM
  DOR_NEED(got, NOMEM, "no memory for %zu predictions", n);
  g->t.n_classes = classes;
  g->t.class_name = s->roster[0].class_name;
  point(g);
  return DOR_OK;
}

/* ---- rows ---- */

static dor_status add_row(table *g, const dor_roster *r, int32_t unit, const dor_cell *c, const dor_arm *arm, int64_t seed, int32_t n_clips)
{
  const dor_dataset *d = g->s->data;
  int32_t i = g->t.n++, subject = r->subject[unit];
  g->subject[i] = r->units.id[unit];
  g->trial[i] = dor_record_trial(&g->arena, r, unit);
  g->group[i] = dor_record_group(&g->arena, d, subject);
  DOR_NEED(g->trial[i] && g->group[i], NOMEM, "no memory for predictions");
  g->site[i] = d->site ? d->site[subject] : "";
  g->arm[i] = g->t.n_arms - 1;
  g->fold[i] = c->fold + 1, g->repeat[i] = c->repeat + 1, g->seed[i] = seed;
  g->truth[i] = r->n_classes ? r->units.label[unit] : 0;
  g->value[i] = (double)r->value[unit];
  g->n_clips[i] = n_clips;
  g->threshold[i] = r->n_classes == 2 ? arm->score.threshold : (double)NAN;
  return DOR_OK;
}

static dor_status add_cell_row(table *g, const dor_roster *r, int32_t unit, const dor_cell *c, const dor_csv *t, int32_t row)
{
  double n_clips;
  const dor_arm *arm = g->s->arm[c->arm].arm;
  int32_t i = g->t.n, outs = r->n_classes ? r->n_classes : 1;
  DOR_NEED(row < t->n_rows && !strcmp(dor_csv_at(t, row, 0), r->units.id[unit]), DATA, "%s: its rows are not those of the fold", t->path);
  DOR_TRY(dor_csv_real(t, row, outs + 1, &n_clips));
  for (int32_t k = 0; k < outs; k++) {
    double x;
    DOR_TRY(dor_csv_real(t, row, k + 1, &x));
    if (r->n_classes) g->p[(size_t)i * (size_t)outs + (size_t)k] = x;
    else g->predicted[i] = x;
  }
  return add_row(g, r, unit, c, arm, c->seed, (int32_t)n_clips);
}

static dor_status add_cell(table *g, const dor_cell *c, const char *folder, dor_role *role)
{
  const dor_study_arm *sa = &g->s->arm[c->arm];
  const char *path = dor_arena_fmt(&g->arena, "%s/%s/predictions.csv", folder, c->path);
  dor_csv t;
  int32_t row = 0;
  DOR_NEED(path, NOMEM, "no memory for a path");
  DOR_TRY(dor_csv_read(&g->arena, path, &t));
  DOR_NEED(t.n_cols == (sa->roster->n_classes ? sa->roster->n_classes : 1) + 2, DATA, "%s: %d columns", path, t.n_cols);
  DOR_TRY(dor_study_roles(sa, c->repeat, c->fold, role));
  for (int32_t u = 0; u < sa->roster->n; u++)
    if (role[u] == DOR_ROLE_TEST) DOR_TRY(add_cell_row(g, sa->roster, u, c, &t, row++));
  DOR_NEED(row == t.n_rows, DATA, "%s: %d rows, the fold tests %d", path, t.n_rows, row);
  return DOR_OK;
}

static dor_status add_baseline(table *g, const char *name)
{
  const dor_roster *r = &g->s->roster[0];
  size_t k = (size_t)r->n_classes;
  double *p = dor_arena_alloc(&g->arena, ((size_t)r->n * k + 1) * sizeof *p);
  DOR_NEED(p, NOMEM, "no memory for a baseline");
  g->t.n_arms++;
  for (int32_t repeat = 0; repeat < r->split.repeats; repeat++)
    for (int32_t fold = 0; fold < r->split.folds; fold++) {
      dor_cell c = {.repeat = repeat, .fold = fold};
      DOR_TRY(dor_baseline_predict(g->s, name, repeat, fold, p));
      for (int32_t u = 0; u < r->n; u++) {
        if (r->split.fold[(size_t)repeat * (size_t)r->n + (size_t)u] != fold) continue;
        memcpy(g->p + (size_t)g->t.n * k, p + (size_t)u * k, k * sizeof *p);
        DOR_TRY(add_row(g, r, u, &c, r->arm, 0, 1));
      }
    }
  return DOR_OK;
}

static dor_status name_arms(table *g)
{
  const dor_study *s = g->s;
  const dor_texts *b = &s->experiment->top.baselines;
  const char **names = dor_arena_alloc(&g->arena, ((size_t)s->n_arms + (size_t)b->n + 1) * sizeof *names);
  DOR_NEED(names, NOMEM, "no memory for the names of arms");
  for (int32_t i = 0; i < s->n_arms; i++) names[i] = s->arm[i].arm->name;
  for (int32_t i = 0; i < b->n; i++) names[s->n_arms + i] = b->v[i];
  g->t.arm_name = names;
  return DOR_OK;
}

static dor_status add_all(table *g, const dor_cell *cells, int32_t n, const char *folder)
{
  int32_t most = 0;
  for (int32_t i = 0; i < g->s->n_rosters; i++) most = g->s->roster[i].n > most ? g->s->roster[i].n : most;
  dor_role *role = dor_arena_alloc(&g->arena, ((size_t)most + 1) * sizeof *role);
  DOR_NEED(role, NOMEM, "no memory for predictions");
  for (int32_t i = 0; i < n; i++) {
    if (!i || cells[i].arm != cells[i - 1].arm) g->t.n_arms++;
    DOR_TRY(add_cell(g, &cells[i], folder, role));
  }
  for (int32_t i = 0; i < g->s->experiment->top.baselines.n; i++) DOR_TRY(add_baseline(g, g->s->experiment->top.baselines.v[i]));
  return DOR_OK;
}

/* ---- clips.csv: the rows of all cells, with arm, seed, repeat and fold before them ---- */

static dor_status add_clips(table *g, const dor_cell *c, const char *folder)
{
  char *text;
  size_t size;
  const char *path = dor_arena_fmt(&g->arena, "%s/%s/clips.csv", folder, c->path);
  DOR_NEED(path, NOMEM, "no memory for a path");
  dor_status s = dor_io_read(path, (size_t)4 << 30, &text, &size);
  if (s == DOR_E_NOTFOUND) return DOR_OK;
  DOR_TRY(s);
  char *head = dor_arena_fmt(&g->arena, "%s,%lld,%d,%d,", g->s->arm[c->arm].arm->name, (long long)c->seed, c->repeat + 1, c->fold + 1);
  for (char *line = text, *end; head && (end = strchr(line, '\n')); line = end + 1) {
    dor_str_add(&g->clips, head);
    dor_str_bytes(&g->clips, line, (size_t)(end - line));
    if (*g->marks.stamps) dor_str_fmt(&g->clips, ",%s", g->marks.stamps);
    dor_str_add(&g->clips, "\n");
  }
  dor_free(text);
  return head ? dor_str_status(&g->clips) : DOR_FAIL(NOMEM, "no memory for clips.csv");
}

static dor_status write_clips(table *g, const dor_cell *cells, int32_t n, const char *folder)
{
  const dor_roster *r = &g->s->roster[0];
  dor_str_add(&g->clips, "arm,seed,repeat,fold,subject_id,input,clip");
  for (int32_t c = 0; c < r->n_classes; c++) dor_str_fmt(&g->clips, ",p_%s", r->class_name[c]);
  dor_str_fmt(&g->clips, "%s%s\n", r->n_classes ? "" : ",y_pred", *g->marks.stamps ? ",stamp" : "");
  size_t head = g->clips.n;
  for (int32_t i = 0; i < n; i++) DOR_TRY(add_clips(g, &cells[i], folder));
  return g->clips.n > head ? dor_folder_put(folder, "clips.csv", &g->clips) : DOR_OK;
}

/* ---- cost.csv: a line is added as a cell finishes; gathering puts them in order ---- */

static const char cost_head[] = "arm,seed,repeat,fold,seconds,train_seconds,peak_mib,parameters,run_id,stamp\n";

static void put_cost(const dor_study *s, const dor_cell *c, const dor_marks *m, dor_str *out)
{
  dor_csv_put(out, s->arm[c->arm].arm->name, false);
  dor_csv_put_int(out, c->seed, false);
  dor_csv_put_int(out, c->repeat + 1, false);
  dor_csv_put_int(out, c->fold + 1, false);
  dor_csv_put_real(out, c->seconds < 0 ? (double)NAN : c->seconds, false);
  dor_csv_put_real(out, c->train_seconds < 0 ? (double)NAN : c->train_seconds, false);
  dor_csv_put_real(out, c->peak_mib, false);
  dor_csv_put_int(out, c->parameters, false);
  dor_csv_put(out, m->id, false);
  dor_csv_put(out, m->stamps, true);
}

dor_status dor_cost_note(const dor_study *study, const dor_cell *c, const char *folder, const dor_marks *m)
{
  dor_arena a = {0};
  dor_str line = {0};
  const char *path = dor_path_join(&a, folder, "cost.csv");
  if (path && !dor_io_exists(path)) dor_str_add(&line, cost_head);
  put_cost(study, c, m, &line);
  dor_status s = path ? dor_str_status(&line) : DOR_FAIL(NOMEM, "no memory for a path");
  if (!s) s = dor_io_append(path, line.s, line.n);
  dor_str_release(&line);
  dor_arena_release(&a);
  return s;
}

static bool same_cost(const char *line, const dor_csv *t, int32_t row)
{
  for (int32_t k = 0; k < 4; k++) {
    size_t n = strcspn(line, ",");
    if (strlen(dor_csv_at(t, row, k)) != n || memcmp(dor_csv_at(t, row, k), line, n) != 0) return false;
    line += n + 1;
  }
  return true;
}

/* What is not known stays so: a cell taken from another run, or a line that a crash tore. */
static void take_cost(const dor_csv *t, int32_t row, dor_cell *c)
{
  double seconds, train, peak;
  if (dor_csv_real(t, row, 4, &seconds) || dor_csv_real(t, row, 5, &train) || dor_csv_real(t, row, 6, &peak) || isnan(seconds) || isnan(train)) return;
  c->seconds = seconds, c->train_seconds = train, c->peak_mib = peak;
}

/* A cell that was trained again has a later line. */
static void read_cost(const table *g, dor_cell *cells, int32_t n, const char *folder)
{
  dor_arena a = {0};
  dor_csv t;
  const char *path = dor_path_join(&a, folder, "cost.csv");
  bool there = path && !dor_csv_read(&a, path, &t) && t.n_cols == 10;
  for (int32_t i = 0; there && i < n; i++) {
    dor_str line = {0};
    put_cost(g->s, &cells[i], &g->marks, &line);
    for (int32_t row = 0; line.s && row < t.n_rows; row++)
      if (same_cost(line.s, &t, row)) take_cost(&t, row, &cells[i]);
    dor_str_release(&line);
  }
  dor_arena_release(&a);
}

static dor_status write_cost(table *g, const dor_cell *cells, int32_t n, const char *folder)
{
  dor_str s = {0};
  dor_str_add(&s, cost_head);
  for (int32_t i = 0; i < n; i++) put_cost(g->s, &cells[i], &g->marks, &s);
  dor_status status = dor_folder_put(folder, "cost.csv", &s);
  dor_str_release(&s);
  return status;
}

/* ---- all ---- */

static dor_status gather(table *g, dor_cell *cells, int32_t n, const char *folder)
{
  const char *path = dor_path_join(&g->arena, folder, "predictions.csv");
  DOR_NEED(path, NOMEM, "no memory for a path");
  DOR_TRY(make_room(g));
  DOR_TRY(name_arms(g));
  DOR_TRY(add_all(g, cells, n, folder));
  DOR_TRY(dor_record_marks(g->s, folder, &g->marks));
  g->t.stamp = g->marks.stamps;
  DOR_TRY(dor_predictions_write(&g->t, path));
  DOR_TRY(write_clips(g, cells, n, folder));
  read_cost(g, cells, n, folder);
  return write_cost(g, cells, n, folder);
}

dor_status dor_gather(const dor_study *s, dor_cell *cells, int32_t n, const char *folder)
{
  table g = {.s = s};
  dor_status status = gather(&g, cells, n, folder);
  dor_str_release(&g.clips);
  dor_arena_release(&g.arena);
  return status;
}
