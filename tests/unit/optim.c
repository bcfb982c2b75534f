/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules against PyTorch's (torch.optim.lr_scheduler, lr 0.1, one step an
 * epoch), and what the update graph makes of rates, decay, freezing, clipping. */
#include "optim/optim.h"

#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "tests/test.h"

static void expect(const dor_schedule_cfg *c, int n, const double want[])
{
  for (int s = 0; s < n; s++) {
    double got = dor_schedule_rate(c, (uint64_t)s);
    CHECK(fabs(got - want[s]) < 1e-12, "step %d: %.17g, wanted %.17g", s, got, want[s]);
  }
}

TEST(schedules_are_those_of_pytorch)
{
  dor_schedule_cfg c = {.rule = DOR_SCHEDULE_STEP, .lr = 0.1, .gamma = 0.1, .n_at = 2, .at = (const int64_t[]){2, 5}, .epochs = 7, .steps_per_epoch = 1};
  expect(&c, 7, (const double[]){0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001});
  c.n_at = 0, c.every = 3, c.gamma = 0.5;
  expect(&c, 7, (const double[]){0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025});
  c.rule = DOR_SCHEDULE_EXPONENTIAL, c.gamma = 0.9;
  expect(&c, 4, (const double[]){0.1, 0.09, 0.081, 0.0729});
  c.rule = DOR_SCHEDULE_COSINE, c.floor = 0.01, c.epochs = 8;
  expect(&c, 9, (const double[]){0.1, 0.0965745789630079, 0.08681980515339463, 0.07222075445642905, 0.055, 0.03777924554357096,
                                 0.023180194846605363, 0.013425421036992097, 0.01});
  c.rule = DOR_SCHEDULE_CONSTANT;
  expect(&c, 2, (const double[]){0.1, 0.1});
}

TEST(schedules_warm_up_linearly_and_fall_between_epochs)
{
  dor_schedule_cfg c = {.rule = DOR_SCHEDULE_CONSTANT, .lr = 0.1, .warmup_epochs = 0.5, .epochs = 4, .steps_per_epoch = 8};
  expect(&c, 6, (const double[]){0.025, 0.05, 0.075, 0.1, 0.1, 0.1});
  c.rule = DOR_SCHEDULE_COSINE;
  CHECK(fabs(dor_schedule_rate(&c, 4) - 0.1) < 1e-12 && dor_schedule_rate(&c, 5) < 0.1 && dor_schedule_rate(&c, 31) < 1e-3, "cosine after a warm-up");
  c = (dor_schedule_cfg){.rule = DOR_SCHEDULE_EXPONENTIAL, .lr = 0.1, .gamma = 0.5, .epochs = 4, .steps_per_epoch = 2};
  expect(&c, 5, (const double[]){0.1, 0.1, 0.05, 0.05, 0.025});
}

/* weight and bias, two layers; the second layer's weight learns at a tenth, the last bias is frozen */
static void table(dor_params *p)
{
  int32_t i;
  OK(dor_params_add(p, &(dor_param_spec){.name = "a.weight", .shape = DOR_SHAPE(3, 5)}, &i));
  OK(dor_params_add(p, &(dor_param_spec){.name = "a.bias", .shape = DOR_SHAPE(5), .no_decay = true}, &i));
  OK(dor_params_add(p, &(dor_param_spec){.name = "a.mean", .shape = DOR_SHAPE(5), .state = true}, &i));
  OK(dor_params_add(p, &(dor_param_spec){.name = "b.weight", .shape = DOR_SHAPE(5, 2), .lr_factor = 0.1f}, &i));
  OK(dor_params_add(p, &(dor_param_spec){.name = "b.bias", .shape = DOR_SHAPE(2), .frozen = true}, &i));
}

/* The runs of the update, and how many clips there are; in one node for all parameters. */
static int runs(const dor_params *p, const dor_optim_cfg *c, int *clips)
{
  dor_graph g;
  int n = 0, updates = 0;
  dor_params copy = *p;
  *clips = 0;
  dor_graph_init(&g, &copy, true);
  OK(dor_optim_build(&g, c));
  for (int32_t k = 0; k < g.nnode; k++) {
    const dor_node *node = &g.node[k];
    *clips += node->op == &dor_op_clip_norm;
    if (node->op == &dor_op_update) n = ((const dor_update_attr *)node->attr)->n, updates++;
  }
  dor_graph_release(&g);
  CHECK(updates == 1, "%d updates", updates);
  return n;
}

TEST(updates_join_parameters_of_one_rate_and_decay)
{
  dor_params p = {0};
  int clips;
  table(&p);
  dor_optim_cfg c = {.rule = DOR_RULE_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  CHECK(runs(&p, &c, &clips) == 2 && !clips, "%d runs without decay", runs(&p, &c, &clips));
  c.decay = 0.01;
  CHECK(runs(&p, &c, &clips) == 3, "%d runs with decay", runs(&p, &c, &clips));
  c.decay_all = true, c.clip = 1, c.ema = 0.99;
  CHECK(runs(&p, &c, &clips) == 2 && clips == 1, "clip and average");
  CHECK(dor_optim_moment_bytes(&p, &c) == 3 * p.param_bytes, "%zu bytes", dor_optim_moment_bytes(&p, &c));
  c = (dor_optim_cfg){.rule = DOR_RULE_SGD};
  CHECK(!dor_optim_moment_bytes(&p, &c) && runs(&p, &c, &clips) == 2, "plain SGD keeps nothing");
  dor_params_release(&p);
}

TEST(updates_clip_average_and_leave_frozen_alone)
{
  dor_params p = {0};
  table(&p);
  dor_optim_cfg c = {.rule = DOR_RULE_SGD, .lr = 1, .clip = 2, .ema = 0.75};
  dor_graph g;
  dor_graph_init(&g, &p, true);
  OK(dor_optim_build(&g, &c));
  dor_program *u;
  dor_instance *i;
  OK(dor_program_build(&u, &g, &dor_backend_cpu, NULL));
  float param[64] = {0}, grad[64] = {0}, average[64] = {0};
  REQUIRE(p.param_bytes <= sizeof param && dor_optim_moment_bytes(&p, &c) == p.param_bytes, "%zu bytes", p.param_bytes);
  OK(dor_instance_new(&i, u, &(dor_blocks){.at = {[DOR_PARAM] = param, [DOR_GRAD] = grad, [DOR_MOMENT] = average}}));
  const size_t a = p.at[0].offset / 4, b = p.at[3].offset / 4, frozen = p.at[4].offset / 4;
  grad[a] = 6, grad[b] = 8, grad[frozen] = 100; /* norm 10, halved by grad_scale to 5, clipped to 2 */
  dor_instance_run(i, &(dor_step){.lr = 1, .grad_scale = 0.5f});
  CHECK(fabsf(param[a] + 1.2f) < 1e-5f && fabsf(param[b] + 0.16f) < 1e-6f && param[frozen] >= 0, "%g %g %g", (double)param[a], (double)param[b],
        (double)param[frozen]);
  CHECK(fabsf(average[a] + 0.3f) < 1e-5f, "average %g", (double)average[a]);
  CHECK(fabsf(*(float *)dor_instance_named(i, "grad_norm") - 5) < 1e-5f, "norm %g", (double)*(float *)dor_instance_named(i, "grad_norm"));
  dor_instance_free(i);
  dor_program_release(u);
  dor_params_release(&p);
}

TEST(updates_are_left_out_where_a_scaled_gradient_overflows)
{
  dor_params p = {0};
  table(&p);
  dor_optim_cfg c = {.rule = DOR_RULE_ADAM, .lr = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .ema = 0.75, .loss_scale = true};
  dor_graph g;
  dor_program *u;
  dor_instance *i;
  dor_graph_init(&g, &p, true);
  OK(dor_optim_build(&g, &c));
  OK(dor_program_build(&u, &g, &dor_backend_cpu, NULL));
  float param[64] = {0}, grad[64] = {0}, moment[4 * 64] = {0};
  const size_t at = dor_optim_scale_offset(&p, &c), a = p.at[0].offset / 4;
  REQUIRE(at == 3 * p.param_bytes && dor_optim_moment_bytes(&p, &c) == at + 64 && at + 64 <= sizeof moment, "the state lies at %zu", at);
  const float *kept = &moment[at / 4];
  OK(dor_instance_new(&i, u, &(dor_blocks){.at = {[DOR_PARAM] = param, [DOR_GRAD] = grad, [DOR_MOMENT] = moment}}));
  grad[a] = INFINITY;
  dor_instance_run(i, &(dor_step){.lr = 1, .grad_scale = 1});
  CHECK(param[a] == 0 && moment[a] == 0 && kept[0] == -1 && kept[1] == 0 && kept[2] == 1, "infinite: p %g, state %g %g %g", (double)param[a],
        (double)kept[0], (double)kept[1], (double)kept[2]);
  grad[a] = NAN;
  dor_instance_run(i, &(dor_step){.lr = 1, .grad_scale = 1, .step = 1});
  CHECK(param[a] == 0 && kept[0] == -2 && kept[2] == 2, "not a number: p %g, state %g", (double)param[a], (double)kept[0]);
  grad[a] = 0.5f * 0x1p14f; /* times a scale of 2^14; Adam's first step is as long as the rate, whatever the gradient */
  dor_instance_run(i, &(dor_step){.lr = 1, .grad_scale = 1, .step = 2});
  CHECK(fabsf(param[a] + 1) < 1e-5f && fabsf(moment[a] - 0.05f) < 1e-6f && kept[0] == -2 && kept[1] == 1, "p %g, m %g, state %g %g", (double)param[a],
        (double)moment[a], (double)kept[0], (double)kept[1]);
  dor_instance_free(i);
  dor_program_release(u);
  dor_params_release(&p);
}
