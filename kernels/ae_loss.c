/* SPDX-License-Identifier: Apache-2.0
 *
 * ae_loss: image by image; the lists are short and the map is mostly zeros, so what
 * counts is that the slope is cleared once. Sums are in double. */
#include <string.h>

#include "kernels/reduce.h"
#include "kernels/scalar.h"
#include "ops/attrs.h"

typedef struct group { double mean; int64_t n; } group; /* of one person's tags */

typedef struct ae_job {
  const dor_ae_attr *a;
  dor_shape tags, lists;
  const float *t;
  const int32_t *joints;
  float *slope;
  group *groups;  /* [N,P] */
  double *terms;  /* [N,2]: push, pull */
} ae_job;

typedef struct ae_image { const ae_job *job; const float *t; const int32_t *joints; float *slope; group *groups; int64_t people; } ae_image;

static int64_t place(const ae_image *m, int64_t person, int64_t k)
{
  const int32_t *j = m->joints + (person * m->job->lists.d[2] + k) * 2;
  int64_t pixels = (int64_t)m->job->tags.d[1] * m->job->tags.d[2], channels = m->job->tags.d[3];
  return j[1] > 0 && j[0] >= 0 && j[0] < pixels * channels ? j[0] % pixels * channels + j[0] / pixels : -1;
}

static void gather(ae_image *m)
{
  for (int64_t p = 0; p < m->job->lists.d[1]; p++) {
    group g = {0, 0};
    for (int64_t k = 0; k < m->job->lists.d[2]; k++) {
      int64_t at = place(m, p, k);
      if (at >= 0) g.mean += (double)m->t[at], g.n++;
    }
    if (g.n) g.mean /= (double)g.n;
    m->groups[p] = g;
    m->people += g.n > 0;
  }
}

/* How near a person's mean is to the others', over all pairs, and the slope of it. */
static double push(const ae_image *m, int64_t p, double *slope)
{
  double sum = 0, pairs = (double)m->people * (double)(m->people - 1);
  *slope = 0;
  for (int64_t q = 0; q < m->job->lists.d[1]; q++) {
    if (q == p || !m->groups[q].n) continue;
    double d = m->groups[p].mean - m->groups[q].mean;
    double e = m->job->a->hinge ? (d * d < 1 ? 1 - fabs(d) : 0) : (double)scalar_exp((float)(-d * d));
    sum += e / pairs / 2;
    *slope += (m->job->a->hinge ? (d * d < 1 ? (d < 0) - (d > 0) : 0) : -2 * d * e) / pairs;
  }
  return sum;
}

/* Pull of one person, and what its tags get; `pushed` is the slope of the push by its mean. */
static double pull(const ae_image *m, int64_t p, double pushed)
{
  const ae_job *s = m->job;
  double sum = 0, n = (double)m->groups[p].n, people = (double)m->people, images = s->tags.d[0];
  for (int64_t k = 0; k < s->lists.d[2]; k++) {
    int64_t at = place(m, p, k);
    if (at < 0) continue;
    double d = (double)m->t[at] - m->groups[p].mean;
    sum += d * d / n / people;
    m->slope[at] += (float)((s->a->pull * 2 * d / n / people + s->a->push * pushed / n) / images);
  }
  return sum;
}

static void body(const void *job, int64_t lo, int64_t hi) /* images */
{
  const ae_job *s = job;
  int64_t size = dor_shape_size(s->tags) / s->tags.d[0], list = dor_shape_size(s->lists) / s->lists.d[0];
  for (int64_t i = lo; i < hi; i++) {
    ae_image m = {s, s->t + i * size, s->joints + i * list, s->slope + i * size, s->groups + i * s->lists.d[1], 0};
    double *terms = s->terms + 2 * i, slope;
    memset(m.slope, 0, (size_t)size * sizeof *m.slope);
    memset(terms, 0, 2 * sizeof *terms);
    gather(&m);
    for (int64_t p = 0; p < s->lists.d[1]; p++) {
      if (!m.groups[p].n) continue;
      terms[0] += push(&m, p, &slope);
      terms[1] += pull(&m, p, slope);
    }
  }
}

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  dor_shape lists = p->in[1].shape;
  *scratch = (size_t)lists.d[0] * ((size_t)lists.d[1] * sizeof(group) + 2 * sizeof(double));
  return DOR_OK;
}

static void run(const dor_call *c)
{
  dor_shape lists = c->in[1].shape;
  group *groups = c->scratch;
  double *terms = (double *)(void *)(groups + (int64_t)lists.d[0] * lists.d[1]), sum[2] = {0, 0};
  ae_job s = {c->attr, c->in[0].shape, lists, c->in[0].data, c->in[1].data, c->out[3].data, groups, terms};
  dor_parallel(c->threads, lists.d[0], 1, body, &s);
  for (int64_t i = 0; i < lists.d[0]; i++) sum[0] += terms[2 * i], sum[1] += terms[2 * i + 1];
  for (int32_t k = 0; k < 2; k++) *(float *)c->out[1 + k].data = (float)(sum[k] / lists.d[0]);
  *(float *)c->out[0].data = (float)((s.a->push * sum[0] + s.a->pull * sum[1]) / lists.d[0]);
}

const dor_kernel ae_loss_cpu = {.name = "ae_loss_cpu", .prepare = prepare, .run = run};
