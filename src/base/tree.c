/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees: from files by libconfig, from key=value, and laid over each other. */
#include "base/tree.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/tree_scan.h"

#include <libconfig.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const size_t MOST_BYTES = (size_t)1 << 20;
enum { MOST_PARENTS = 16, MOST_DEPTH = 64 };
static const char COMMAND_LINE[] = "command line";

static dor_status no_memory(void) { return DOR_FAIL(NOMEM, "out of memory for a config"); }

static dor_tree *node_new(dor_arena *a, const char *name, dor_tree_type type, const char *file, int32_t line)
{
  dor_tree *t = dor_arena_alloc(a, sizeof *t);
  if (!t) return NULL;
  t->type = type, t->file = file, t->line = line;
  t->name = name ? dor_arena_str(a, name) : NULL;
  return name && !t->name ? NULL : t;
}

/* ---- from libconfig ---- */

static dor_status take(dor_arena *a, const config_setting_t *from, const char *file, dor_tree **out);

static dor_status take_members(dor_arena *a, const config_setting_t *from, const char *file, dor_tree *to)
{
  dor_tree **next = &to->first;
  for (int i = 0; i < config_setting_length(from); i++) {
    DOR_TRY(take(a, config_setting_get_elem(from, (unsigned)i), file, next));
    next = &(*next)->next;
  }
  return DOR_OK;
}

static dor_status take(dor_arena *a, const config_setting_t *from, const char *file, dor_tree **out)
{
  int type = config_setting_type(from);
  dor_tree *t = *out = node_new(a, config_setting_name(from), DOR_TREE_LIST, file, (int32_t)config_setting_source_line(from));
  if (!t) return no_memory();
  switch (type) {
    case CONFIG_TYPE_INT: t->type = DOR_TREE_INT, t->i = config_setting_get_int(from); return DOR_OK;
    case CONFIG_TYPE_INT64: t->type = DOR_TREE_INT, t->i = config_setting_get_int64(from); return DOR_OK;
    case CONFIG_TYPE_FLOAT: t->type = DOR_TREE_REAL, t->r = config_setting_get_float(from); return DOR_OK;
    case CONFIG_TYPE_BOOL: t->type = DOR_TREE_BOOL, t->b = config_setting_get_bool(from) != 0; return DOR_OK;
    case CONFIG_TYPE_STRING:
      t->type = DOR_TREE_TEXT, t->text = dor_arena_str(a, config_setting_get_string(from));
      return t->text ? DOR_OK : no_memory();
    case CONFIG_TYPE_GROUP: t->type = DOR_TREE_GROUP; break;
    default: break;
  }
  return take_members(a, from, file, t);
}

static dor_status parse(dor_arena *a, const char *file, const char *text, dor_tree **root)
{
  config_t c;
  config_init(&c);
  locale_t old = uselocale(dor_locale()); /* libconfig reads numbers with atof */
  int ok = config_read_string(&c, text);
  uselocale(old);
  dor_status s = ok ? take(a, config_root_setting(&c), file, root) : DOR_FAIL(CONFIG, "%s:%d: %s", file, config_error_line(&c), config_error_text(&c));
  config_destroy(&c);
  return s;
}

dor_status dor_tree_parse(dor_arena *a, const char *name, const char *text, dor_tree **root)
{
  char shown[256];
  const char *file = dor_arena_str(a, dor_printable(name, shown, sizeof shown));
  if (!file) return no_memory();
  DOR_TRY(dor_tree_scan(file, text));
  return parse(a, file, text, root);
}

static dor_status parse_bytes(dor_arena *a, const char *path, const char *text, size_t size, dor_tree **root)
{
  const char *nul = memchr(text, 0, size);
  int line = 1;
  for (const char *p = text; nul && p < nul; p++) line += *p == '\n';
  return nul ? DOR_FAIL(CONFIG, "%s:%d: a NUL byte; is this a config?", path, line) : dor_tree_parse(a, path, text, root);
}

/* `said`: the `extends` that names the file, or NULL. */
static dor_status read_file(dor_arena *a, const char *path, const dor_tree *said, dor_tree **root)
{
  char *text, where[256];
  size_t size;
  dor_status s = dor_io_read(path, MOST_BYTES, &text, &size);
  if (s == DOR_E_NOTFOUND || s == DOR_E_DATA) s = DOR_E_CONFIG;
  if (s && said) return dor_fail_at(__FILE__, __LINE__, s, "%s: extends %s", dor_tree_where(said, where), dor_errmsg());
  if (s) return s;
  s = parse_bytes(a, path, text, size, root);
  dor_free(text);
  return s;
}

dor_status dor_tree_read(dor_arena *a, const char *path, dor_tree **root) { return read_file(a, path, NULL, root); }

/* ---- extends ---- */

typedef struct chain {
  dev_t dev[MOST_PARENTS];
  ino_t ino[MOST_PARENTS];
  int n;
} chain;

static dor_status remember(chain *c, const char *path, const dor_tree *said)
{
  struct stat st;
  char where[256];
  if (stat(path, &st)) return DOR_OK; /* reading it will say what is wrong */
  for (int i = 0; i < c->n; i++)
    DOR_NEED(c->dev[i] != st.st_dev || c->ino[i] != st.st_ino, CONFIG, "%s: '%s' is already extended: a circle", dor_tree_where(said, where), said->text);
  DOR_NEED(c->n < MOST_PARENTS, CONFIG, "%s: more than %d files extend each other", said ? dor_tree_where(said, where) : path, MOST_PARENTS);
  c->dev[c->n] = st.st_dev, c->ino[c->n++] = st.st_ino;
  return DOR_OK;
}

static dor_tree *unlink_member(dor_tree *group, const char *name)
{
  for (dor_tree **p = &group->first; *p; p = &(*p)->next)
    if (!strcmp((*p)->name, name)) {
      dor_tree *t = *p;
      *p = t->next;
      return t;
    }
  return NULL;
}

static dor_status read_chain(dor_arena *a, const char *path, const dor_tree *said, chain *c, dor_tree **root)
{
  char where[256];
  DOR_TRY(remember(c, path, said));
  DOR_TRY(read_file(a, path, said, root));
  dor_tree *extends = unlink_member(*root, "extends"), *parent;
  if (!extends) return DOR_OK;
  DOR_NEED(extends->type == DOR_TREE_TEXT, CONFIG, "%s: 'extends' wants the path of a config", dor_tree_where(extends, where));
  char *folder = dor_path_dir(a, path), *up = folder ? dor_path_join(a, folder, extends->text) : NULL;
  if (!up) return no_memory();
  DOR_TRY(read_chain(a, up, extends, c, &parent));
  DOR_TRY(dor_tree_lay(a, parent, *root));
  *root = parent;
  return DOR_OK;
}

dor_status dor_tree_read_extended(dor_arena *a, const char *path, dor_tree **root)
{
  chain c = {.n = 0};
  return read_chain(a, path, NULL, &c, root);
}

/* ---- laying over ---- */

static dor_tree *member(const dor_tree *group, const char *name, size_t n)
{
  for (dor_tree *t = group->first; t; t = t->next)
    if (t->name && strlen(t->name) == n && !memcmp(t->name, name, n)) return t;
  return NULL;
}

static dor_status copy(dor_arena *a, const dor_tree *t, dor_tree **out)
{
  dor_tree *c = *out = dor_arena_copy(a, t, sizeof *t);
  if (!c) return no_memory();
  c->first = c->next = NULL;
  dor_tree **next = &c->first;
  for (const dor_tree *m = t->first; m; m = m->next, next = &(*next)->next) DOR_TRY(copy(a, m, next));
  return DOR_OK;
}

dor_status dor_tree_copy(dor_arena *a, const dor_tree *t, dor_tree **out) { return copy(a, t, out); }

static dor_status lay_one(dor_arena *a, dor_tree *under, const dor_tree *o)
{
  dor_tree **at = &under->first;
  while (*at && strcmp((*at)->name, o->name)) at = &(*at)->next;
  if (*at && (*at)->type == DOR_TREE_GROUP && o->type == DOR_TREE_GROUP) {
    (*at)->file = o->file, (*at)->line = o->line;
    return dor_tree_lay(a, *at, o);
  }
  dor_tree *next = *at ? (*at)->next : NULL;
  DOR_TRY(copy(a, o, at));
  (*at)->next = next;
  return DOR_OK;
}

dor_status dor_tree_lay(dor_arena *a, dor_tree *under, const dor_tree *over)
{
  for (const dor_tree *o = over->first; o; o = o->next) DOR_TRY(lay_one(a, under, o));
  return DOR_OK;
}

const dor_tree *dor_tree_find(const dor_tree *group, const char *dotted)
{
  for (const dor_tree *t = group;;) {
    size_t n = strcspn(dotted, ".");
    t = t->type == DOR_TREE_GROUP ? member(t, dotted, n) : NULL;
    if (!t || !dotted[n]) return t;
    dotted += n + 1;
  }
}

int32_t dor_tree_count(const dor_tree *t)
{
  int32_t n = 0;
  for (const dor_tree *m = t->first; m; m = m->next) n++;
  return n;
}

const char *dor_tree_where(const dor_tree *t, char out[256])
{
  if (t->line > 0) snprintf(out, 256, "%s:%d", t->file, t->line);
  else snprintf(out, 256, "%s", t->file ? t->file : "defaults");
  return out;
}

/* ---- key=value ---- */

static dor_status guess(dor_arena *a, const char *text, dor_tree *t)
{
  t->text = dor_arena_str(a, text);
  if (!t->text) return no_memory();
  t->type = DOR_TREE_TEXT;
  if (!dor_parse_int(text, &t->i)) t->type = DOR_TREE_INT;
  else if (!dor_parse_real(text, &t->r)) t->type = DOR_TREE_REAL;
  else if (!strcmp(text, "true") || !strcmp(text, "false")) t->type = DOR_TREE_BOOL, t->b = *text == 't';
  return DOR_OK;
}

/* 1,2,3: a list, which a text key reads as the text it was. */
static dor_status guess_list(dor_arena *a, const char *text, dor_tree *t)
{
  dor_tree **next = &t->first;
  t->type = DOR_TREE_LIST;
  t->text = dor_arena_str(a, text);
  char *rest = dor_arena_str(a, text);
  if (!t->text || !rest) return no_memory();
  for (bool more = true; more; next = &(*next)->next) {
    size_t n = strcspn(rest, ",");
    more = rest[n] == ',';
    rest[n] = 0;
    *next = node_new(a, NULL, DOR_TREE_TEXT, COMMAND_LINE, 0);
    if (!*next) return no_memory();
    DOR_TRY(guess(a, rest, *next));
    if (more) rest += n + 1;
  }
  return DOR_OK;
}

static void at_command_line(dor_tree *t)
{
  t->file = COMMAND_LINE, t->line = 0;
  for (dor_tree *m = t->first; m; m = m->next) at_command_line(m);
}

static dor_status value_of(dor_arena *a, const char *text, dor_tree *t)
{
  if (!*text || !strchr("[({\"", *text)) return strchr(text, ',') ? guess_list(a, text, t) : guess(a, text, t);
  char *whole = dor_arena_fmt(a, "v = %s;", text);
  dor_tree *root;
  if (!whole) return no_memory();
  DOR_TRY(dor_tree_parse(a, COMMAND_LINE, whole, &root));
  DOR_NEED(root->first && !root->first->next, CONFIG, "%s: '%s' is more than one value", COMMAND_LINE, text);
  const char *name = t->name;
  *t = *root->first;
  t->name = name;
  at_command_line(t);
  return DOR_OK;
}

static bool is_name(const char *p, size_t n)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*";
  return n && strchr(letters, *p) && strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*0123456789_-") >= n;
}

dor_status dor_tree_assign(dor_arena *a, dor_tree *root, const char *assignment)
{
  const char *equals = strchr(assignment, '='), *key = assignment;
  char shown[96];
  DOR_NEED(equals, CONFIG, "%s: '%s' is not key=value", COMMAND_LINE, dor_printable(assignment, shown, sizeof shown));
  dor_tree *top = node_new(a, NULL, DOR_TREE_GROUP, COMMAND_LINE, 0), *group = top;
  for (int depth = 0; group; depth++) {
    size_t n = strcspn(key, ".=");
    char name[64];
    bool good = n < sizeof name && is_name(key, n) && depth < MOST_DEPTH;
    DOR_NEED(good, CONFIG, "%s: '%s' is not key=value", COMMAND_LINE, dor_printable(assignment, shown, sizeof shown));
    snprintf(name, sizeof name, "%.*s", (int)n, key);
    dor_tree *t = group->first = node_new(a, name, DOR_TREE_GROUP, COMMAND_LINE, 0);
    if (t && key + n == equals) {
      DOR_TRY(value_of(a, equals + 1, t));
      return dor_tree_lay(a, root, top);
    }
    group = t;
    key += n + 1;
  }
  return no_memory();
}


bool dor_tree_is_path(const char *key)
{
  static const char *const path[] = {"data", "file", "weights", "folder", "table", "train", "train_pictures", "validation", "validation_pictures",
                                     "plan_cache"};
  for (size_t i = 0; key && i < sizeof path / sizeof *path; i++)
    if (!strcmp(path[i], key)) return true;
  return false;
}
