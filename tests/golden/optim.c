/* SPDX-License-Identifier: Apache-2.0
 *
 * Five steps of SGD, Nesterov, Adam and AdamW as PyTorch took them in double
 * (tests/golden/optim.h5), through the update graph and the CPU's kernels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "optim/optim.h"
#include "tests/golden/formula.h"
#include "tests/test.h"

enum { N = 64, STEPS = 5 };


static void golden(const char *name, double want[STEPS][N])
{
  hid_t f = golden_open("optim.h5");
  golden_read(f, name, STEPS * N, want[0]);
  H5Fclose(f);
}

static void gradient(int step, float *g)
{
  char name[32];
  snprintf(name, sizeof name, "optim_g%d", step);
  formula_sym(name, N, g);
}

static dor_program *update_program(dor_params *params, const dor_optim_cfg *c)
{
  dor_graph g;
  dor_program *p;
  dor_graph_init(&g, params, true);
  OK(dor_optim_build(&g, c));
  OK(dor_program_build(&p, &g, &dor_backend_cpu, NULL));
  return p;
}

static void follow(const char *name, const dor_optim_cfg *c)
{
  double want[STEPS][N], worst = 0;
  golden(name, want);
  dor_params params = {0};
  int32_t index;
  OK(dor_params_add(&params, &(dor_param_spec){.name = "p", .shape = DOR_SHAPE(N)}, &index));
  dor_program *u = update_program(&params, c);
  float *p = dor_calloc(N, sizeof *p), *g = dor_calloc(N, sizeof *g), *m = dor_calloc(1, dor_optim_moment_bytes(&params, c) + 1);
  dor_instance *i;
  OK(dor_instance_new(&i, u, &(dor_blocks){.at = {[DOR_PARAM] = p, [DOR_GRAD] = g, [DOR_MOMENT] = m}}));
  formula_sym("optim_p", N, p);
  for (int s = 0; s < STEPS; s++) {
    gradient(s, g);
    dor_instance_run(i, &(dor_step){.step = (uint64_t)s, .lr = (float)c->lr, .grad_scale = 1});
    for (int k = 0; k < N; k++) worst = fmax(worst, fabs((double)p[k] - want[s][k]) / fmax(fabs(want[s][k]), 0.1));
  }
  CHECK(worst < 1e-6, "%s: relative error %g", name, worst);
  dor_instance_free(i);
  dor_program_release(u);
  dor_params_release(&params);
  dor_free(p), dor_free(g), dor_free(m);
}

TEST(golden_sgd) { follow("sgd", &(dor_optim_cfg){.rule = DOR_RULE_SGD, .lr = 0.1, .momentum = 0.9, .decay = 0.01}); }
TEST(golden_sgd_nesterov) { follow("sgd_nesterov", &(dor_optim_cfg){.rule = DOR_RULE_SGD, .lr = 0.1, .momentum = 0.9, .nesterov = true}); }
TEST(golden_adam) { follow("adam", &(dor_optim_cfg){.rule = DOR_RULE_ADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01}); }
TEST(golden_adamw) { follow("adamw", &(dor_optim_cfg){.rule = DOR_RULE_ADAMW, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01}); }
