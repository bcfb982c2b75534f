/* SPDX-License-Identifier: Apache-2.0
 *
 * Experiment configs: the shipped ones are read, arms are what they say, what
 * does not exist is refused by name and place, the resolved config reads back. */
#include "tests/test.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "train/device.h"
#include "train/experiment.h"

static const char HEAD[] = "experiment = \"t\"; target = { column = \"c\"; };\n";

static const char *put(const char *text)
{
  static char path[600];
  dor_str s = {0};
  snprintf(path, sizeof path, "%s/t.cfg", test_folder("experiment"));
  dor_str_add(&s, text);
  OK(dor_io_write(path, s.s, s.n));
  dor_str_release(&s);
  return path;
}

static const dor_arm *find_arm(const dor_experiment *e, const char *name)
{
  for (int32_t i = 0; i < e->n_arms; i++)
    if (!strcmp(e->arm[i].name, name)) return &e->arm[i];
  return NULL;
}

static void resolved(const dor_experiment *e, dor_str *cfg)
{
  dor_str json = {0};
  OK(dor_experiment_write(e, true, cfg, &json));
  dor_str_release(&json);
}

static void same_after_writing(const dor_experiment *e)
{
  dor_experiment again;
  dor_str first = {0}, second = {0}, first_json = {0}, second_json = {0};
  OK(dor_experiment_write(e, true, &first, &first_json));
  OK(dor_experiment_read(&again, put(first.s), NULL, 0));
  OK(dor_experiment_write(&again, true, &second, &second_json));
  CHECK(!strcmp(first.s, second.s), "the resolved config reads back as another:\n%s\n%s", first.s, second.s);
  CHECK(!strcmp(first_json.s, second_json.s), "as JSON:\n%s\n%s", first_json.s, second_json.s);
  REQUIRE(e->n_arms == again.n_arms, "%d arms became %d", e->n_arms, again.n_arms);
  for (int32_t i = 0; i < e->n_arms; i++) {
    dor_str_clear(&first), dor_str_clear(&second);
    dor_tree_write(e->arm[i].tree, &first), dor_tree_write(again.arm[i].tree, &second);
    CHECK(!strcmp(first.s, second.s), "arm %s reads back as another:\n%s\n%s", e->arm[i].name, first.s, second.s);
    CHECK(!strcmp(e->arm[i].title, again.arm[i].title) && e->arm[i].fusion == again.arm[i].fusion && e->arm[i].n_inputs == again.arm[i].n_inputs, "arm %s",
          e->arm[i].name);
  }
  dor_str_release(&first), dor_str_release(&second), dor_str_release(&first_json), dor_str_release(&second_json);
  dor_experiment_release(&again);
}

TEST(experiment_backtracker)
{
  dor_experiment e;
  (void)state;
  OK(dor_experiment_read(&e, "experiments/backtracker/experiment.cfg", NULL, 0));
  CHECK(e.n_arms == 6 && e.split.folds == 5 && e.top.seeds.n == 3 && e.top.baselines.n == 3, "%d arms", e.n_arms);
  CHECK(!strcmp(dor_experiment_data(&e), "experiments/backtracker/cohort.h5"), "%s", dor_experiment_data(&e));
  const dor_arm *both = find_arm(&e, "both"), *proms = find_arm(&e, "proms"), *joint = find_arm(&e, "joint");
  REQUIRE(both && proms && joint, "arms");
  CHECK(both->n_inputs == 2 && both->fusion == DOR_FUSION_NONE && !both->head && !strcmp(both->input[1].name, "forward"), "both");
  CHECK(both->input[1].source.size.v[0] == 128 && !strcmp(dor_arm_net(both, both->input[0].net)->model->name, "silhouette_cnn"), "the net of both");
  CHECK(proms->train.epochs == 200 && both->train.epochs == 60 && proms->train.optimizer == DOR_RULE_ADAMW && !strcmp(proms->title, "PROMs only"), "proms");
  CHECK(joint->fusion == DOR_FUSION_JOINT && joint->n_inputs == 2, "joint");
  same_after_writing(&e);
  dor_experiment_release(&e);
}

TEST(experiment_mine_and_quick)
{
  static const char *const assign[] = {"train.epochs=3", "seeds=1", "data=synth:subjects=16,seed=1,d=1.0"};
  dor_experiment e;
  (void)state;
  OK(dor_experiment_read(&e, "experiments/backtracker/mine.cfg", assign, 3));
  const dor_arm *deep = find_arm(&e, "deep");
  REQUIRE(deep && !find_arm(&e, "both") && e.n_arms == 6, "%d arms", e.n_arms);
  CHECK(!strcmp(dor_experiment_data(&e), assign[2] + 5) && e.top.seeds.n == 1, "%s", dor_experiment_data(&e));
  CHECK(deep->train.epochs == 3 && find_arm(&e, "proms")->train.epochs == 3, "key=value is laid over all");
  dor_str cfg = {0};
  resolved(&e, &cfg);
  CHECK(strstr(cfg.s, "channels = [16, 32, 64, 64, 128, 128];"), "%s", cfg.s);
  dor_str_release(&cfg);
  same_after_writing(&e);
  dor_experiment_release(&e);
  static const char *const finer[] = {"arms.proms.train.epochs=7", "train.epochs=4", "title=all", "arms.backward.skip=true"};
  OK(dor_experiment_read(&e, "experiments/backtracker/experiment.cfg", finer, 3));
  CHECK(find_arm(&e, "proms")->train.epochs == 7 && find_arm(&e, "forward")->train.epochs == 4, "an arm's own key=value is laid over that");
  CHECK(!strcmp(e.top.title, "all") && !strcmp(find_arm(&e, "proms")->title, "PROMs only"), "a title is the experiment's");
  same_after_writing(&e);
  dor_experiment_release(&e);
  CHECK(dor_experiment_read(&e, "experiments/backtracker/experiment.cfg", finer, 4) == DOR_E_CONFIG && strstr(dor_errmsg(),
        "no arm 'backward' that is not skipped"), "%s", dor_errmsg());
  OK(dor_experiment_read(&e, "experiments/backtracker/quick.cfg", NULL, 0));
  CHECK(e.top.quick && e.arm[0].split.folds == 3, "quick");
  same_after_writing(&e);
  dor_experiment_release(&e);
}

TEST(experiment_refuses_what_does_not_exist_yet)
{
  static const struct { const char *file, *want; } bad[] = {{"back_to_move", "back_to_move.cfg:23: no key 'select'; there are:"},
                                                            {"posture", "posture.cfg:6: no kind of net 'vgg19'; there are: mlp, silhouette_cnn"},
                                                            {"tug", "tug.cfg:"},
                                                            {"risk", "risk.cfg:"}};
  dor_experiment e;
  char path[128];
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    snprintf(path, sizeof path, "tests/fixtures/configs/%s.cfg", bad[i].file);
    CHECK(dor_experiment_read(&e, path, NULL, 0) == DOR_E_CONFIG && strstr(dor_errmsg(), bad[i].want), "%s: %s", bad[i].file, dor_errmsg());
    CHECK(!strstr(dor_errmsg(), "no such file"), "%s: %s", bad[i].file, dor_errmsg());
  }
}

TEST(experiment_refuses)
{
  static const struct { const char *text, *want; } bad[] = {
      {"x = 1;", "t.cfg:2: no key 'x'; there are: experiment, task"},
      {"trian = { lr = 1; };", "t.cfg:2: no key 'trian'; did you mean 'train'?"},
      {"train = { lrr = 1; };", "t.cfg:2: no key 'lrr'; did you mean 'lr'?"},
      {"train = 5;", "t.cfg:2: 'train' wants a group { ... }, got 5"},
      {"inputs = 5;", "t.cfg:2: 'inputs' wants a group of named groups"},
      {"nets = { m = { kind = \"mpl\"; }; };", "t.cfg:2: no kind of net 'mpl'; did you mean 'mlp'?"},
      {"nets = { m = { hidden = [3]; }; };", "t.cfg:2: net 'm' wants kind"},
      {"nets = { m = { kind = \"mlp\"; hiden = [3]; }; };", "t.cfg:2: no key 'hiden'; did you mean 'hidden'?"},
      {"inputs = { p = { from = \"prom\"; }; };", "t.cfg:2: input 'p': no source 'prom'; did you mean 'proms'?"},
      {"inputs = { p = { from = \"proms\"; net = \"m\"; }; };", "t.cfg:2: no net 'm'; there are: none"},
      {"nets = { m = { kind = \"mlp\"; }; };\ninputs = { p = { from = \"images\";\n net = \"m\"; }; };",
            "t.cfg:4: input 'p' is pictures and net 'm' (mlp) takes numbers"},
      {"use = [\"q\"];", "t.cfg:2: no input 'q'; there are: none"},
      {"", "t.cfg:1: arm 'model' uses no input"},
      {"inputs = { p = { from = \"proms\"; }; };\nuse = [\"p\"];", "t.cfg:3: arm 'model': input 'p' has no net, and there is no head"},
      {"nets = { m = { kind = \"mlp\"; }; }; net = \"m\";\ninputs = { p = { from = \"images\"; }; };\nuse = [\"p\"];",
            "t.cfg:4: arm 'model': input 'p' is pictures and has no net"},
      {"nets = { m = { kind = \"mlp\"; }; }; net = \"m\";\ninputs = { p = { from = \"proms\"; }; q = { from = \"tables\"; }; };\nuse = [\"p\", \"q\"];",
            "t.cfg:4: arm 'model' uses 2 inputs: say fusion"},
      {"nets = { m = { kind = \"mlp\"; }; }; net = \"m\"; inputs = { p = { from = \"proms\"; }; };\narms = { a = { use = [\"p\"]; }; };\ncompare = { "
            "reference = \"b\"; };", "t.cfg:4: no arm 'b' that is not skipped; there are: a"},
      {"arms = { a = { skip = true; }; };", "t.cfg:2: every arm is skipped"},
      {"arms = { a = { data = \"x\"; }; };", "t.cfg:2: 'data' is the whole experiment's; arm 'a' cannot have its own"},
      {"arms = { a = { tarin = {}; }; };", "t.cfg:2: no key 'tarin'; did you mean 'train'?"},
      {"arms = { a = { train = {\n lrr = 1; }; }; };", "t.cfg:3: no key 'lrr'; did you mean 'lr'?"},
      {"seeds = [];", "t.cfg:2: 'seeds' wants one seed at least"},
      {"seeds = [1, 2, 1];", "t.cfg:2: seed 1 is listed twice"},
      {"baselines = [\"majorty\"];", "t.cfg:2: no baseline 'majorty'; did you mean 'majority'?"},
      {"\nbaselines = [\"majority\", \"majority\"];", "t.cfg:3: baseline 'majority' is listed twice"},
      {"arms = {\n majority = { use = [\"x\"]; }; };", "t.cfg:3: 'majority' is the name of a baseline"},
      {"train = { batch = 10; accumulate = 3; };", "t.cfg:2: 'accumulate' must divide the batch of 10, got 3"},
      {"precision = \"bf17\";", "t.cfg:2: 'precision' must be one of fp32|tf32|bf16|fp16, got 'bf17'"},
      {"cuda = {\n autotune = true; };", "t.cfg:3: 'autotune' with deterministic = true wants plan_cache"},
      {"cuda = { workspace_gb = 1; };", "t.cfg:2: no key 'workspace_gb'; did you mean 'workspace_mb'?"}};
  dor_experiment e;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[1024];
    snprintf(text, sizeof text, "%s%s", HEAD, bad[i].text);
    CHECK(dor_experiment_read(&e, put(text), NULL, 0) == DOR_E_CONFIG, "case %zu was read: %s", i, bad[i].text);
    CHECK(strstr(dor_errmsg(), bad[i].want), "got '%s', want '%s'", dor_errmsg(), bad[i].want);
  }
  CHECK(dor_experiment_read(&e, put("experiment = \"../x\";"), NULL, 0) == DOR_E_CONFIG && strstr(dor_errmsg(),
        "t.cfg:1: '../x' cannot be the name of a folder"), "%s", dor_errmsg());
  CHECK(dor_experiment_read(&e, put("experiment = \"x\"; use = [\"a\"];"), NULL, 0) == DOR_E_CONFIG && strstr(dor_errmsg(), "t.cfg:1: no target"), "%s",
        dor_errmsg());
  CHECK(dor_experiment_read(&e, "none.cfg", NULL, 0) == DOR_E_CONFIG && !strcmp(dor_errmsg(), "none.cfg: no such file"), "%s", dor_errmsg());
}

TEST(experiment_base_is_what_is_shipped)
{
  dor_str s = {0};
  char *text;
  size_t n;
  (void)state;
  OK(dor_experiment_base(&s));
  OK(dor_io_read("configs/base.cfg", 1u << 20, &text, &n));
  CHECK(n == s.n && !memcmp(text, s.s, n), "configs/base.cfg is not what the schemas say: make docs");
  dor_free(text);
  dor_str_release(&s);
}

/* ---- the resolved config of a random experiment reads back exactly ---- */

static void random_values(dor_rng *r, dor_str *s)
{
  static const char *const optimizers[] = {"adam", "adamw", "sgd"}, *const texts[] = {"plain", "a \\\"b\\\" \\\\ c", "caf\xc3\xa9 \\n x", ""};
  dor_str_fmt(s, "title = \"%s\"; level = ", texts[dor_rng_below(r, 4)]);
  dor_str_real(s, 0.5 + 0.499 * dor_rng_real(r));
  dor_str_fmt(s, "; seeds = [%u, %u]; quick = %s;\n", dor_rng_below(r, 1000), 1000 + dor_rng_below(r, 1u << 30), dor_rng_below(r, 2) ? "true" : "false");
  dor_str_add(s, "train = { lr = ");
  dor_str_real(s, dor_rng_real(r));
  dor_str_fmt(s, "; optimizer = \"%s\"; batch = %u; beta2 = ", optimizers[dor_rng_below(r, 3)], 1 + dor_rng_below(r, 100));
  dor_str_real(s, 0.999999 * dor_rng_real(r));
  dor_str_fmt(s, "; at = [%s]; };\n", dor_rng_below(r, 2) ? "3, 7" : "");
  dor_str_fmt(s, "nets = { m = { kind = \"mlp\"; hidden = [%u, %u]; dropout = ", 1 + dor_rng_below(r, 64), 1 + dor_rng_below(r, 64));
  dor_str_real(s, 0.9 * dor_rng_real(r));
  dor_str_add(s, "; }; };\ninputs = { p = { from = \"proms\"; net = \"m\"; scale = \"zscore\"; }; q = { from = \"tables\"; net = \"m\"; }; };\n");
}

static void random_arms(dor_rng *r, dor_str *s)
{
  static const char *const fusions[] = {"early", "joint", "late"};
  uint32_t n = dor_rng_below(r, 4);
  dor_str_add(s, n ? "arms = {\n" : "use = [\"p\"];\n");
  for (uint32_t i = 0; i < n; i++) {
    dor_str_fmt(s, "a%u = { use = [\"p\"%s]; fusion = \"%s\"; ", i, dor_rng_below(r, 2) ? ", \"q\"" : "", fusions[dor_rng_below(r, 3)]);
    if (dor_rng_below(r, 2)) dor_str_fmt(s, "title = \"arm %u\"; ", i);
    if (dor_rng_below(r, 2)) dor_str_fmt(s, "train = { epochs = %u; }; ", 1 + dor_rng_below(r, 9));
    if (dor_rng_below(r, 2)) dor_str_fmt(s, "nets = { m = { hidden = [%u]; }; n%u = { kind = \"mlp\"; }; }; ", 1 + dor_rng_below(r, 9), i);
    dor_str_add(s, "};\n");
  }
  if (n) dor_str_add(s, "};\n");
}

TEST(experiment_resolved_config_reads_back)
{
  dor_rng r = dor_rng_stream(3, 0, 0);
  (void)state;
  for (int i = 0; i < 100; i++) {
    dor_experiment e;
    dor_str s = {0};
    dor_str_add(&s, HEAD);
    random_values(&r, &s);
    random_arms(&r, &s);
    OK(dor_experiment_read(&e, put(s.s), NULL, 0));
    same_after_writing(&e);
    dor_experiment_release(&e);
    dor_str_release(&s);
  }
}

static const char NET[] = "nets = { m = { kind = \"mlp\"; }; }; net = \"m\"; inputs = { p = { from = \"proms\"; }; }; use = [\"p\"];\n";

static const char *text_of_precision(const char *more)
{
  static char text[1024];
  snprintf(text, sizeof text, "%s%s%s", HEAD, NET, more);
  return text;
}

static void check_keys(dor_experiment *e, const dor_backend *b, const char *want)
{
  dor_str s = {0};
  e->backend = b;
  dor_device_keys(e, &s);
  CHECK(!strcmp(s.n ? s.s : "", want), "on %s: '%s', want '%s'", b ? b->name : "nothing", s.n ? s.s : "", want);
  dor_str_release(&s);
}

TEST(experiment_precision_is_what_the_backend_has)
{
  dor_experiment e;
  OK(dor_experiment_read(&e, put(text_of_precision("precision = \"fp16\";")), NULL, 0));
  CHECK(dor_device_ready(&e) == DOR_E_CONFIG && strstr(dor_errmsg(), "t.cfg:3: precision = \"fp16\" is not to be had on cpu, which has fp32, bf16"), "%s",
        dor_errmsg());
  e.backend = &dor_backend_null;
  OK(dor_device_ready(&e));
  check_keys(&e, &dor_backend_null, "precision fp16 ");
  dor_experiment_release(&e);

  OK(dor_experiment_read(&e, put(text_of_precision("")), (const char *const[]){"precision=tf32"}, 1));
  OK(dor_device_ready(&e));
  CHECK(dor_device_format(&e) == DOR_FORMAT_FP32, "tf32 on the CPU is %s", dor_format_name(dor_device_format(&e)));
  check_keys(&e, NULL, ""), check_keys(&e, &dor_backend_null, "precision tf32 ");
  dor_experiment_release(&e);
}

static dor_tuning tuned;
static void take_tuning(const dor_tuning *t) { tuned = *t; }

TEST(experiment_cuda_keys_reach_the_backend)
{
  dor_experiment e;
  dor_backend b = dor_backend_null;
  char want[700];
  b.tune = take_tuning;
  OK(dor_experiment_read(&e, put(text_of_precision("")), NULL, 0));
  e.backend = &b;
  OK(dor_device_ready(&e));
  CHECK(tuned.deterministic && !tuned.autotune && !tuned.workspace && !tuned.cache, "the defaults");
  check_keys(&e, &b, "");
  dor_experiment_release(&e);

  OK(dor_experiment_read(&e, put(text_of_precision("deterministic = false;\n"
                                                   "cuda = { autotune = true; workspace_mb = 64; plan_cache = \"plans\"; };")), NULL, 0));
  snprintf(want, sizeof want, "%s/plans", test_folder("experiment"));
  e.backend = &b;
  OK(dor_device_ready(&e));
  CHECK(!tuned.deterministic && tuned.autotune && tuned.workspace == (size_t)64 << 20, "keys are lost on the way");
  CHECK(tuned.cache && !strcmp(tuned.cache, want), "plans lie in '%s', not beside the config", tuned.cache ? tuned.cache : "");
  check_keys(&e, &b, "deterministic 0 autotune 1 workspace_mb 64 "), check_keys(&e, NULL, "");
  dor_experiment_release(&e);
}
