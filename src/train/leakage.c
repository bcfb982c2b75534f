/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks L1 to L3 and L5 to L7: every cell's parts are made as they will be for
 * training, and marks on people, groups, trials and rows must not meet. */
#include "train/leakage.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "train/cell.h"
#include "train/folder.h"
#include "train/twins.h"

enum { L1, L2, L3, L4, L5, L6, L7 };
enum { TRAIN = 1, INNER = 2, TEST = 4, FIT = 8 };

static const dor_leak_check checks[DOR_LEAKAGE_CHECKS] = {
  {.id = "L1", .text = "no subject and no group is trained on and tested in one fold"},
  {.id = "L2", .text = "no subject and no group is on both sides of an inner split"},
  {.id = "L3", .text = "no frame, image or trial is trained on and tested in one fold"},
  {.id = "L4", .text = "no image and no whole trial has a twin of identical content in another fold"},
  {.id = "L5", .text = "imputation, scaling and class weights are fitted on the training part alone"},
  {.id = "L6", .text = "the best epoch is chosen on an inner part that is not tested"},
  {.id = "L7", .text = "augmented copies are made of training samples alone"}};

typedef struct marker {
  const dor_study *s;
  dor_leakage *out;
  const dor_study_arm *sa;
  int32_t repeat, fold;
  dor_role *role;
  uint8_t *person, *group, *trial; /* [subjects], [groups], [things of a source] */
} marker;

static const uint8_t bit_of[] = {[DOR_ROLE_NONE] = 0, [DOR_ROLE_TRAIN] = TRAIN, [DOR_ROLE_INNER] = INNER, [DOR_ROLE_TEST] = TEST};

static bool both(uint8_t mask, uint8_t a, uint8_t b) { return (mask & a) && (mask & b); }

static void find(const marker *m, int check, const char *what, const char *id)
{
  dor_leak_check *c = &m->out->check[check];
  if (!c->found++)
    snprintf(c->first, sizeof c->first, "arm '%.40s', repeat %d, fold %d: %s %.48s", m->sa->arm->name, m->repeat + 1, m->fold + 1, what, id);
}

/* ---- people and groups ---- */

static void judge(const marker *m, uint8_t mask, const char *what, const char *id)
{
  m->out->check[L1].looked++;
  m->out->check[L2].looked++;
  if (both(mask, TEST, TRAIN | INNER)) find(m, L1, what, id);
  if (both(mask, TRAIN, INNER)) find(m, L2, what, id);
}

static void check_people(const marker *m)
{
  const dor_roster *r = m->sa->roster;
  const dor_dataset *d = m->s->data;
  memset(m->person, 0, (size_t)d->n_subjects);
  memset(m->group, 0, (size_t)d->n_subjects);
  for (int32_t u = 0; u < r->n; u++) m->person[r->subject[u]] |= bit_of[m->role[u]];
  for (int32_t i = 0; i < d->n_subjects; i++)
    if (d->group && d->group[i] >= 0) m->group[d->group[i] % d->n_subjects] |= m->person[i];
  for (int32_t i = 0; i < d->n_subjects; i++) {
    if (m->person[i]) judge(m, m->person[i], "subject", d->id[i]);
    if (d->group && d->group[i] >= 0 && m->person[i]) judge(m, m->group[d->group[i] % d->n_subjects], "the group of", d->id[i]);
  }
}

/* ---- rows of sources ---- */

static void mark_part(const dor_branch *b, const dor_cell_part *part, uint8_t bit, int32_t input, uint8_t *row)
{
  for (int32_t i = 0; i < part->n; i++)
    for (int32_t j = 0; j < b->n_slots; j++) {
      int32_t place = b->slot[j].pooled ? part->sample[i].source : 0;
      if (b->input_of[j][place] == input) row[part->sample[i].row[j]] |= bit;
    }
}

static void judge_rows(const marker *m, const dor_branch *b, int32_t input, const uint8_t *row, uint8_t *trial, int32_t things)
{
  const dor_source *s = b->source[input];
  bool augmented = s->image && dor_augment_any(&m->sa->arm->augment);
  memset(trial, 0, (size_t)things);
  for (int32_t i = 0; i < s->n; i++) {
    const char *id = m->s->data->id[s->subject[i]];
    if (s->trial[i] >= 0) trial[s->trial[i]] |= row[i];
    if (both(row[i], TRAIN | INNER, TEST)) find(m, L3, "a sample of", id);
    if (both(row[i], FIT, INNER | TEST)) find(m, L5, "a sample of", id);
    if (both(row[i], INNER, TRAIN | TEST)) find(m, L6, "a sample of", id);
    if (augmented && both(row[i], TRAIN, INNER | TEST)) find(m, L7, "a sample of", id);
  }
  for (int32_t i = 0; i < s->n; i++)
    if (s->trial[i] >= 0 && both(trial[s->trial[i]], TRAIN | INNER, TEST)) find(m, L3, "a trial of", m->s->data->id[s->subject[i]]);
  static const int looked[] = {L3, L5, L6, L7};
  for (int k = 0; k < 4; k++) m->out->check[looked[k]].looked += s->n;
}

static int32_t things_of(const dor_source *s)
{
  int32_t n = 0;
  for (int32_t i = 0; i < s->n; i++) n = s->trial[i] >= n ? s->trial[i] + 1 : n;
  return n;
}

static dor_status check_rows(const marker *m, dor_arena *a, const dor_branch *b)
{
  dor_cell_data data;
  DOR_TRY(dor_cell_prepare(a, m->sa, b, m->role, &data));
  for (int32_t k = 0; k < b->n_inputs; k++) {
    int32_t things = things_of(b->source[k]);
    uint8_t *row = dor_arena_alloc(a, (size_t)b->source[k]->n + 1), *trial = dor_arena_alloc(a, (size_t)things + 1);
    DOR_NEED(row && trial, NOMEM, "no memory for the leakage checks");
    mark_part(b, &data.train, TRAIN, k, row);
    mark_part(b, &data.inner, INNER, k, row);
    mark_part(b, &data.test, TEST, k, row);
    for (int32_t i = 0; i < data.n_fit[k]; i++) row[data.fit_rows[k][i]] |= FIT;
    judge_rows(m, b, k, row, trial, things);
  }
  return DOR_OK;
}

/* ---- all cells ---- */

static dor_status check_fold(marker *m)
{
  dor_arena a = {0};
  dor_status s = dor_study_roles(m->sa, m->repeat, m->fold, m->role);
  if (!s) check_people(m);
  for (int32_t k = 0; k < m->sa->n_branches && !s; k++) s = check_rows(m, &a, &m->sa->branch[k]);
  dor_arena_release(&a);
  return s;
}

static dor_status check_arm(marker *m, dor_arena *a)
{
  const dor_roster *r = m->sa->roster;
  m->role = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *m->role);
  m->person = dor_arena_alloc(a, (size_t)m->s->data->n_subjects + 1);
  m->group = dor_arena_alloc(a, (size_t)m->s->data->n_subjects + 1);
  DOR_NEED(m->role && m->person && m->group, NOMEM, "no memory for the leakage checks");
  for (m->repeat = 0; m->repeat < r->split.repeats; m->repeat++)
    for (m->fold = 0; m->fold < r->split.folds; m->fold++) DOR_TRY(check_fold(m));
  return DOR_OK;
}

static dor_status refuse(const dor_leakage *l)
{
  for (int i = 0; i < DOR_LEAKAGE_CHECKS; i++) {
    const dor_leak_check *c = &l->check[i];
    if (c->found && !c->waived)
      return DOR_FAIL(LEAK, "leakage: %s is broken (%s): %s (%lld found); split.unit = \"clip\" alone may leak, and stamps everything", c->id,
                      c->text, c->first, (long long)c->found);
  }
  return DOR_OK;
}

static dor_status check_all(const dor_study *s, dor_leakage *out)
{
  dor_arena a = {0};
  dor_status status = DOR_OK;
  bool clips = false;
  for (int32_t i = 0; i < s->n_arms && !status; i++) {
    marker m = {.s = s, .out = out, .sa = &s->arm[i]};
    clips = clips || m.sa->roster->clips;
    status = check_arm(&m, &a);
  }
  for (int i = 0; i < DOR_LEAKAGE_CHECKS; i++) out->check[i].waived = clips;
  if (!status) status = dor_twins_check(s, &out->check[L4], &out->n_similar, &out->similar);
  for (int i = 0; i < DOR_LEAKAGE_CHECKS; i++) out->check[i].passed = !out->check[i].found;
  dor_arena_release(&a);
  return status;
}

dor_status dor_leakage_check(const dor_study *s, dor_leakage *out)
{
  *out = (dor_leakage){0};
  memcpy(out->check, checks, sizeof checks);
  DOR_TRY(check_all(s, out));
  return refuse(out);
}

dor_status dor_leakage_write(const dor_leakage *l, const char *folder, const dor_marks *m)
{
  const int32_t listed = l->n_similar < DOR_TWINS_LISTED ? l->n_similar : DOR_TWINS_LISTED;
  dor_str s = {0};
  dor_str_fmt(&s, "{\"schema\": 1,\n \"run_id\": \"%s\",\n \"stamp\": \"%s\",\n \"checks\": [\n", m->id, m->stamps);
  for (int i = 0; i < DOR_LEAKAGE_CHECKS; i++) {
    const dor_leak_check *c = &l->check[i];
    dor_str_fmt(&s, "  {\"id\": \"%s\", \"text\": \"%s\", \"passed\": %s, \"looked\": %lld, \"found\": %lld", c->id, c->text, c->passed ? "true" : "false",
                (long long)c->looked, (long long)c->found);
    if (c->waived && c->found) dor_str_add(&s, ", \"note\": \"waived by split.unit = clip\"");
    else if (i == L4 && l->n_similar)
      dor_str_fmt(&s, ", \"note\": \"%d similar pairs across folds, the first %d are listed in leakage.json; they refuse nothing\"", l->n_similar, listed);
    dor_str_fmt(&s, "}%s\n", i + 1 < DOR_LEAKAGE_CHECKS ? "," : "");
  }
  dor_str_fmt(&s, " ],\n \"similar_pairs\": %d,\n \"similar_listed\": %d,\n \"similar\": [%s]}\n", l->n_similar, listed,
              l->similar.s ? l->similar.s : "");
  dor_status status = dor_folder_put(folder, "leakage.json", &s);
  dor_str_release(&s);
  return status;
}

void dor_leakage_release(dor_leakage *l)
{
  dor_str_release(&l->similar);
  dor_arena_release(&l->arena);
  *l = (dor_leakage){0};
}
