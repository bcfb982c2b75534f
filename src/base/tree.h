/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration as a tree of named values, each knowing the file and line it
 * came from. libconfig parses one file into one tree; `extends`, arms and
 * key=value are then laid over each other by one rule: groups merge key by key,
 * everything else is replaced. */
#ifndef DOR_BASE_TREE_H
#define DOR_BASE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

typedef enum dor_tree_type { DOR_TREE_GROUP, DOR_TREE_LIST, DOR_TREE_INT, DOR_TREE_REAL, DOR_TREE_BOOL, DOR_TREE_TEXT } dor_tree_type;

typedef struct dor_tree {
  const char *name;             /* NULL for list members and the root */
  dor_tree_type type;
  int64_t i;
  double r;
  bool b;
  const char *text;
  struct dor_tree *first, *next; /* children of a group or list, in file order */
  const char *file;             /* "quick.cfg", or "command line" */
  int32_t line;                 /* 0 on the command line */
} dor_tree;

/* Read one file, without following `extends`. Refuses @include, integers outside int64/int32 wrap, non-regular files,
 * more than 1 MiB. errors CONFIG "file:line: what, and the likely cause" */
DOR_MUST dor_status dor_tree_read(dor_arena *a, const char *path, dor_tree **root);
/* Read a file and everything it extends (path relative to the file that says it; a cycle is refused); the key `extends` is consumed. */
DOR_MUST dor_status dor_tree_read_extended(dor_arena *a, const char *path, dor_tree **root);
DOR_MUST dor_status dor_tree_parse(dor_arena *a, const char *name, const char *text, dor_tree **root);
/* Parse "train.lr=3e-4" (or seeds=1,2,3; paths unquoted) and lay it over root. */
DOR_MUST dor_status dor_tree_assign(dor_arena *a, dor_tree *root, const char *assignment);

DOR_MUST dor_status dor_tree_lay(dor_arena *a, dor_tree *under, const dor_tree *over);
DOR_MUST dor_status dor_tree_copy(dor_arena *a, const dor_tree *t, dor_tree **out);

const dor_tree *dor_tree_find(const dor_tree *group, const char *dotted); /* "train.lr"; NULL when absent */
int32_t dor_tree_count(const dor_tree *t);
const char *dor_tree_where(const dor_tree *t, char out[256]);             /* "quick.cfg:12", "command line" */
bool dor_tree_is_path(const char *key); /* data, file, weights, folder, table, pose.train, ...: where something lies, which is nobody's result */

/* libconfig text that reads back as the same tree (reals shortest round-trip), and the same as JSON. */
void dor_tree_write(const dor_tree *t, dor_str *out);
void dor_tree_json(const dor_tree *t, dor_str *out);

#endif
