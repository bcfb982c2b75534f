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
  if (!s) s = dor_network_scale(&m->t->net, &m->p->train, &g);
  if (s) return dor_graph_release(&g), s;
  return dor_network_compile(&m->t->net, &g, &m->p->cpu, "accumulate", out);
}

/* ---- memory ---- */

static dor_val named(const dor_graph *g, const char *name, int32_t k)
{
  char full[24];
  snprintf(full, sizeof full, "%s%d", name, k);
  return dor_graph_find_input(g, full);
}

static void find_feeds(const dor_pose_trainer *t, const dor_program *p, dor_pose_feeds *f)
{
  const dor_graph *g = dor_program_graph(p);
  f->picture = dor_graph_find_input(g, "picture"), f->mask = dor_graph_find_input(g, "mask");
  f->size = dor_graph_find_input(g, "size"), f->path = dor_graph_find_input(g, "path"), f->tag = dor_graph_find_input(g, "tag");
  for (int32_t k = 0; k < t->n_maps; k++) f->path_map[k] = named(g, "path", k), f->joint[k] = named(g, "joint", k);
}

static dor_status make_instances(dor_pose_trainer *t)
{
  static const char *const term[] = {"loss", "push", "pull", "heat_loss0", "heat_loss1", "heat_loss2", "heat_loss3"};
  DOR_TRY(dor_replica_training(&t->replica));
  dor_replica_watch(&t->replica, 3 + t->n_maps, term);
  find_feeds(t, t->net.first, &t->feeds[0]);
  if (t->net.more) find_feeds(t, t->net.more, &t->feeds[1]);
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

dor_status dor_pose_trainer_make(dor_pose_trainer *t, const dor_pose_plan *p, const dor_pose_set *set, const dor_backend *backend)
{
  *t = (dor_pose_trainer){.net = {.backend = backend ? backend : &dor_backend_cpu, .batch = (int32_t)p->train.batch, .parts = (int32_t)p->train.accumulate,
                                  .precision = dor_backend_format(backend, (dor_format)p->top.precision)}};
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

/* `n` numbers of a picture, for the pictures of a part. */
static void put(dor_instance *i, dor_val to, const void *from, size_t first, size_t rows, size_t n, size_t size)
{
  memcpy(dor_instance_input(i, to), (const char *)from + first * n * size, rows * n * size);
}

/* Rows [from, from + rows) of a batch into an instance's inputs. */
static void feed(const dor_pose_trainer *t, const dor_pose_batch *b, size_t from, dor_instance *i, const dor_pose_feeds *to)
{
  const size_t n = t->rows, word = sizeof(int32_t);
  put(i, to->picture, b->picture, from, n, t->picture, 1);
  put(i, to->mask, b->mask, from, n, t->mask, 1);
  put(i, to->size, b->size, from, n, 2, word);
  put(i, to->path, b->path, from, n, t->path, word);
  put(i, to->tag, b->tag, from, n, t->tag, word);
  for (int32_t k = 0; k < t->n_maps; k++) {
    put(i, to->path_map[k], b->path_map[k], from, n, t->path_map[k], word);
    put(i, to->joint[k], b->joint[k], from, n, t->joint, word);
  }
}

dor_pose_losses dor_pose_losses_of(const dor_pose_trainer *t, const double mean[])
{
  dor_pose_losses l = {.loss = mean[0], .push = mean[1], .pull = mean[2]};
  for (int32_t k = 0; k < t->n_maps; k++) l.heat[k] = mean[3 + k];
  return l;
}

dor_status dor_pose_accumulate(dor_pose_trainer *t, const dor_pose_batch *b, const dor_step *step, dor_reading *each, void *to)
{
  dor_replica *r = &t->replica;
  for (int32_t k = 0; k < t->net.parts; k++) {
    feed(t, b, (size_t)k * t->rows, k ? r->more : r->first, &t->feeds[k > 0]);
    dor_replica_run(r, step);
    if (dor_replica_full(r)) DOR_TRY(dor_replica_read(r, each, to));
  }
  return DOR_OK;
}
