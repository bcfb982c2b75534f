/* SPDX-License-Identifier: Apache-2.0 */
#include "data/keypoints.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

const dor_key dor_keypoints_keys[] = {
#define KEYS_OF dor_keypoints_cfg
#include "base/keys_rows.h"
#include "data/keypoints.def"
#include "base/keys_end.h"
    {0}};

typedef struct known { const char *name, *joints, *bones, *sigmas, *order; } known;

static const known sets[] = {
#define KEYPOINT_SET(name, joints, bones, sigmas, order) {#name, joints, bones, sigmas, order},
#include "data/keypoint_sets.def"
#undef KEYPOINT_SET
};
enum { SETS = sizeof sets / sizeof *sets };

static dor_status no_memory(void) { return DOR_FAIL(NOMEM, "no memory for a set of keypoints"); }

/* "a,b,c" -> texts */
static dor_status cut(dor_arena *a, const char *list, dor_texts *out)
{
  int32_t n = 1;
  for (const char *p = list; *p; p++) n += *p == ',';
  char *copy = dor_arena_str(a, list);
  const char **v = dor_arena_alloc(a, (size_t)n * sizeof *v);
  if (!copy || !v) return no_memory();
  for (int32_t i = 0; i < n; i++) {
    v[i] = copy;
    copy += strcspn(copy, ",");
    if (*copy) *copy++ = 0;
  }
  *out = (dor_texts){n, v};
  return DOR_OK;
}

static int32_t joint_of(const dor_keypoints *s, const char *name, size_t n)
{
  for (int32_t i = 0; i < s->k; i++)
    if (strlen(s->joint[i]) == n && !strncmp(s->joint[i], name, n)) return i;
  return -1;
}

/* "from:to" as two joints */
static dor_status pair_of(const dor_keypoints *s, const char *text, const char *where, int32_t out[2])
{
  const char *colon = strchr(text, ':');
  char shown[96];
  DOR_NEED(colon, CONFIG, "%s: '%s' wants two keypoints, as from:to", where, dor_printable(text, shown, sizeof shown));
  out[0] = joint_of(s, text, (size_t)(colon - text)), out[1] = joint_of(s, colon + 1, strlen(colon + 1));
  if (out[0] >= 0 && out[1] >= 0) return DOR_OK;
  const char *near = dor_nearest(out[0] < 0 ? text : colon + 1, s->joint, (size_t)s->k);
  return DOR_FAIL(CONFIG, "%s: '%s' names a keypoint that is not in the set%s%s%s", where, dor_printable(text, shown, sizeof shown),
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static dor_status set_names(dor_keypoints *s, const dor_texts *names, const char *where)
{
  DOR_NEED(names->n >= 1 && names->n <= DOR_COCO_JOINTS, CONFIG, "%s: a set of %d keypoints; 1 to %d are possible", where, names->n, DOR_COCO_JOINTS);
  s->k = names->n, s->joint = names->v;
  for (int32_t i = 0; i < s->k; i++)
    DOR_NEED(joint_of(s, s->joint[i], strlen(s->joint[i])) == i, CONFIG, "%s: keypoint '%s' stands there twice", where, s->joint[i]);
  return DOR_OK;
}

static dor_status set_mirror(dor_arena *a, dor_keypoints *s, const dor_texts *pairs, const char *where)
{
  int32_t *m = dor_arena_alloc(a, (size_t)s->k * sizeof *m), p[2];
  char other[128];
  if (!m) return no_memory();
  for (int32_t i = 0; i < s->k; i++) {
    const bool left = !strncmp(s->joint[i], "left_", 5), right = !strncmp(s->joint[i], "right_", 6);
    snprintf(other, sizeof other, "%s%.100s", left ? "right_" : "left_", s->joint[i] + (left ? 5 : 6 * right));
    const int32_t j = left || right ? joint_of(s, other, strlen(other)) : -1;
    m[i] = j < 0 ? i : j;
  }
  for (int32_t i = 0; i < pairs->n; i++) {
    DOR_TRY(pair_of(s, pairs->v[i], where, p));
    m[p[0]] = p[1], m[p[1]] = p[0];
  }
  for (int32_t i = 0; i < s->k; i++) DOR_NEED(m[m[i]] == i, CONFIG, "%s: keypoint '%s' is in two mirror pairs", where, s->joint[i]);
  s->mirror = m;
  return DOR_OK;
}

static dor_status set_bones(dor_arena *a, dor_keypoints *s, const dor_texts *pairs, const char *where)
{
  int32_t(*b)[2] = dor_arena_alloc(a, ((size_t)pairs->n + 1) * sizeof *b);
  if (!b) return no_memory();
  for (int32_t i = 0; i < pairs->n; i++) DOR_TRY(pair_of(s, pairs->v[i], where, b[i]));
  s->n_bones = pairs->n, s->bone = (const int32_t(*)[2])b;
  return DOR_OK;
}

static dor_status set_sigmas(dor_arena *a, dor_keypoints *s, const dor_reals *given, const char *where)
{
  double *v = dor_arena_alloc(a, (size_t)s->k * sizeof *v);
  if (!v) return no_memory();
  DOR_NEED(!given->n || given->n == s->k, CONFIG, "%s: %d sigmas for %d keypoints", where, given->n, s->k);
  for (int32_t i = 0; i < s->k; i++) {
    v[i] = given->n ? given->v[i] : 0.05;
    DOR_NEED(v[i] > 0, CONFIG, "%s: the sigma of '%s' must be more than 0", where, s->joint[i]);
  }
  s->sigma = v;
  return DOR_OK;
}

static dor_status set_order(dor_arena *a, dor_keypoints *s, const dor_texts *names)
{
  int32_t *v = dor_arena_alloc(a, (size_t)s->k * sizeof *v);
  if (!v) return no_memory();
  for (int32_t i = 0; i < s->k; i++) v[i] = names ? joint_of(s, names->v[i], strlen(names->v[i])) : i;
  s->order = v;
  return DOR_OK;
}

static dor_status make_known(dor_arena *a, const known *n, dor_keypoints *out)
{
  dor_texts joints, bones, sigmas, order, none = {0};
  double v[DOR_COCO_JOINTS];
  DOR_TRY(cut(a, n->joints, &joints));
  DOR_TRY(cut(a, n->bones, &bones));
  DOR_TRY(cut(a, n->sigmas, &sigmas));
  DOR_TRY(cut(a, n->order, &order));
  for (int32_t i = 0; i < sigmas.n; i++) DOR_TRY(dor_parse_real(sigmas.v[i], &v[i]));
  *out = (dor_keypoints){.name = n->name};
  DOR_TRY(set_names(out, &joints, n->name));
  DOR_TRY(set_mirror(a, out, &none, n->name));
  DOR_TRY(set_bones(a, out, &bones, n->name));
  DOR_TRY(set_sigmas(a, out, &(dor_reals){sigmas.n, v}, n->name));
  return set_order(a, out, &order);
}

static dor_status no_set(const char *name, const char *where)
{
  dor_str all = {0};
  const char *names[SETS + 1];
  char shown[96];
  for (size_t i = 0; i < SETS; i++) names[i] = sets[i].name, dor_str_fmt(&all, "%s, ", sets[i].name);
  names[SETS] = "custom";
  const char *near = dor_nearest(name, names, SETS + 1);
  dor_status s = DOR_FAIL(CONFIG, "%s: no keypoint set '%s'%s%s%s; there are: %scustom", where, dor_printable(name, shown, sizeof shown),
                          near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", all.s ? all.s : "");
  dor_str_release(&all);
  return s;
}

static const known *find(const char *name)
{
  for (size_t i = 0; i < SETS; i++)
    if (!strcmp(sets[i].name, name)) return &sets[i];
  return NULL;
}

dor_status dor_keypoints_named(dor_arena *a, const char *set, dor_keypoints *out)
{
  const known *n = find(set);
  return n ? make_known(a, n, out) : no_set(set, "keypoints");
}

dor_status dor_keypoints_make(dor_arena *a, const dor_keypoints_cfg *c, const dor_tree *where, dor_keypoints *out)
{
  char at[256] = "keypoints";
  if (where) dor_tree_where(where, at);
  const known *n = find(c->set);
  if (n) {
    DOR_NEED(!c->names.n && !c->mirror.n && !c->bones.n && !c->sigmas.n, CONFIG, "%s: set = \"%s\" has its own names, pairs and sigmas; say set = \"custom\"",
             at, c->set);
    DOR_TRY(make_known(a, n, out));
    out->rename = c->rename;
    return DOR_OK;
  }
  if (strcmp(c->set, "custom")) return no_set(c->set, at);
  *out = (dor_keypoints){.name = "custom", .rename = c->rename};
  DOR_TRY(set_names(out, &c->names, at));
  DOR_TRY(set_mirror(a, out, &c->mirror, at));
  DOR_TRY(set_bones(a, out, &c->bones, at));
  DOR_TRY(set_sigmas(a, out, &c->sigmas, at));
  return set_order(a, out, NULL);
}

/* Lower case, and '_' for whatever stands between words. */
static char plain(char c) { return c == ' ' || c == '-' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool alike(const char *a, const char *b)
{
  while (*a && plain(*a) == plain(*b)) a++, b++;
  return !*a && !*b;
}

static bool among(const dor_keypoints *s, const char *name)
{
  for (int32_t i = 0; i < s->k; i++)
    if (alike(s->joint[i], name)) return true;
  return false;
}

/* "3 'S1' where the set has 'L1', ..."; are they the set's names in another order? */
static void say_others(const dor_keypoints *s, const dor_coco_category *is, dor_str *out, bool *reordered)
{
  enum { NAMED = 4 };
  int32_t n = 0;
  char shown[96];
  *reordered = true;
  for (int32_t i = 0; i < s->k; i++) {
    *reordered = *reordered && among(s, is->joint[i]);
    if (alike(is->joint[i], s->joint[i]) || n++ > NAMED) continue;
    if (n > NAMED) dor_str_add(out, ", ...");
    else dor_str_fmt(out, "%s%d is '%s', not '%.60s'", n > 1 ? ", " : "", i + 1, dor_printable(is->joint[i], shown, sizeof shown), s->joint[i]);
  }
}

dor_status dor_keypoints_check(const dor_keypoints *s, const dor_coco *c, int32_t category)
{
  const dor_coco_category *is = &c->category[category];
  dor_str others = {0};
  bool reordered;
  DOR_NEED(is->k == s->k, DATA, "%s: category '%s' has %d keypoints, the set '%s' has %d", c->path, is->name, is->k, s->name, s->k);
  say_others(s, is, &others, &reordered);
  dor_status status = dor_str_status(&others);
  const char *how = reordered ? "in another order" : "called otherwise";
  if (!status && others.n && !s->rename)
    status = DOR_FAIL(DATA, "%s: the keypoints are %s than in the set '%s': %s; keypoints.rename = true takes them in the set's order all the same",
                      c->path, how, s->name, others.s);
  if (!status && others.n) dor_warn("%s: the keypoints are %s than in the set '%s': %s", c->path, how, s->name, others.s);
  dor_str_release(&others);
  return status;
}
