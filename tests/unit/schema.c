/* SPDX-License-Identifier: Apache-2.0
 *
 * Schemas: defaults, what is read, the exact words of what is refused, and the
 * way back into a tree. */
#include "tests/test.h"

#include <string.h>

#include "base/schema.h"

typedef struct sample_cfg {
#include "base/keys_fields.h"
#include "tests/unit/schema.def"
#include "base/keys_end.h"
} sample_cfg;

static const dor_key sample_keys[] = {
#define KEYS_OF sample_cfg
#include "base/keys_rows.h"
#include "tests/unit/schema.def"
#include "base/keys_end.h"
    {0}};

static dor_status load(dor_arena *a, const char *text, sample_cfg *c)
{
  dor_tree *root;
  static const char *const skip[] = {"arms", NULL};
  DOR_TRY(dor_tree_parse(a, "t.cfg", text, &root));
  DOR_TRY(dor_schema_defaults(sample_keys, c, a));
  return dor_schema_load(sample_keys, c, root, skip, a);
}

TEST(schema_defaults_and_values)
{
  dor_arena a = {0};
  sample_cfg c;
  (void)state;
  OK(load(&a, "", &c));
  CHECK(c.epochs == 60 && c.lr == 1e-3 && c.shuffle && !*c.data && c.optimizer == 0, "defaults of scalars");
  CHECK(c.hidden.n == 2 && c.hidden.v[1] == 16 && c.range.n == 2 && c.range.v[1] == 1 && c.use.n == 0, "defaults of arrays");
  OK(load(&a, "epochs = 3; lr = 1; shuffle = false; data = \"a.h5\"; optimizer = \"sgd\"; hidden = [8]; range = (-1, 2.5); use = [\"x\", \"y\"]; arms = 1;",
        &c));
  CHECK(c.epochs == 3 && c.lr == 1 && !c.shuffle && !strcmp(c.data, "a.h5") && c.optimizer == 2, "scalars");
  CHECK(c.hidden.n == 1 && c.hidden.v[0] == 8 && c.range.v[0] == -1 && c.range.v[1] == 2.5 && !strcmp(c.use.v[1], "y"), "arrays");
  OK(load(&a, "hidden = 8; use = \"x\"; range = [];", &c));
  CHECK(c.hidden.n == 1 && c.use.n == 1 && c.range.n == 0, "one value is a list of one");
  dor_arena_release(&a);
}

TEST(schema_refuses)
{
  static const struct { const char *text, *want; } bad[] = {
      {"lr = 0.1;\n\nepohcs = 3;", "t.cfg:3: no key 'epohcs'; did you mean 'epochs'?"},
      {"zebra = 1;", "t.cfg:1: no key 'zebra'; there are: epochs, lr, shuffle, data, optimizer, hidden, range, use, arms"},
      {"\nlr = 7;", "t.cfg:2: 'lr' must lie in [0, 1], got 7"},
      {"\nepochs = 0;", "t.cfg:2: 'epochs' must lie in [1, 100000] epoch, got 0"},
      {"\noptimizer = \"adm\";", "t.cfg:2: 'optimizer' must be one of adam|adamw|sgd, got 'adm'"},
      {"optimizer = \"adam|adamw\";", "t.cfg:1: 'optimizer' must be one of adam|adamw|sgd, got 'adam|adamw'"},
      {"epochs = 3.0;", "t.cfg:1: 'epochs' wants a whole number, got 3"},
      {"epochs = \"3\";", "t.cfg:1: 'epochs' wants a whole number, got '3'"},
      {"shuffle = 1;", "t.cfg:1: 'shuffle' wants true or false, got 1"},
      {"data = 5;", "t.cfg:1: 'data' wants a text in double quotes, got 5"},
      {"hidden = [8, 0];", "t.cfg:1: 'hidden' must lie in [1, 65536] unit, got 0"},
      {"use = { a = 1; };", "t.cfg:1: 'use' wants a list, got a group"},
      {"lr = [1];", "t.cfg:1: 'lr' wants a number, got a list"}};
  dor_arena a = {0};
  sample_cfg c;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(load(&a, bad[i].text, &c) == DOR_E_CONFIG, "'%s' was taken", bad[i].text);
    CHECK(!strcmp(dor_errmsg(), bad[i].want), "got '%s', want '%s'", dor_errmsg(), bad[i].want);
  }
  dor_arena_release(&a);
}

TEST(schema_command_line)
{
  dor_arena a = {0};
  sample_cfg c;
  dor_tree *root;
  (void)state;
  OK(dor_tree_parse(&a, "t.cfg", "", &root));
  static const char *const assign[] = {"hidden=1,2,3", "data=synth:subjects=40,seed=1,d=1.0", "lr=3e-4", "optimizer=sgd", "use=x", "range=[0.5]",
        "shuffle=false"};
  for (size_t i = 0; i < sizeof assign / sizeof *assign; i++) OK(dor_tree_assign(&a, root, assign[i]));
  OK(dor_schema_defaults(sample_keys, &c, &a));
  OK(dor_schema_load(sample_keys, &c, root, NULL, &a));
  CHECK(c.hidden.n == 3 && c.hidden.v[2] == 3 && c.lr == 3e-4 && c.optimizer == 2 && c.use.n == 1 && c.range.n == 1 && !c.shuffle, "values");
  CHECK(!strcmp(c.data, "synth:subjects=40,seed=1,d=1.0"), "got %s", c.data);
  OK(dor_tree_assign(&a, root, "data=7"));
  OK(dor_schema_load(sample_keys, &c, root, NULL, &a));
  CHECK(!strcmp(c.data, "7"), "got %s", c.data);
  OK(dor_tree_assign(&a, root, "lrr=1"));
  CHECK(dor_schema_load(sample_keys, &c, root, NULL, &a) == DOR_E_CONFIG && !strcmp(dor_errmsg(), "command line: no key 'lrr'; did you mean 'lr'?"), "%s",
        dor_errmsg());
  dor_arena_release(&a);
}

TEST(schema_saves_what_it_loads)
{
  dor_arena a = {0};
  sample_cfg c, back;
  dor_tree group = {.type = DOR_TREE_GROUP};
  dor_str text = {0}, again = {0};
  (void)state;
  OK(load(&a, "lr = 0.1; optimizer = \"adamw\"; range = (1, 1e-9); use = [\"a\\\"b\"];", &c));
  OK(dor_schema_save(sample_keys, &c, &a, &group));
  dor_tree_write(&group, &text);
  OK(load(&a, text.s, &back));
  group.first = NULL;
  OK(dor_schema_save(sample_keys, &back, &a, &group));
  dor_tree_write(&group, &again);
  CHECK(!strcmp(text.s, again.s) && strstr(text.s, "optimizer = \"adamw\";\n") && strstr(text.s, "range = [1.0, 1e-09];\n"), "%s became %s", text.s, again.s);
  dor_str_release(&text), dor_str_release(&again);
  dor_arena_release(&a);
}

TEST(schema_help_texts)
{
  dor_str s = {0};
  (void)state;
  dor_schema_help(sample_keys, &s);
  CHECK(strstr(s.s, "  epochs          int    60             passes over the training part (epoch)\n"), "%s", s.s);
  CHECK(strstr(s.s, "  optimizer       choice adam           update rule (adam|adamw|sgd)\n"), "%s", s.s);
  dor_str_clear(&s);
  dor_schema_markdown(sample_keys, &s);
  CHECK(strstr(s.s, "| `optimizer` | choice | `adam` | adam\\|adamw\\|sgd |  | update rule |\n"), "%s", s.s);
  CHECK(strstr(s.s, "| `hidden` | ints | `[32,16]` | 1..65536 | unit | widths |\n"), "%s", s.s);
  dor_str_release(&s);
}
