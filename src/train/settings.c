/* SPDX-License-Identifier: Apache-2.0 */
#include "train/settings.h"

#include <string.h>

const dor_key dor_top_keys[] = {
#define KEYS_OF dor_top_cfg
#include "base/keys_rows.h"
#include "train/top.def"
#include "base/keys_end.h"
    {0}};

const dor_key dor_target_keys[] = {
#define KEYS_OF dor_target_cfg
#include "base/keys_rows.h"
#include "train/target.def"
#include "base/keys_end.h"
    {0}};

const dor_key dor_train_keys[] = {
#define KEYS_OF dor_train_cfg
#include "base/keys_rows.h"
#include "train/train.def"
#include "base/keys_end.h"
    {0}};

const dor_key dor_score_keys[] = {
#define KEYS_OF dor_score_cfg
#include "base/keys_rows.h"
#include "train/score.def"
#include "base/keys_end.h"
    {0}};

const dor_key dor_compare_keys[] = {
#define KEYS_OF dor_compare_cfg
#include "base/keys_rows.h"
#include "train/compare.def"
#include "base/keys_end.h"
    {0}};

const dor_key dor_cpu_keys[] = {
#define KEYS_OF dor_cpu_cfg
#include "base/keys_rows.h"
#include "train/cpu.def"
#include "base/keys_end.h"
    {0}};

const dor_key dor_cuda_keys[] = {
#define KEYS_OF dor_cuda_cfg
#include "base/keys_rows.h"
#include "train/cuda.def"
#include "base/keys_end.h"
    {0}};

const dor_section dor_sections[] = {
    {"", "keys outside groups", dor_top_keys, offsetof(dor_settings, top), false},
    {"target", "what is to be told apart", dor_target_keys, offsetof(dor_settings, target), true},
    {"split", "who is tested in which fold", dor_split_keys, offsetof(dor_settings, split), true},
    {"train", "how a network is fitted", dor_train_keys, offsetof(dor_settings, train), true},
    {"score", "from samples to one decision a person", dor_score_keys, offsetof(dor_settings, score), true},
    {"augment", "changes to training pictures", dor_augment_keys, offsetof(dor_settings, augment), true},
    {"compare", "which arms are held against which", dor_compare_keys, offsetof(dor_settings, compare), false},
    {"cpu", "how programs run on the CPU", dor_cpu_keys, offsetof(dor_settings, cpu), false},
    {"cuda", "how programs run on a GPU", dor_cuda_keys, offsetof(dor_settings, cuda), false},
    {0}};

static const char *const named[] = {"inputs", "nets", "arms"};
enum { SECTIONS = sizeof dor_sections / sizeof *dor_sections - 1, NAMED = sizeof named / sizeof *named };

static void *part(dor_settings *s, const dor_section *of) { return (char *)s + of->at; }

/* All names of groups, NULL at the end: to the keys outside groups they are somebody else's. */
static void group_names(const char *names[SECTIONS + NAMED])
{
  size_t n = 0;
  for (const dor_section *s = dor_sections + 1; s->name; s++) names[n++] = s->name;
  for (size_t i = 0; i < NAMED; i++) names[n++] = named[i];
  names[n] = NULL;
}

dor_status dor_settings_load(dor_arena *a, const dor_tree *root, dor_settings *s)
{
  const char *names[SECTIONS + NAMED];
  group_names(names);
  for (const dor_section *c = dor_sections; c->name; c++) {
    DOR_TRY(dor_schema_defaults(c->keys, part(s, c), a));
    const dor_tree *group = *c->name ? dor_tree_find(root, c->name) : root;
    if (group) DOR_TRY(dor_schema_load(c->keys, part(s, c), group, *c->name ? NULL : names, a));
  }
  return DOR_OK;
}

dor_status dor_settings_save(dor_arena *a, const dor_settings *s, dor_tree *root)
{
  for (const dor_section *c = dor_sections; c->name; c++) {
    dor_tree *group = root, **last = &root->first;
    if (*c->name) {
      while (*last) last = &(*last)->next;
      group = *last = dor_arena_alloc(a, sizeof *group);
      DOR_NEED(group, NOMEM, "out of memory for a config");
      group->type = DOR_TREE_GROUP, group->name = c->name, group->file = "defaults";
    }
    DOR_TRY(dor_schema_save(c->keys, (const char *)s + c->at, a, group));
  }
  return DOR_OK;
}

dor_status dor_settings_arm_keys(const dor_tree *arm)
{
  static const char *const own[] = {"skip", "title", "use", "fusion", "net", "inputs", "nets"};
  const char *names[SECTIONS + sizeof own / sizeof *own];
  char where[256];
  size_t n = 0;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) names[n++] = own[i];
  for (const dor_section *c = dor_sections; c->name; c++)
    if (c->arm) names[n++] = c->name;
  names[n] = NULL;
  for (const dor_tree *t = arm->first; t; t = t->next) {
    size_t i = 0;
    while (i < n && strcmp(names[i], t->name)) i++;
    if (i < n) continue;
    for (const dor_key *k = dor_top_keys; k->name; k++)
      DOR_NEED(strcmp(k->name, t->name), CONFIG, "%s: '%s' is the whole experiment's; arm '%s' cannot have its own",
               dor_tree_where(t, where), t->name, arm->name);
    return dor_schema_unknown(NULL, t, names);
  }
  return DOR_OK;
}

/* ---- configs/base.cfg ---- */

static dor_status put_rows(const dor_section *c, const dor_settings *s, dor_arena *a, dor_str *out)
{
  dor_tree group = {.type = DOR_TREE_GROUP};
  DOR_TRY(dor_schema_save(c->keys, (const char *)s + c->at, a, &group));
  const dor_tree *t = group.first;
  for (const dor_key *k = c->keys; k->name; k++, t = t->next) {
    dor_tree one = *t, only = {.type = DOR_TREE_GROUP, .first = &one};
    one.next = NULL;
    dor_str_add(out, *c->name ? "  " : "");
    size_t from = out->n;
    dor_tree_write(&only, out);
    if (out->failed) break;
    out->n--; /* the line feed: the meaning follows on the same line */
    dor_str_fmt(out, "%*s# %s", (int)(from + 34 > out->n ? from + 34 - out->n : 1), "", k->help);
    if (k->type == DOR_KEY_ENUM) dor_str_fmt(out, " (%s)", k->text);
    if (*k->unit) dor_str_fmt(out, " (%s)", k->unit);
    dor_str_add(out, "\n");
  }
  return DOR_OK;
}

dor_status dor_experiment_base(dor_str *out)
{
  dor_arena a = {0};
  dor_settings s;
  dor_tree none = {.type = DOR_TREE_GROUP};
  dor_status status = dor_settings_load(&a, &none, &s);
  dor_str_add(out, "# SPDX-License-Identifier: Apache-2.0\n"
                   "# Every key and its default. Generated from the schemas by `make docs`: change those, not this.\n\n");
  for (const dor_section *c = dor_sections; c->name && !status; c++) {
    if (*c->name) dor_str_fmt(out, "\n# %s\n%s = {\n", c->help, c->name);
    status = put_rows(c, &s, &a, out);
    if (*c->name) dor_str_add(out, "};\n");
  }
  dor_arena_release(&a);
  return status ? status : dor_str_status(out);
}
