/* SPDX-License-Identifier: Apache-2.0
 *
 * Definitions against numbers of PyTorch 2.15 in double. x is the 4 x 3 matrix
 * below, a sin(0..31) as [1,4,4,2], a conv weight cos(0..35) as [3,3,1,4]; torch
 * was called with the same numbers permuted to its layouts. */
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "tests/ops/reference.h"
#include "tests/test.h"

static const double x43[] = {1, -2, .5, 0, 3, -1, 2, 2, 2, -.5, .25, .75};

static dor_val input(dor_graph *g, const char *name, dor_shape s) { return dor_graph_input(g, name, (dor_type){s, DOR_F32}); }

static numbers evaluated(const dor_graph *g, const double *const in[], int32_t n_in)
{
  OK(dor_graph_status(g));
  numbers v = numbers_new(g);
  for (int32_t i = 0; i < n_in; i++) memcpy(v.at[i], in[i], (size_t)dor_shape_size(g->value[i].type.shape) * sizeof(double));
  numbers_run(v, 0, g->nnode);
  return v;
}

static void same(const char *what, const double *got, int n, const double *want)
{
  for (int i = 0; i < n; i++) CHECK(fabs(got[i] - want[i]) < 1e-14, "%s[%d]: %.17g, wanted %.17g", what, i, got[i], want[i]);
}

static void entropy(double smoothing, bool classes, double loss, const double row1[3])
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val x = input(&g, "x", DOR_SHAPE(4, 3)), y = input(&g, "y", DOR_SHAPE(4)), w = input(&g, "w", DOR_SHAPE(4)), c = input(&g, "c", DOR_SHAPE(3));
  dor_val l = dor_softmax_ce(&g, x, y, w, classes ? c : DOR_NONE, smoothing), slope = dor_graph_output(&g, l, 1);
  numbers v = evaluated(&g, (const double *const[]){x43, (double[]){0, 2, 1, 2}, (double[]){1, 1, 1, 1}, (double[]){.5, 2, 1.25}}, 4);
  same("loss", v.at[l], 1, &loss);
  same("slope", v.at[slope] + 3, 3, row1);
  numbers_free(v);
  dor_graph_release(&g);
}

TEST(op_cross_entropy_is_that_of_pytorch)
{
  entropy(0, false, 1.576818674295077, (const double[]){0.011653155644493473, 0.23405988796912644, -0.2457130436136199});
  entropy(0, true, 1.6659209822439507, (const double[]){0.011653155644493473, 0.23405988796912644, -0.2457130436136199});
  entropy(0.1, false, 1.5789020076284102, (const double[]){0.0033198223111601394, 0.2257265546357931, -0.22904637694695323});
  entropy(0.1, true, 1.6553440847823966, (const double[]){0.008319822311160139, 0.22072655463579308, -0.2290463769469532});
}

TEST(op_losses_are_those_of_pytorch)
{
  static const double t[] = {1, 0, 1, .25, 1, 0, 0, 0, 1, 1, 1, 0};
  static const struct { dor_val (*make)(dor_graph *g, dor_val x, dor_val t, dor_val w); double loss, slope[3]; } want[] = {
      {dor_bce, 0.7530778621413318, {-0.02241178511416626, 0.009933576835176462, -0.03146172239984545}},
      {dor_mse, 1.8072916666666667, {0, -0.3333333333333333, -0.08333333333333333}},
      {dor_mae, 1.1458333333333333, {0, -0.08333333333333333, -0.08333333333333333}}};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    dor_graph g;
    dor_graph_init(&g, NULL, true);
    dor_val x = input(&g, "x", DOR_SHAPE(4, 3)), y = input(&g, "t", DOR_SHAPE(4, 3)), w = input(&g, "w", DOR_SHAPE(4));
    dor_val l = want[i].make(&g, x, y, w), slope = dor_graph_output(&g, l, 1);
    numbers v = evaluated(&g, (const double *const[]){x43, t, (double[]){1, 1, 1, 1}}, 3);
    same("loss", v.at[l], 1, &want[i].loss);
    same("slope", v.at[slope], 3, want[i].slope);
    numbers_free(v);
    dor_graph_release(&g);
  }
}

/* A sample of weight 0 is as if it were not there: how the last batch of an epoch is filled up. */
TEST(op_losses_pass_over_samples_of_weight_zero)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val x = input(&g, "x", DOR_SHAPE(4, 3)), y = input(&g, "y", DOR_SHAPE(4)), w = input(&g, "w", DOR_SHAPE(4));
  dor_val l = dor_softmax_ce(&g, x, y, w, DOR_NONE, 0), slope = dor_graph_output(&g, l, 1);
  numbers v = evaluated(&g, (const double *const[]){x43, (double[]){0, 2, 1, 2}, (double[]){3, 0, 0, 0}}, 3);
  double alone = -(1 - log(exp(1) + exp(-2) + exp(.5)));
  same("loss", v.at[l], 1, &alone);
  same("slope", v.at[slope] + 3, 9, (const double[9]){0});
  numbers_free(v);
  dor_graph_release(&g);
}

typedef struct image { dor_graph g; dor_val x; double a[32], w[36]; } image;

static void image_init(image *t)
{
  dor_graph_init(&t->g, NULL, true);
  t->x = input(&t->g, "x", DOR_SHAPE(1, 4, 4, 2));
  for (int i = 0; i < 32; i++) t->a[i] = sin(i);
  for (int i = 0; i < 36; i++) t->w[i] = cos(i);
}

static void image_check(image *t, const char *what, dor_val y, int first, int n, const double *want)
{
  numbers v = evaluated(&t->g, (const double *const[]){t->a, t->w}, t->g.nvalue > 1 && t->g.value[1].kind == DOR_INPUT ? 2 : 1);
  same(what, v.at[y] + first, n, want);
  numbers_free(v);
  dor_graph_release(&t->g);
}

TEST(op_images_are_treated_as_by_pytorch)
{
  image t;
  image_init(&t);
  dor_val w = input(&t.g, "w", DOR_SHAPE(3, 3, 1, 4));
  image_check(&t, "conv2d stride 2, pad 2, dilation 2, 2 groups", dor_conv2d(&t.g, t.x, w, 2, 2, 2, 2), 0, 8,
              (const double[]){0.7299001539026051, 0.6177701714222272, 0.6562659987799457, -0.29259742111073517, -0.2761699126815096, -0.7600618451691393,
                               -1.011024587470036, -0.5411623255683956});
  image_init(&t);
  image_check(&t, "max_pool 3/2/1", dor_max_pool(&t.g, t.x, 3, 2, 1), 0, 8,
              (const double[]){0.9893582466233818, 0.8414709848078965, 0.9906073556948704, 0.6569865987187891, 0.9893582466233818, 0.956375928404503,
                               0.9906073556948704, 0.956375928404503});
  image_init(&t);
  image_check(&t, "avg_pool 3/2/1", dor_avg_pool(&t.g, t.x, 3, 2, 1), 0, 8,
              (const double[]){0.1505149513955215, 0.043857696839868544, -0.024100804430678538, -0.010039221939047556, -0.08184148213663894,
                               -0.0639297583576468, 0.012061404018358115, 0.011053501480595826});
  image_init(&t); /* channel 0 of row 2 of [3,6] */
  dor_val y = dor_slice(&t.g, dor_resize(&t.g, t.x, 3, 6), (const int32_t[]){0, 2, 0, 0}, (const int32_t[]){1, 1, 6, 1});
  image_check(&t, "nearest resize", y, 0, 6,
              (const double[]){-0.2879033166650653, -0.2879033166650653, -0.750987246771676, 0.9129452507276277, 0.9129452507276277, -0.008851309290403876});
}

/* BatchNorm2d(momentum 0.1, eps 1e-5), gamma 1.5 0.5, beta 0.1f -0.2f, in training, with dy = cos(3 i): all gradients */
TEST(op_batch_norm_is_that_of_pytorch)
{
  image t;
  image_init(&t);
  dor_graph *g = &t.g;
  dor_val gamma = input(g, "gamma", DOR_SHAPE(2)), beta = input(g, "beta", DOR_SHAPE(2)), dy = input(g, "dy", DOR_SHAPE(1, 4, 4, 2));
  dor_val mean = input(g, "mean", DOR_SHAPE(2)), var = input(g, "var", DOR_SHAPE(2)), grad[3];
  dor_norm_state s = {mean, var, dor_graph_input(g, "batches", (dor_type){DOR_SHAPE(1), DOR_I32})};
  dor_val y = dor_batch_norm(g, t.x, gamma, beta, &s, 1e-5, 0.1);
  int32_t running = -1;
  for (int32_t k = 0; k < g->nnode; k++)
    if (g->node[k].op == &dor_op_bn_running) running = k;
  OK(dor_graph_grad(g, &dor_op_accumulate, y, dy, 3, (dor_val[]){t.x, gamma, beta}, grad));
  double r[32];
  for (int i = 0; i < 32; i++) r[i] = cos(3 * i);
  const double *in[] = {t.a, (double[]){1.5, .5}, (double[]){(double).1f, (double)-.2f}, r, (double[]){0, 0}, (double[]){1, 1}, (double[]){41}};
  numbers v = evaluated(g, in, 7);
  REQUIRE(running >= 0, "no running moments in training");
  same("y", v.at[y], 4, (const double[]){0.129590536118222, 0.4002391652966667, 2.0645220632124244, -0.10301810815296321});
  same("running mean", v.at[g->node[running].out[0]], 2, (const double[]){-0.0013905710160266025, 0.000615650459457523});
  same("running var", v.at[g->node[running].out[1]], 2, (const double[]){0.9530008974923576, 0.9516429590744883});
  same("batches", v.at[g->node[running].out[2]], 1, (const double[]){42});
  same("dx", v.at[grad[0]], 4, (const double[]){2.506633284578259, -0.8099508595266932, 2.313551640646729, -0.8018682587234247});
  same("dgamma", v.at[grad[1]], 2, (const double[]){0.6314226019696537, -1.074825134977133});
  same("dbeta", v.at[grad[2]], 2, (const double[]){-2.859842995713472, 3.4849337062717516});
  numbers_free(v);
  dor_graph_release(g);
}
