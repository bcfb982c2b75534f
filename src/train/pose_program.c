/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pose_program.h"

#include <stdio.h>
#include <string.h>

#include "train/pretrained.h"

typedef struct maker {
  dor_pose_trainer *t;
  const dor_pose_plan *p;
  const dor_pose_set *set;
} maker;

/* ---- graphs ---- */

/* The outputs' sizes, and the table of parameters in the order of the evaluation graph, as every program over it has them. */
static dor_status find_maps(const maker *m)
{
  dor_graph g;
  dor_pose_net net;
  char where[256];
  const int32_t side = (int32_t)m->p->pose.input, k = m->p->keypoints.k;
  dor_graph_init(&g, &m->t->net.params, false);
  dor_status s = dor_pose_graph_eval(&g, m->p->net.model, m->p->net.cfg, DOR_SHAPE(1, side, side, 3), &net);
  dor_graph_release(&g);
  DOR_TRY(s);
  DOR_NEED(net.joints == k, CONFIG, "%s: net '%s' finds %d joints, the set '%s' has %d: joints = %d", dor_tree_where(m->p->net.tree, where), m->p->net.name,
           net.joints, m->p->keypoints.name, k, k);
  m->t->n_maps = net.n_maps;
  for (int32_t i = 0; i < net.n_maps; i++) m->t->map[i] = net.map[i].d[1];
  return DOR_OK;
}

static dor_val input(dor_graph *g, const char *name, int32_t i, dor_type type)
{
  char full[24];
  if (i < 0) snprintf(full, sizeof full, "%s", name);
  else snprintf(full, sizeof full, "%s%d", name, i);
  return dor_graph_input(g, full, type);
}

/* Bytes and paths -> the normalised crop, masks and heat maps. */
static void build_feed(const maker *m, dor_graph *g, dor_pose_feed *f)
{
  const dor_pose_set *set = m->set;
  const int32_t n = (int32_t)m->t->rows, side = (int32_t)m->p->pose.input, people = (int32_t)m->p->pose.people, k = set->keypoints->k;
  dor_val picture = input(g, "picture", -1, (dor_type){DOR_SHAPE(n, set->h, set->w, 3), DOR_U8});
  dor_val mask = input(g, "mask", -1, (dor_type){DOR_SHAPE(n, set->h, set->w, 1), DOR_U8});
  dor_val size = input(g, "size", -1, (dor_type){DOR_SHAPE(n, 2), DOR_I32});
  dor_val path = input(g, "path", -1, (dor_type){DOR_SHAPE(n, 4 * side), DOR_I32});
  const dor_warp_attr crop = dor_warp_rgb(side, side);
  f->x = dor_warp_affine(g, picture, size, path, &crop);
  f->joints = input(g, "tag", -1, (dor_type){DOR_SHAPE(n, people, k, 2), DOR_I32});
  for (int32_t i = 0; i < m->t->n_maps; i++) {
    const int32_t r = m->t->map[i];
    dor_val to_map = input(g, "path", i, (dor_type){DOR_SHAPE(n, 4 * r), DOR_I32});
    dor_val joint = input(g, "joint", i, (dor_type){DOR_SHAPE(n, people, k, 3), DOR_I32});
    f->mask[i] = dor_reshape(g, dor_warp_affine(g, mask, size, to_map, &(dor_warp_attr){.size = {r, r}, .mask = true}), DOR_SHAPE(n, r, r));
    f->heat[i] = dor_heatmap_target(g, joint, r, r, (int32_t)m->p->pose.sigma);
  }
}

static dor_status build_accumulate(const maker *m, bool more, dor_program **out)
{
  dor_graph g;
  dor_pose_feed f;
  dor_pose_net net;
  const dor_pose_loss loss = {.push = m->p->pose.push, .pull = m->p->pose.pull, .people = (int32_t)m->p->pose.people};
  dor_graph_init(&g, &m->t->net.params, true);
  build_feed(m, &g, &f);
  dor_status s = dor_pose_graph_train_on(&g, m->p->net.model, m->p->net.cfg, &f, &loss, more, &net);
  if (s) return dor_graph_release(&g), s;
  return dor_network_compile(&g, &m->p->cpu, out);
}

/* ---- memory ---- */

static void *named(const dor_instance *i, const char *name, int32_t k)
{
  char full[24];
  snprintf(full, sizeof full, "%s%d", name, k);
  return dor_instance_named(i, full);
}

static void find_feeds(const dor_pose_trainer *t, dor_instance *i, dor_pose_feeds *f)
{
  f->picture = dor_instance_named(i, "picture"), f->mask = dor_instance_named(i, "mask");
  f->size = dor_instance_named(i, "size"), f->path = dor_instance_named(i, "path"), f->tag = dor_instance_named(i, "tag");
  f->loss = dor_instance_named(i, "loss"), f->push = dor_instance_named(i, "push"), f->pull = dor_instance_named(i, "pull");
  for (int32_t k = 0; k < t->n_maps; k++)
    f->path_map[k] = named(i, "path", k), f->joint[k] = named(i, "joint", k), f->heat[k] = named(i, "heat_loss", k);
  *(float *)dor_instance_named(i, "one") = 1;
}

static dor_status make_instances(dor_pose_trainer *t)
{
  dor_replica *r = &t->replica;
  DOR_TRY(dor_instance_new(&r->first, t->net.first, &r->blocks));
  if (t->net.more) DOR_TRY(dor_instance_new(&r->more, t->net.more, &r->blocks));
  DOR_TRY(dor_instance_new(&r->update, t->net.update, &r->blocks));
  find_feeds(t, r->first, &t->first);
  if (r->more) find_feeds(t, r->more, &t->more);
  return DOR_OK;
}

static void measure(const maker *m)
{
  dor_pose_trainer *t = m->t;
  const size_t people = (size_t)m->p->pose.people * (size_t)m->p->keypoints.k;
  t->mask = (size_t)m->set->h * (size_t)m->set->w, t->picture = 3 * t->mask;
  t->path = 4 * (size_t)m->p->pose.input, t->joint = 3 * people, t->tag = 2 * people;
  for (int32_t k = 0; k < t->n_maps; k++) t->path_map[k] = 4 * (size_t)t->map[k];
}

static dor_status make(const maker *m)
{
  dor_pose_trainer *t = m->t;
  DOR_TRY(find_maps(m));
  measure(m);
  DOR_TRY(build_accumulate(m, false, &t->net.first));
  if (t->net.parts > 1) DOR_TRY(build_accumulate(m, true, &t->net.more));
  DOR_TRY(dor_network_update(&t->net, &m->p->train, &m->p->cpu));
  DOR_TRY(dor_pretrained_take(&t->net.first_weights, &t->net.params, "", &m->p->net));
  DOR_TRY(dor_replica_blocks(&t->replica, &t->net));
  return make_instances(t);
}

dor_status dor_pose_trainer_make(dor_pose_trainer *t, const dor_pose_plan *p, const dor_pose_set *set)
{
  *t = (dor_pose_trainer){.net = {.batch = (int32_t)p->train.batch, .parts = (int32_t)p->train.accumulate}};
  t->rows = (size_t)(t->net.batch / t->net.parts);
  maker m = {t, p, set};
  dor_status s = make(&m);
  if (s) dor_pose_trainer_release(t);
  return s;
}

void dor_pose_trainer_release(dor_pose_trainer *t)
{
  if (t->replica.net) dor_replica_release(&t->replica);
  dor_network_release(&t->net);
  *t = (dor_pose_trainer){.rows = 0};
}

size_t dor_pose_trainer_bytes(const dor_pose_trainer *t) { return dor_replica_bytes(&t->net); }

/* ---- a step ---- */

/* Rows [from, from + rows) of a batch into an instance's inputs. */
static void feed(const dor_pose_trainer *t, const dor_pose_batch *b, size_t from, const dor_pose_feeds *to)
{
  const size_t n = t->rows, i = sizeof(int32_t);
  memcpy(to->picture, b->picture + from * t->picture, n * t->picture);
  memcpy(to->mask, b->mask + from * t->mask, n * t->mask);
  memcpy(to->size, b->size + from * 2, n * 2 * i);
  memcpy(to->path, b->path + from * t->path, n * t->path * i);
  memcpy(to->tag, b->tag + from * t->tag, n * t->tag * i);
  for (int32_t k = 0; k < t->n_maps; k++) {
    memcpy(to->path_map[k], b->path_map[k] + from * t->path_map[k], n * t->path_map[k] * i);
    memcpy(to->joint[k], b->joint[k] + from * t->joint, n * t->joint * i);
  }
}

dor_pose_losses dor_pose_accumulate(const dor_pose_trainer *t, const dor_pose_batch *b, const dor_step *step)
{
  dor_pose_losses sum = {0};
  dor_step s = *step;
  const double share = 1.0 / t->net.parts;
  for (int32_t k = 0; k < t->net.parts; k++) {
    const dor_pose_feeds *f = k ? &t->more : &t->first;
    s.micro = (uint64_t)k;
    feed(t, b, (size_t)k * t->rows, f);
    dor_instance_run(k ? t->replica.more : t->replica.first, &s);
    sum.loss += (double)*f->loss * share, sum.push += (double)*f->push * share, sum.pull += (double)*f->pull * share;
    for (int32_t i = 0; i < t->n_maps; i++) sum.heat[i] += (double)*f->heat[i] * share;
  }
  return sum;
}
