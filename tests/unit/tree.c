/* SPDX-License-Identifier: Apache-2.0
 *
 * Config trees: what libconfig would misread is refused with its place, files
 * extend each other, groups merge, and what is written reads back. */
#include "tests/test.h"

#include <string.h>

#include "base/io.h"
#include "base/rng.h"
#include "base/tree.h"

TEST(tree_refuses_with_the_likely_cause)
{
  static const struct { const char *text, *want; } bad[] = {
      {"a = 1;\nx = 3000000000;", "t.cfg:2: 3000000000 does not fit 32 bits; write 3000000000L for a 64-bit number\n  x = 3000000000;\n      ^"},
      {"x = 99999999999999999999L;", "t.cfg:1: 99999999999999999999 is too large a number"},
      {"x = 1e999;", "t.cfg:1: 1e999 is too large a number"},
      {"x = 0x10;", "t.cfg:1: '0x10' is not a number (decimal, without unit or separators)"},
      {"@include \"base.cfg\"", "t.cfg:1: @include is refused; write extends = \"parent.cfg\";"},
      {"x = [1, 2, ];", "t.cfg:1: a trailing comma: nothing follows it\n  x = [1, 2, ];\n             ^"},
      {"x = ( 1, );", "t.cfg:1: a trailing comma: nothing follows it"},
      {"train.lr = 3;", "t.cfg:1: a dotted key belongs on the command line; in a file write train = { ... };"},
      {"x = True;", "t.cfg:1: 'True' is not a value; in lower case: true, false"},
      {"x = None;", "t.cfg:1: 'None' is not a value; leave the key out to keep its default"},
      {"x = adam;", "t.cfg:1: 'adam' is not a value; text needs double quotes"},
      {"x = 'adam';", "t.cfg:1: single quotes; text needs double quotes"},
      {"2d = 1;", "t.cfg:1: '2d': a name cannot begin with a digit"},
      {"x = [1 2];", "t.cfg:1: a comma is wanted between the members of a list"},
      {"x 1;", "t.cfg:1: '=' is wanted after a name"},
      {"x = \"a;\ny = 1;", "t.cfg:1: a text that does not end on its line; is a quote missing?"},
      {"x = \"C:\\data\";", "t.cfg:1: in a text a backslash is written twice"},
      {"x = { a = 1;", "t.cfg:1: the file ends inside brackets"},
      {"x = ;", "t.cfg:1: a value is wanted here"},
      {"x = 1; }", "t.cfg:1: a bracket that was not opened"},
      {"/* x", "t.cfg:1: a comment is opened here and never closed"},
      {"x = 1;\nx = 2;", "t.cfg:2: duplicate setting name"}};
  dor_arena a = {0};
  dor_tree *root;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(dor_tree_parse(&a, "t.cfg", bad[i].text, &root) == DOR_E_CONFIG, "'%s' was read", bad[i].text);
    CHECK(!strncmp(dor_errmsg(), bad[i].want, strlen(bad[i].want)), "got '%s', want '%s'", dor_errmsg(), bad[i].want);
  }
  dor_arena_release(&a);
}

TEST(tree_reads)
{
  dor_arena a = {0};
  dor_tree *root;
  char where[256];
  (void)state;
  OK(dor_tree_parse(&a, "t.cfg",
        "# a comment\nx = -1; // here\n/* and\nhere */ y : 3000000000L\ng = { r = .5; l = ( 1, 2.0, [3], { z = \"a\" \"b\"; } ); e = []; };", &root));
  CHECK(dor_tree_find(root, "x")->i == -1 && dor_tree_find(root, "y")->i == 3000000000, "integers");
  const dor_tree *l = dor_tree_find(root, "g.l");
  CHECK(dor_tree_find(root, "g.r")->r == .5 && l && dor_tree_count(l) == 4 && dor_tree_count(dor_tree_find(root, "g.e")) == 0, "groups and lists");
  CHECK(!strcmp(dor_tree_find(l->first->next->next->next, "z")->text, "ab"), "texts that stand side by side");
  CHECK(!strcmp(dor_tree_where(dor_tree_find(root, "g.r"), where), "t.cfg:5"), "%s", where);
  CHECK(!dor_tree_find(root, "g.none") && !dor_tree_find(root, "x.y"), "found what is not there");
  dor_arena_release(&a);
}

static void put(const char *folder, const char *name, const char *text)
{
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  OK(dor_io_write(path, text, strlen(text)));
}

TEST(tree_extends)
{
  dor_arena a = {0};
  dor_tree *root;
  char folder[512], path[600], where[256];
  (void)state;
  snprintf(folder, sizeof folder, "%s", test_folder("extends/sub"));
  put(folder, "../base.cfg", "x = 1; g = { p = 1; q = [1, 2]; }; h = { k = 1; };");
  put(folder, "mid.cfg", "extends = \"../base.cfg\";\ng = { q = [3]; }; h = 5;");
  put(folder, "top.cfg", "extends = \"mid.cfg\";\ng = { p = 7;\n r = 8; };");
  put(folder, "loop.cfg", "extends = \"loop2.cfg\";");
  put(folder, "loop2.cfg", "\nextends = \"loop.cfg\";");
  put(folder, "orphan.cfg", "extends = \"none.cfg\";");
  snprintf(path, sizeof path, "%s/top.cfg", folder);
  OK(dor_tree_read_extended(&a, path, &root));
  CHECK(!dor_tree_find(root, "extends") && dor_tree_find(root, "x")->i == 1 && dor_tree_find(root, "g.p")->i == 7, "merged");
  CHECK(dor_tree_count(dor_tree_find(root, "g.q")) == 1 && dor_tree_find(root, "h")->i == 5, "all but groups are replaced");
  CHECK(strstr(dor_tree_where(dor_tree_find(root, "g.r"), where), "top.cfg:3") && strstr(dor_tree_where(dor_tree_find(root, "g.q"), where), "mid.cfg:2"),
        "%s", where);
  snprintf(path, sizeof path, "%s/loop.cfg", folder);
  CHECK(dor_tree_read_extended(&a, path, &root) == DOR_E_CONFIG && strstr(dor_errmsg(), "loop2.cfg:2: 'loop.cfg' is already extended"), "%s", dor_errmsg());
  snprintf(path, sizeof path, "%s/orphan.cfg", folder);
  CHECK(dor_tree_read_extended(&a, path, &root) == DOR_E_CONFIG && strstr(dor_errmsg(), "orphan.cfg:1: extends ") && strstr(dor_errmsg(),
        "none.cfg: no such file"), "%s", dor_errmsg());
  CHECK(dor_tree_read(&a, folder, &root) == DOR_E_CONFIG, "a folder was read");
  dor_arena_release(&a);
}

TEST(tree_assigns)
{
  dor_arena a = {0};
  dor_tree *root;
  (void)state;
  OK(dor_tree_parse(&a, "t.cfg", "train = { lr = 1.0; epochs = 3; }; arms = { a = 1; };", &root));
  OK(dor_tree_assign(&a, root, "train.lr=3e-4"));
  OK(dor_tree_assign(&a, root, "arms.deep={ nets = { cnn = { channels = [1, 2]; }; }; }"));
  OK(dor_tree_assign(&a, root, "data=/a b/c=d.h5"));
  CHECK(dor_tree_find(root, "train.lr")->r == 3e-4 && dor_tree_find(root, "train.epochs")->i == 3, "a group merges");
  CHECK(dor_tree_count(dor_tree_find(root, "arms.deep.nets.cnn.channels")) == 2 && dor_tree_find(root, "arms.a"), "a group as value");
  CHECK(!strcmp(dor_tree_find(root, "data")->text, "/a b/c=d.h5"), "%s", dor_tree_find(root, "data")->text);
  static const char *const bad[] = {"lr", "=3", "a..b=1", "2=1", "a b=1", "x=[1,", "x={y=1;}; z=1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(dor_tree_assign(&a, root, bad[i]) == DOR_E_CONFIG && !strncmp(dor_errmsg(), "command line", 12), "'%s' gave '%s'", bad[i], dor_errmsg());
  dor_arena_release(&a);
}

static dor_tree *grow(dor_arena *a, dor_rng *r, int depth, dor_tree_type type, const char *name)
{
  static const char *const texts[] = {"", "plain", "a\"b\\c", "line\nnext\ttab\r\f", "caf\xc3\xa9", "\x01\x7f", "true", "1"};
  dor_tree *t = dor_arena_alloc(a, sizeof *t);
  REQUIRE(t, "memory");
  t->type = type, t->name = name;
  uint64_t bits = (uint64_t)dor_rng_u32(r) << 32 | dor_rng_u32(r);
  if (type == DOR_TREE_INT) t->i = dor_rng_below(r, 2) ? (int64_t)bits : (int64_t)(bits & 1023) - 512;
  if (type == DOR_TREE_REAL) t->r = dor_rng_below(r, 4) ? dor_rng_normal(r) * 1e-3 : (double)dor_rng_below(r, 100);
  if (type == DOR_TREE_BOOL) t->b = bits & 1;
  if (type == DOR_TREE_TEXT) t->text = texts[dor_rng_below(r, 8)];
  if (type != DOR_TREE_GROUP && type != DOR_TREE_LIST) return t;
  dor_tree **next = &t->first;
  uint32_t n = dor_rng_below(r, 5);
  for (uint32_t i = 0; i < n; i++, next = &(*next)->next) {
    dor_tree_type child = (dor_tree_type)(depth ? dor_rng_below(r, 6) : 2 + dor_rng_below(r, 4));
    *next = grow(a, r, depth - 1, child, type == DOR_TREE_GROUP ? dor_arena_fmt(a, "k%u_", i) : NULL);
  }
  return t;
}

static bool same(const dor_tree *x, const dor_tree *y)
{
  if (!x || !y) return x == y;
  if (x->type != y->type || (x->name && strcmp(x->name, y->name))) return false;
  bool value = x->type == DOR_TREE_INT ? x->i == y->i : x->type == DOR_TREE_REAL ? x->r == y->r : x->type == DOR_TREE_BOOL ? x->b == y->b
             : x->type == DOR_TREE_TEXT ? !strcmp(x->text, y->text) : same(x->first, y->first);
  return value && same(x->next, y->next);
}

TEST(tree_writes_what_it_reads)
{
  dor_rng r = dor_rng_stream(11, 0, 0);
  (void)state;
  for (int i = 0; i < 500; i++) {
    dor_arena a = {0};
    dor_str text = {0};
    dor_tree *t = grow(&a, &r, 3, DOR_TREE_GROUP, NULL), *back;
    dor_tree_write(t, &text);
    OK(dor_tree_parse(&a, "t.cfg", text.s ? text.s : "", &back));
    CHECK(same(t, back), "another tree: %s", text.s);
    dor_str_release(&text);
    dor_arena_release(&a);
  }
}

TEST(tree_json)
{
  dor_arena a = {0};
  dor_tree *root;
  dor_str s = {0};
  (void)state;
  OK(dor_tree_parse(&a, "t.cfg", "a = 1; b = 2.0; c = \"x\\\"\\x01\"; d = [1, 2]; e = { f = true; }; g = {}; h = ();", &root));
  dor_tree_json(root, &s);
  const char *want = "{\n  \"a\": 1,\n  \"b\": 2.0,\n  \"c\": \"x\\\"\\u0001\",\n  \"d\": [1, 2],\n  \"e\": {\n    \"f\": true\n  },\n  \"g\": {},\n  "
        "\"h\": []\n}\n";
  CHECK(!strcmp(s.s, want), "%s", s.s);
  dor_str_release(&s);
  dor_arena_release(&a);
}
