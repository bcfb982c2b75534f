/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs and instances: bits that repeat, memory that survives, nothing
 * allocated in a step, errors at bind, the checked run, the cache. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cache.h"
#include "base/mem.h"
#include "ops/ops.h"
#include "tests/ops/reference.h"
#include "tests/test.h"
#include "tests/unit/allocations.h"
#include "tests/unit/net.h"

static dor_type f32(dor_shape s) { return (dor_type){s, DOR_F32}; }

static dor_program *built(test_net *n, uint64_t seed, const dor_backend *b, const dor_program_options *o)
{
  dor_program *p;
  test_net_build(n, seed, false);
  OK(dor_program_build(&p, &n->graph, b, o));
  return p;
}

TEST(program_kept_values_survive_to_the_end)
{
  enum { N = 4096 };
  dor_graph g;
  dor_program *p;
  dor_instance *in;
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(64, 64))), y = dor_relu(&g, x);
  dor_graph_keep(&g, y, "kept");
  for (int i = 0; i < 6; i++) y = dor_add(&g, y, x);
  dor_graph_keep(&g, y, "end");
  OK(dor_program_build(&p, &g, &dor_backend_cpu, NULL));
  OK(dor_instance_new(&in, p, NULL));
  float *data = dor_instance_named(in, "x"), *kept = dor_instance_named(in, "kept");
  for (int i = 0; i < N; i++) data[i] = (float)(i % 7) - 3.0f;
  dor_instance_run(in, &test_step);
  int wrong = 0;
  for (int i = 0; i < N; i++) wrong += kept[i] != (data[i] > 0 ? data[i] : 0) || data[i] != (float)(i % 7) - 3.0f;
  CHECK(!wrong, "%d of %d overwritten", wrong, N);
  CHECK(dor_program_pool_bytes(p) <= 5 * N * sizeof(float), "six sums live at once: %zu bytes", dor_program_pool_bytes(p));
  CHECK(!dor_instance_named(in, "nobody"), "found what is not there");
  dor_instance_free(in);
  dor_program_release(p);
}

TEST(program_views_show_their_inputs_memory)
{
  dor_graph g;
  dor_program *p;
  dor_instance *in;
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(2, 3, 4))), y = dor_flatten(&g, x), z = dor_relu(&g, y);
  dor_graph_keep(&g, z, "z");
  OK(dor_program_build(&p, &g, &dor_backend_cpu, NULL));
  OK(dor_instance_new(&in, p, NULL));
  CHECK(dor_instance_data(in, y) == dor_instance_data(in, x), "a copy where a view was wanted");
  CHECK(!dor_program_kernel(p, 0) && dor_program_kernel(p, 1), "a kernel for the view, or none for relu");
  dor_instance_free(in);
  dor_program_release(p);
}

/* The net by its definitions, in double: loss and gradients of the unfused graph. */
static void compare_with_reference(const test_net *n, uint64_t seed, double tolerance)
{
  test_net plain;
  test_net_build(&plain, seed, false);
  dor_graph *g = &plain.graph;
  numbers x = numbers_new(g);
  dor_program *p;
  test_net run;
  p = built(&run, seed, &dor_backend_plain, &(dor_program_options){.no_fuse = true});
  dor_instance *in = test_net_instance(&run, p);
  for (dor_val v = 0; v < g->nvalue; v++) {
    const dor_value *value = &g->value[v];
    const float *from = value->kind == DOR_INPUT ? dor_instance_named(in, value->name)
                        : value->kind == DOR_TEMP ? NULL : (float *)(void *)((char *)run.blocks.at[value->kind] + value->offset);
    for (int64_t i = 0; from && i < dor_shape_size(value->type.shape); i++) x.at[v][i] = (double)from[i];
  }
  numbers_run(x, 0, g->nnode);
  for (dor_val v = 0; v < g->nvalue; v++) {
    if (g->value[v].kind != DOR_GRAD) continue;
    const float *got = (float *)(void *)((char *)n->blocks.at[DOR_GRAD] + g->value[v].offset);
    double scale = 0, worst = 0;
    for (int64_t i = 0; i < dor_shape_size(g->value[v].type.shape); i++) {
      scale = fmax(scale, fabs(x.at[v][i]));
      worst = fmax(worst, fabs(x.at[v][i] - (double)got[i]));
    }
    CHECK(worst <= tolerance * fmax(scale, 1e-3), "seed %d: the gradient at %zu is %g off, of %g", (int)seed, g->value[v].offset, worst, scale);
  }
  numbers_free(x);
  dor_instance_free(in);
  dor_program_release(p);
  test_net_free(&run);
  test_net_free(&plain);
}

/* Gradients of random nets: every way of running them against the definitions. */
TEST(program_fused_or_not_agrees_with_the_definitions)
{
  static const struct { const char *what; const dor_backend *b; dor_program_options o; } ways[] = {
      {"plain", &dor_backend_plain, {.no_fuse = true}},
      {"plain, fused", &dor_backend_plain, {.no_fuse = false}},
      {"cpu", &dor_backend_cpu, {.no_fuse = true}},
      {"cpu, fused", &dor_backend_cpu, {.threads = 2}},
      {"cpu, direct", &dor_backend_cpu, {.conv = "direct"}},
  };
  for (uint64_t seed = 0; seed < 12; seed++)
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
      test_net n;
      dor_program *p = built(&n, seed, ways[w].b, &ways[w].o);
      dor_instance *in = test_net_instance(&n, p);
      dor_instance_run(in, &test_step);
      int before = test_failures;
      compare_with_reference(&n, seed, 1e-4);
      if (test_failures > before) print_error("    above: %s\n", ways[w].what);
      dor_instance_free(in);
      dor_program_release(p);
      test_net_free(&n);
    }
}

TEST(program_repeats_its_bits)
{
  test_net n;
  dor_program *p = built(&n, 1, &dor_backend_cpu, &(dor_program_options){.threads = 2});
  dor_instance *in = test_net_instance(&n, p);
  size_t bytes = n.params.param_bytes;
  void *first = malloc(bytes);
  dor_instance_run(in, &test_step);
  memcpy(first, n.blocks.at[DOR_GRAD], bytes);
  for (int i = 0; i < 5; i++) {
    test_net_start(&n);
    dor_instance_run(in, &test_step);
    CHECK(!memcmp(first, n.blocks.at[DOR_GRAD], bytes), "run %d gives other bits", i + 1);
  }
  dor_step later = test_step;
  later.step++;
  dor_instance_run(in, &later);
  CHECK(memcmp(first, n.blocks.at[DOR_GRAD], bytes), "another step drops out the same elements");
  free(first);
  dor_instance_free(in);
  dor_program_release(p);
  test_net_free(&n);
}

typedef struct worker {
  test_net net; /* its own blocks; the program is another's */
  dor_instance *in;
  pthread_t thread;
} worker;

static void *run_many(void *context)
{
  worker *w = context;
  for (int i = 0; i < 20; i++) {
    test_net_start(&w->net);
    dor_instance_run(w->in, &test_step);
  }
  return NULL;
}

TEST(program_two_instances_on_two_threads_give_the_bits_of_one)
{
  test_net n;
  dor_program *p = built(&n, 2, &dor_backend_cpu, NULL);
  dor_instance *alone = test_net_instance(&n, p);
  dor_instance_run(alone, &test_step);
  worker w[2];
  for (int i = 0; i < 2; i++) {
    test_net_build(&w[i].net, 2, false);
    w[i].in = test_net_instance(&w[i].net, p);
  }
  for (int i = 0; i < 2; i++) REQUIRE(!pthread_create(&w[i].thread, NULL, run_many, &w[i]), "no thread");
  for (int i = 0; i < 2; i++) {
    pthread_join(w[i].thread, NULL);
    CHECK(!memcmp(w[i].net.blocks.at[DOR_GRAD], n.blocks.at[DOR_GRAD], n.params.param_bytes), "worker %d has other gradients", i);
    CHECK(!memcmp(w[i].net.blocks.at[DOR_STATE], n.blocks.at[DOR_STATE], n.params.state_bytes), "worker %d has other statistics", i);
    dor_instance_free(w[i].in);
    test_net_free(&w[i].net);
  }
  dor_instance_free(alone);
  dor_program_release(p);
  test_net_free(&n);
}

TEST(program_step_allocates_nothing)
{
  long seen = test_allocations();
  if (seen < 0) SKIP("the sanitizer owns the allocator: 1 test");
  free(dor_calloc(1, 1));
  CHECK(test_allocations() == seen + 1, "the counter does not count");
  for (uint64_t seed = 0; seed < 4; seed++)
    for (int32_t threads = 1; threads <= 2; threads++) {
      test_net n;
      dor_program *p = built(&n, seed, &dor_backend_cpu, &(dor_program_options){.threads = threads});
      dor_instance *in = test_net_instance(&n, p);
      dor_instance_run(in, &test_step); /* the thread team is made in the first parallel region */
      long before = test_allocations();
      for (int i = 0; i < 3; i++) dor_instance_run(in, &test_step);
      CHECK(test_allocations() == before, "net %d, %d threads: %ld allocations in three steps", (int)seed, threads, test_allocations() - before);
      dor_instance_free(in);
      dor_program_release(p);
      test_net_free(&n);
    }
}

TEST(program_accumulates_parts_of_a_batch)
{
  test_net once, parts;
  dor_program *p1 = built(&once, 3, &dor_backend_cpu, NULL), *p2;
  test_net_build(&parts, 3, true);
  OK(dor_program_build(&p2, &parts.graph, &dor_backend_cpu, NULL));
  dor_instance *a = test_net_instance(&once, p1), *b = test_net_instance(&parts, p2);
  dor_instance_run(a, &test_step);
  for (int i = 0; i < 2; i++) dor_instance_run(b, &test_step);
  const float *one = once.blocks.at[DOR_GRAD], *two = parts.blocks.at[DOR_GRAD];
  int wrong = 0, alive = 0;
  for (size_t i = 0; i < once.params.param_bytes / sizeof *one; i++) wrong += two[i] != 2 * one[i], alive += one[i] != 0;
  CHECK(!wrong && alive, "%d gradients are not twice those of one part; %d are not 0", wrong, alive);
  dor_instance_free(a);
  dor_instance_free(b);
  dor_program_release(p1);
  dor_program_release(p2);
  test_net_free(&once);
  test_net_free(&parts);
}

TEST(program_errors_name_what_is_missing)
{
  static const dor_kernel *const none[DOR_OP_COUNT];
  dor_backend empty = dor_backend_cpu;
  empty.name = "empty";
  for (int i = 0; i < DOR_COLUMNS; i++) empty.column[i] = none;
  test_net n;
  dor_program *p;
  test_net_build(&n, 0, false);
  CHECK(dor_program_build(&p, &n.graph, &empty, NULL) == DOR_E_UNSUPPORTED && !p, "bound to nothing");
  CHECK(strstr(dor_errmsg(), "conv2d [6,12,12,3] [") && strstr(dor_errmsg(), "empty kernel (block0)"), "%s", dor_errmsg());
  test_net_free(&n);
  test_net_build(&n, 0, false);
  CHECK(dor_program_build(&p, &n.graph, &dor_backend_cpu, &(dor_program_options){.conv = "winnograd"}) == DOR_E_ARG, "%s", dor_errmsg());
  test_net_free(&n);
  p = built(&n, 0, &dor_backend_cpu, NULL);
  dor_instance *in;
  dor_blocks some = n.blocks;
  some.at[DOR_GRAD] = NULL;
  CHECK(dor_instance_new(&in, p, &some) == DOR_E_ARG && !in, "an instance without a gradient block");
  dor_program_release(p);
  test_net_free(&n);
  CHECK(dor_backend_find("plain") == &dor_backend_plain && !dor_backend_find("abacus"), "finding backends");
}

static void wrong_relu(const dor_call *c)
{
  memcpy(c->out[0].data, c->in[0].data, (size_t)dor_shape_size(c->in[0].shape) * sizeof(float));
}

TEST(program_checked_run_finds_a_wrong_kernel_and_a_nan)
{
  const dor_kernel *column[DOR_OP_COUNT] = {0};
  static const dor_kernel wrong = {.name = "relu_wrong", .run = wrong_relu};
  for (int pass = 0; pass < 3; pass++) {
    dor_backend b = dor_backend_plain;
    if (!pass) column[DOR_OP_relu] = &wrong, b.column[1] = b.column[0], b.column[0] = column;
    dor_graph g;
    dor_program *p;
    dor_instance *in;
    dor_graph_init(&g, NULL, true);
    size_t mark = dor_graph_push(&g, "stem");
    dor_graph_keep(&g, dor_relu(&g, dor_graph_input(&g, "x", f32(DOR_SHAPE(8)))), "y");
    dor_graph_pop(&g, mark);
    OK(dor_program_build(&p, &g, &b, NULL));
    OK(dor_instance_new(&in, p, NULL));
    float *x = dor_instance_named(in, "x");
    for (int i = 0; i < 8; i++) x[i] = (float)(i - 4);
    if (pass == 1) x[6] = INFINITY;
    dor_status s = dor_instance_run_checked(in, &test_step, 1e-6);
    if (pass == 0) CHECK(s == DOR_E_NUMERIC && strstr(dor_errmsg(), "relu (stem): output 0 element 0 is -4 by relu_wrong"), "%s", dor_errmsg());
    if (pass == 1) CHECK(s == DOR_E_NUMERIC && strstr(dor_errmsg(), "element 6 is inf"), "%s", dor_errmsg());
    if (pass == 2) CHECK(s == DOR_OK, "%s", dor_errmsg());
    dor_instance_free(in);
    dor_program_release(p);
  }
}

TEST(program_checked_run_passes_whole_nets)
{
  for (uint64_t seed = 0; seed < 4; seed++) {
    test_net n;
    dor_program *p = built(&n, seed, &dor_backend_cpu, NULL);
    dor_instance *in = test_net_instance(&n, p);
    dor_status s = dor_instance_run_checked(in, &test_step, 1e-4);
    CHECK(s == DOR_OK, "net %d: %s", (int)seed, dor_errmsg());
    dor_instance_free(in);
    dor_program_release(p);
    test_net_free(&n);
  }
}

typedef struct maker { int32_t batch; _Atomic int32_t made; bool fail; } maker;

static dor_status make_relu(void *context, dor_program **out)
{
  maker *m = context;
  m->made++;
  if (m->fail) return DOR_FAIL(RANGE, "told to fail");
  dor_graph g;
  dor_graph_init(&g, NULL, false);
  dor_graph_keep(&g, dor_relu(&g, dor_graph_input(&g, "x", f32(DOR_SHAPE(m->batch, 3)))), "y");
  return dor_program_build(out, &g, &dor_backend_cpu, NULL);
}

static void *get_many(void *context)
{
  void **args = context;
  const dor_program *p = NULL;
  for (int i = 0; i < 100; i++)
    if (dor_cache_get(args[0], "shared", 1, &DOR_SHAPE(7, 3), make_relu, args[1], &p)) return NULL;
  return (void *)(uintptr_t)p;
}

TEST(program_cache_builds_each_shape_once)
{
  dor_cache *c;
  maker m = {.batch = 5};
  const dor_program *a, *b, *d;
  OK(dor_cache_new(&c));
  OK(dor_cache_get(c, "eval", 1, &DOR_SHAPE(5, 3), make_relu, &m, &a));
  OK(dor_cache_get(c, "eval", 1, &DOR_SHAPE(5, 3), make_relu, &m, &b));
  OK(dor_cache_get(c, "train", 1, &DOR_SHAPE(5, 3), make_relu, &m, &d));
  CHECK(a == b && a != d && m.made == 2, "%d programs made", m.made);
  m.fail = true;
  CHECK(dor_cache_get(c, "eval", 1, &DOR_SHAPE(6, 3), make_relu, &m, &d) == DOR_E_RANGE, "a failed build");
  m.fail = false, m.batch = 6;
  OK(dor_cache_get(c, "eval", 1, &DOR_SHAPE(6, 3), make_relu, &m, &d));
  CHECK(m.made == 4 && d != a, "%d made: a failure was stored", m.made);
  maker shared = {.batch = 7};
  void *args[] = {c, &shared}, *got[4];
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) REQUIRE(!pthread_create(&thread[i], NULL, get_many, args), "no thread");
  for (int i = 0; i < 4; i++) pthread_join(thread[i], &got[i]);
  CHECK(shared.made == 1 && got[0] && got[0] == got[1] && got[1] == got[2] && got[2] == got[3], "%d programs for four threads", shared.made);
  dor_cache_free(c);
}
