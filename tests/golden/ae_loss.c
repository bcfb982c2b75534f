/* SPDX-License-Identifier: Apache-2.0
 *
 * The associative-embedding loss of the original on 0, 1, 2, 7 and 30 people, both
 * kernels (tests/golden/ae_loss.h5): push, pull, and the gradient of their sum. */
#include <math.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "ops/ops.h"
#include "tests/golden/formula.h"
#include "tests/test.h"

enum { J = 17, R = 32, PEOPLE = 30, TAGS = J * R * R };

static double off(double got, double want) { return fabs(got - want) / fmax(fabs(want), 1e-3); }

static dor_instance *loss_of(const char *kernel, dor_program **program)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val tags = dor_graph_input(&g, "tags", (dor_type){DOR_SHAPE(1, R, R, J), DOR_F32});
  dor_val joints = dor_graph_input(&g, "joints", (dor_type){DOR_SHAPE(1, PEOPLE, J, 2), DOR_I32});
  dor_val one = dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32}), grad = DOR_NONE;
  dor_val loss = dor_ae_loss(&g, tags, joints, &(dor_ae_attr){1, 1, *kernel == 'm'});
  dor_graph_keep(&g, dor_graph_output(&g, loss, 1), "push");
  dor_graph_keep(&g, dor_graph_output(&g, loss, 2), "pull");
  OK(dor_graph_grad(&g, &dor_op_accumulate, loss, one, 1, &tags, &grad));
  dor_graph_keep(&g, grad, "grad");
  OK(dor_program_build(program, &g, &dor_backend_cpu, NULL));
  dor_instance *in;
  OK(dor_instance_new(&in, *program, NULL));
  return in;
}

static double gradient_error(hid_t f, const char *where, const float *grad)
{
  static double want[TAGS], nhwc[TAGS], got[TAGS];
  golden_read(f, where, TAGS, want);
  golden_nhwc(want, DOR_SHAPE(1, R, R, J), nhwc);
  for (int i = 0; i < TAGS; i++) got[i] = (double)grad[i];
  return golden_l2(got, nhwc, TAGS);
}

static void check(hid_t f, int k, const char *kernel)
{
  char name[64];
  static double list[PEOPLE * J * 2];
  dor_program *program;
  dor_instance *in = loss_of(kernel, &program);
  snprintf(name, sizeof name, "ae_tags/%d", k);
  float *tags = dor_instance_named(in, "tags");
  formula_image(name, DOR_SHAPE(1, R, R, J), tags);
  for (int i = 0; i < TAGS; i++) tags[i] *= 2;
  snprintf(name, sizeof name, "case%d/ae_joints", k);
  golden_read(f, name, PEOPLE * J * 2, list);
  int32_t *joints = dor_instance_named(in, "joints");
  for (int i = 0; i < PEOPLE * J * 2; i++) joints[i] = (int32_t)list[i];
  *(float *)dor_instance_named(in, "one") = 1;
  dor_instance_run(in, &(dor_step){0});
  snprintf(name, sizeof name, "case%d/%s", k, kernel);
  double push = off((double)*(float *)dor_instance_named(in, "push"), golden_attr(f, name, "push"));
  double pull = off((double)*(float *)dor_instance_named(in, "pull"), golden_attr(f, name, "pull"));
  CHECK(push < 1e-5 && pull < 1e-5, "%s: push %g, pull %g off", name, push, pull);
  snprintf(name, sizeof name, "case%d/%s/grad_push_plus_pull", k, kernel);
  double grad = k ? gradient_error(f, name, dor_instance_named(in, "grad")) : 0; /* nobody: the file has none */
  CHECK(grad < 1e-5, "%s: %g off", name, grad);
  dor_instance_free(in);
  dor_program_release(program);
}

TEST(golden_ae_loss)
{
  hid_t f = golden_open("ae_loss.h5");
  for (int k = 0; k < 5; k++) check(f, k, "exp"), check(f, k, "max");
  H5Fclose(f);
}
