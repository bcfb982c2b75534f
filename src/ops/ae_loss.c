/* SPDX-License-Identifier: Apache-2.0
 *
 * ae_loss: associative embedding. Tags at the joints of one person shall be alike (pull), the people's means apart (push).
 *
 *   tags t [N,H,W,J]   joints i32 [N,P,K,2]: (index, seen) for K places of up to P people; index = (joint H + y) W + x; a place counts
 *   where seen > 0 and the index lies in the map. In an image, person n has K_n such places with tags t_nk and mean m_n; N' people have any
 *   pull = 1/N' sum_n 1/K_n sum_k (t_nk - m_n)^2
 *   push = 1/2 1/(N'(N'-1)) sum_{i /= j} e(m_i - m_j), 0 for N' < 2; e(d) = exp(-d^2), or max(1 - |d|, 0) with hinge
 *   loss [1] = a push + b pull, each a mean over the N images; push [1] and pull [1] by themselves, for the record
 *   slope [like t] = dloss/dt, made on the way; backward is loss_bwd. The means are part of the gradient (in pull it cancels).
 *   source    Newell et al., NeurIPS 2017; Cheng et al., CVPR 2020: AELoss of the code */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_REAL(dor_ae_attr, push, "factor a"), DOR_ATTR_REAL(dor_ae_attr, pull, "factor b"),
                               DOR_ATTR_BOOL(dor_ae_attr, hinge, "e(d) = max(1 - |d|, 0)"), {0}};

static dor_status infer(const dor_infer *c)
{
  dor_shape t = c->in[0].shape, p = c->in[1].shape;
  DOR_NEED(t.n == 4, SHAPE, "ae_loss: tags must be [N,H,W,J]");
  DOR_NEED(p.n == 4 && p.d[0] == t.d[0] && p.d[3] == 2 && c->in[1].dtype == DOR_I32, SHAPE, "ae_loss: joints must be i32 [%d,people,joints,2]", t.d[0]);
  c->out[0].shape = c->out[1].shape = c->out[2].shape = DOR_SHAPE(1);
  c->out[3].shape = t;
  return DOR_OK;
}

typedef struct image {
  const double *tags, *joints;
  double *slope;
  int64_t pixels, channels;
  int32_t people, places;
} image;

/* Where in the tags place k of person p lies; -1 where it does not count. */
static int64_t at(const image *m, int32_t p, int32_t k)
{
  const double *j = m->joints + ((int64_t)p * m->places + k) * 2;
  int64_t index = (int64_t)j[0];
  return j[1] > 0 && index >= 0 && index < m->pixels * m->channels ? index % m->pixels * m->channels + index / m->pixels : -1;
}

/* The places of a person that count, and the mean of their tags. */
static int32_t mean_of(const image *m, int32_t p, double *mean)
{
  int32_t n = 0;
  *mean = 0;
  for (int32_t k = 0; k < m->places; k++)
    if (at(m, p, k) >= 0) *mean += m->tags[at(m, p, k)], n++;
  if (n) *mean /= n;
  return n;
}

static double near(const dor_ae_attr *a, double d) { return a->hinge ? fmax(1 - fabs(d), 0) : exp(-d * d); }
static double near_slope(const dor_ae_attr *a, double d) { return !a->hinge ? -2 * d * exp(-d * d) : fabs(d) < 1 ? (d < 0) - (d > 0) : 0; }

/* Person p's parts of an image's push and pull (before the division by people or pairs), and its tags' slopes when wanted. */
static void person(const dor_ae_attr *a, const image *m, int32_t p, int32_t people, double weight, double *push, double *pull)
{
  double mean, other, pairs = (double)people * (people - 1), slope = 0;
  int32_t n = mean_of(m, p, &mean);
  for (int32_t q = 0; n && q < m->people; q++)
    if (q != p && mean_of(m, q, &other)) *push += near(a, mean - other) / pairs / 2, slope += near_slope(a, mean - other) / pairs;
  for (int32_t k = 0; k < m->places; k++) {
    int64_t i = at(m, p, k);
    if (i < 0) continue;
    double d = m->tags[i] - mean;
    *pull += d * d / n / people;
    m->slope[i] += weight * (a->pull * 2 * d / n / people + a->push * slope / n);
  }
}

static void ref(const dor_refcall *c)
{
  const dor_ae_attr *a = c->attr;
  dor_shape t = c->type_in[0].shape, p = c->type_in[1].shape;
  double push = 0, pull = 0, weight = 1.0 / t.d[0];
  memset(c->out[3], 0, (size_t)dor_shape_size(t) * sizeof(double));
  for (int32_t i = 0; i < t.d[0]; i++) {
    int64_t tags = dor_shape_size(t) / t.d[0] * i, joints = dor_shape_size(p) / p.d[0] * i;
    image m = {c->in[0] + tags, c->in[1] + joints, c->out[3] + tags, (int64_t)t.d[1] * t.d[2], t.d[3], p.d[1], p.d[2]};
    int32_t people = 0;
    double mean;
    for (int32_t k = 0; k < m.people; k++) people += mean_of(&m, k, &mean) > 0;
    for (int32_t k = 0; k < m.people; k++) person(a, &m, k, people, weight, &push, &pull);
  }
  c->out[1][0] = push * weight;
  c->out[2][0] = pull * weight;
  c->out[0][0] = a->push * c->out[1][0] + a->pull * c->out[2][0];
}

static dor_cost cost(const dor_infer *c)
{
  double n = c->in[1].shape.d[0], people = c->in[1].shape.d[1], places = c->in[1].shape.d[2];
  return (dor_cost){.flops = n * people * (8 * people + 6 * places), .bytes = (double)(dor_type_bytes(c->in[1]) + dor_type_bytes(c->out[3]))};
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_loss_bwd(g, gout[0], n->out[3]);
  return g->status;
}

static const dor_ae_attr gaussian = {0.7, 1.3, false}, hinge = {0.7, 1.3, true}, original = {1e-3, 1e-3, false};
#define LISTS(n, h, w, j, p, k) {DOR_DIMS(n, h, w, j), DOR_DIMS(n, p, k, 2)}, .dtype = {[1] = DOR_I32}, .fill = {[1] = DOR_FILL_LABELS}
static const dor_case cases[] = {
    {.name = "people", .attr = &gaussian, .in = LISTS(2, 4, 5, 3, 6, 3), .labels = 60},
    {.name = "hinge", .attr = &hinge, .in = LISTS(2, 4, 5, 3, 6, 3), .labels = 60},
    {.name = "unseen", .attr = &gaussian, .in = LISTS(3, 4, 5, 3, 4, 1), .labels = 2},
    {.name = "outside", .attr = &gaussian, .in = LISTS(2, 2, 3, 2, 5, 4), .labels = 24},
    {.name = "one", .attr = &gaussian, .in = LISTS(1, 4, 5, 3, 1, 3), .labels = 60},
    {.name = "coco", .attr = &original, .in = LISTS(8, 128, 128, 17, 30, 17), .labels = 128 * 128 * 17, .bench = true},
    {0},
};

const dor_op dor_op_ae_loss = {.id = DOR_OP_ae_loss, .name = "ae_loss", .formula = "loss = a push + b pull", .nin = 2, .nout = 4, .given = 2, .naux = 3,
                               .attr_size = sizeof(dor_ae_attr), .keys = keys, .infer = infer, .cost = cost, .ref = ref, .grad = grad, .cases = cases};

dor_val dor_ae_loss(dor_graph *g, dor_val tags, dor_val joints, const dor_ae_attr *a)
{
  return dor_graph_add(g, &dor_op_ae_loss, a, 2, (dor_val[]){tags, joints});
}
