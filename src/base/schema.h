/* SPDX-License-Identifier: Apache-2.0
 *
 * Schema: one table describes a struct's settable fields. The same rows give
 * the struct, defaults, range checks, parsing (file and command line), help,
 * reference pages and the resolved config saved with a run.
 *
 * A table is written once, in a .def file of KEY_* rows:
 *
 *   KEY_INT  (epochs, 60, 1, 100000, "epoch", "passes over the training part")
 *   KEY_REAL (lr, 1e-3, 0, 1, "", "peak learning rate")
 *   KEY_BOOL (shuffle, true, "a new order each epoch")
 *   KEY_TEXT (data, "", "dataset file")
 *   KEY_ENUM (optimizer, "adam|adamw|sgd", "update rule")            first = default
 *   KEY_INTS (hidden, "32,16", 1, 65536, "unit", "widths")           dor_ints
 *   KEY_REALS(range, "0,1", -1e9, 1e9, "", "lowest and highest")     dor_reals
 *   KEY_TEXTS(use, "", "inputs, by name")                            dor_texts
 *
 * and becomes fields and rows by
 *
 *   typedef struct dor_train_cfg {
 *   #include "base/keys_fields.h"
 *   #include "train/train.def"
 *   #include "base/keys_end.h"
 *   } dor_train_cfg;
 *
 *   const dor_key dor_train_keys[] = {
 *   #define KEYS_OF dor_train_cfg
 *   #include "base/keys_rows.h"
 *   #include "train/train.def"
 *   #include "base/keys_end.h"
 *     {0}};
 */
#ifndef DOR_BASE_SCHEMA_H
#define DOR_BASE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "base/tree.h"

typedef enum dor_key_type {
  DOR_KEY_NONE, DOR_KEY_INT, DOR_KEY_REAL, DOR_KEY_BOOL, DOR_KEY_TEXT, DOR_KEY_ENUM, DOR_KEY_INTS, DOR_KEY_REALS, DOR_KEY_TEXTS
} dor_key_type;

typedef struct dor_ints  { int32_t n; const int64_t *v; } dor_ints;
typedef struct dor_reals { int32_t n; const double *v; } dor_reals;
typedef struct dor_texts { int32_t n; const char *const *v; } dor_texts;

typedef struct dor_key {
  const char *name;
  dor_key_type type;
  size_t offset, size;          /* of the field; size is checked against the type when rows are made */
  int64_t int_def, int_min, int_max;
  double def, min, max;
  const char *text;             /* TEXT: default; ENUM: "a|b|c"; arrays: default as "1,2" */
  const char *unit, *help;
} dor_key; /* a table ends with a row whose name is NULL */

DOR_MUST dor_status dor_schema_defaults(const dor_key *keys, void *obj, dor_arena *a);

/* Take every member of `group` into obj. Unknown key, wrong type, out of range: CONFIG "file:line: no key 'epohcs'; did you mean 'epochs'?".
 * Names in `skip` (NULL-terminated, may be NULL) are somebody else's and passed over. */
DOR_MUST dor_status dor_schema_load(const dor_key *keys, void *obj, const dor_tree *group, const char *const skip[], dor_arena *a);

/* The failure for a key that nobody knows: CONFIG, with the nearest name or what there is. `also`: further names (NULL-terminated, may be NULL). */
DOR_MUST dor_status dor_schema_unknown(const dor_key *keys, const dor_tree *t, const char *const also[]);

/* The fields as a tree, in table order, for the resolved config. */
DOR_MUST dor_status dor_schema_save(const dor_key *keys, const void *obj, dor_arena *a, dor_tree *group);

void dor_schema_help(const dor_key *keys, dor_str *out);      /* aligned text, a line a key */
void dor_schema_markdown(const dor_key *keys, dor_str *out);  /* a table for docs/reference */

#endif
