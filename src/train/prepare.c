/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cell may know: scalers and class weights from its training part alone,
 * and its samples by role. leakage.c asks the same function whom it used. */
#include <string.h>

#include "train/cell.h"

static int32_t count_role(const dor_branch *b, const dor_role *role, dor_role want)
{
  int32_t n = 0;
  for (int32_t i = 0; i < b->n; i++) n += role[b->sample[i].unit] == want;
  return n;
}

static dor_status take_part(dor_arena *a, const dor_branch *b, const dor_role *role, dor_role want, const float *class_weight, dor_cell_part *out)
{
  out->n = 0;
  out->sample = dor_arena_alloc(a, ((size_t)count_role(b, role, want) + 1) * sizeof *out->sample);
  DOR_NEED(out->sample, NOMEM, "no memory for the samples of a cell");
  for (int32_t i = 0; i < b->n; i++) {
    if (role[b->sample[i].unit] != want) continue;
    dor_sample *s = &out->sample[out->n++];
    *s = b->sample[i];
    if (class_weight) s->weight = class_weight[(int32_t)s->label];
  }
  return DOR_OK;
}

/* balanced: n / (classes x people of the class), counted over the training part. */
static dor_status weigh_classes(dor_arena *a, const dor_study_arm *sa, const dor_role *role, const float **out)
{
  const dor_roster *r = sa->roster;
  *out = NULL;
  if (!r->n_classes || sa->arm->train.class_weight == DOR_CLASS_WEIGHT_NONE) return DOR_OK;
  float *weight = dor_arena_alloc(a, (size_t)r->n_classes * sizeof *weight);
  DOR_NEED(weight, NOMEM, "no memory for class weights");
  int32_t n = 0;
  for (int32_t u = 0; u < r->n; u++)
    if (role[u] == DOR_ROLE_TRAIN) weight[r->units.label[u]] += 1, n++;
  for (int32_t c = 0; c < r->n_classes; c++) weight[c] = weight[c] > 0 ? (float)n / ((float)r->n_classes * weight[c]) : 0;
  *out = weight;
  return DOR_OK;
}

static dor_status list_fit_rows(dor_arena *a, const dor_branch *b, int32_t units, int32_t input, const dor_role *role, dor_cell_data *out)
{
  const dor_rows *rows = &b->rows[input];
  int32_t *list = dor_arena_alloc(a, ((size_t)rows->first[units] + 1) * sizeof *list), n = 0;
  DOR_NEED(list, NOMEM, "no memory for the rows of input '%s'", b->input[input]->name);
  for (int32_t u = 0; u < units; u++)
    for (int32_t k = rows->first[u]; k < rows->first[u + 1] && role[u] == DOR_ROLE_TRAIN; k++) list[n++] = rows->row[k];
  out->fit_rows[input] = list, out->n_fit[input] = n;
  return DOR_OK;
}

static dor_status fit_slot(dor_arena *a, const dor_branch *b, int32_t units, int32_t j, const dor_role *role, dor_cell_data *out)
{
  out->slot[j] = b->slot[j];
  for (int32_t k = 0; k < b->slot[j].n_sources; k++) {
    int32_t in = b->input_of[j][k];
    if (b->source[in]->image) continue;
    DOR_TRY(list_fit_rows(a, b, units, in, role, out));
    DOR_TRY(dor_scaler_fit(a, b->source[in], &b->input[in]->source, out->fit_rows[in], out->n_fit[in], &out->scaler[j][k]));
    out->slot[j].scaler[k] = &out->scaler[j][k];
  }
  return DOR_OK;
}

dor_status dor_cell_prepare(dor_arena *a, const dor_study_arm *sa, const dor_branch *b, const dor_role *role, dor_cell_data *out)
{
  const float *weight;
  *out = (dor_cell_data){0};
  DOR_TRY(weigh_classes(a, sa, role, &weight));
  DOR_TRY(take_part(a, b, role, DOR_ROLE_TRAIN, weight, &out->train));
  DOR_TRY(take_part(a, b, role, DOR_ROLE_INNER, weight, &out->inner));
  DOR_TRY(take_part(a, b, role, DOR_ROLE_TEST, NULL, &out->test));
  for (int32_t j = 0; j < b->n_slots; j++) DOR_TRY(fit_slot(a, b, sa->roster->n, j, role, out));
  return DOR_OK;
}
