/* SPDX-License-Identifier: Apache-2.0
 *
 * What the COCO readers share: a place in a JSON file for messages, and members
 * fetched with their checks. Used by coco*.c alone. */
#ifndef DOR_DATA_COCO_JSON_H
#define DOR_DATA_COCO_JSON_H

#include <jansson.h>

#include "data/coco.h"

typedef struct dor_place { /* "val.json: annotations[12] (id 345)" */
  const char *file, *list;
  size_t at;
  int64_t id;
  bool has_id;
} dor_place;

typedef char dor_place_text[512];
const char *dor_place_print(const dor_place *p, dor_place_text out);
#define DOR_PLACE(p) dor_place_print(p, (dor_place_text){0})

/* Parse a text whole. errors DATA "file:line: byte N: what", counted in the file */
DOR_MUST dor_status dor_coco_json(const char *name, const char *text, size_t size, json_t **out);

/* A member by key. need_*: it must be there; else *out is left as it is when it is absent. errors DATA */
DOR_MUST dor_status dor_need_id(const dor_place *p, const json_t *o, const char *key, int64_t *out);
DOR_MUST dor_status dor_need_int(const dor_place *p, const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out);
DOR_MUST dor_status dor_need_text(const dor_place *p, dor_arena *a, const json_t *o, const char *key, const char **out);
DOR_MUST dor_status dor_take_int(const dor_place *p, const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out);
DOR_MUST dor_status dor_take_real(const dor_place *p, const json_t *o, const char *key, double *out);
/* All of an array as finite numbers, in `a`. */
DOR_MUST dor_status dor_numbers(const dor_place *p, dor_arena *a, const json_t *array, const char *key, const double **out, int32_t *n);

/* Ids -> indices. */
typedef struct dor_ids {
  int64_t n, slots;
  int32_t *slot;                /* index + 1 */
  int64_t *id;
} dor_ids;
DOR_MUST dor_status dor_ids_init(dor_ids *t, dor_arena *a, size_t most);
int32_t dor_ids_find(const dor_ids *t, int64_t id);           /* -1: absent */
bool dor_ids_add(dor_ids *t, int64_t id);                     /* as index t->n; false: it is there already */

#endif
