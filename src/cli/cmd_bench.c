/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum bench: times ops, or whole training steps, on this machine. What
 * compares with PyTorch is tools/bench.sh (make bench): it asks this program for
 * so many steps at a time (serve=true), in turn with Python's. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/opbench.h"
#include "train/bench.h"

typedef struct bench_cfg {
  const char *op;
  bool all, plain;
  int64_t threads;
  double seconds;
} bench_cfg;

static const dor_key bench_keys[] = {
#define KEYS_OF bench_cfg
#include "base/keys_rows.h"
    KEY_TEXT(op, "", "ops whose name contains this; none: all")
    KEY_BOOL(all, false, "the small cases of the tests too")
    KEY_BOOL(plain, false, "the portable kernels alone")
    KEY_INT(threads, 1, 1, 1024, "thread", "per op")
    KEY_REAL(seconds, 0.2, 0.001, 60, "s", "least time spent on a case")
#include "base/keys_end.h"
    {0}};

typedef struct sink {
  bool json, started;
} sink;

static void print_row(void *to, const dor_opbench_row *r)
{
  sink *s = to;
  double gflops = r->cost.flops / r->time_s * 1e-9, gbytes = r->cost.bytes / r->time_s * 1e-9;
  if (s->json) {
    dor_out("%s{\"op\": \"%s\", \"case\": \"%s\", \"kernel\": \"%s\", ", s->started ? ",\n " : "[", r->op, r->name, r->kernel);
    dor_out("\"time_s\": %.9g, \"flops\": %.17g, \"bytes\": %.17g}", r->time_s, r->cost.flops, r->cost.bytes);
  } else {
    if (!s->started) dor_out("%-18s %-28s %-20s %10s %9s %8s\n", "op", "case", "kernel", "us", "GFLOP/s", "GB/s");
    dor_out("%-18s %-28s %-20s %10.1f %9.1f %8.1f\n", r->op, r->name, r->kernel, r->time_s * 1e6, gflops, gbytes);
  }
  s->started = true;
}

static dor_status bench_ops(dor_cli *c)
{
  bench_cfg b;
  sink s = {.json = c->json};
  DOR_TRY(dor_cli_assigned(c, bench_keys, &b));
  const dor_backend *backend = &dor_backend_plain;
  if (!b.plain) DOR_TRY(dor_cli_device(c, false, &backend));
  DOR_TRY(dor_opbench(backend, *b.op ? b.op : NULL, b.all, (int32_t)b.threads, b.seconds, print_row, &s));
  DOR_NEED(s.started, USAGE, "no op with a case to time has '%s' in its name; dorsum help ops", b.op);
  if (s.json) dor_out("]\n");
  dor_say(c, "next: make bench, which compares with PyTorch");
  return DOR_OK;
}

/* "ready", bytes of tensors, operations and bytes moved by one; then a count on stdin, its seconds on stdout, until stdin ends. */
static dor_status serve(dor_bench *b)
{
  char line[64];
  const dor_cost cost = dor_bench_cost(b);
  dor_out("ready %zu %.17g %.17g\n", dor_bench_bytes(b), cost.flops, cost.bytes);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    int64_t n = 0;
    double time_s;
    line[strcspn(line, "\n")] = 0;
    DOR_TRY(dor_parse_int(line, &n));
    DOR_TRY(dor_bench_run(b, n, &time_s));
    dor_out("%.9g\n", time_s);
    fflush(stdout);
  }
  return DOR_OK;
}

enum { SAMPLES = 21 };

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static dor_status measure(dor_cli *c, const char *kind, dor_bench *b, double seconds)
{
  double warm, each[SAMPLES];
  DOR_TRY(dor_bench_run(b, 1, &warm));
  DOR_TRY(dor_bench_run(b, 1, &warm));
  int64_t n = (int64_t)(seconds / SAMPLES / (warm + 1e-9)) + 1;
  for (int i = 0; i < SAMPLES; i++) {
    DOR_TRY(dor_bench_run(b, n, &each[i]));
    each[i] /= (double)n;
  }
  qsort(each, SAMPLES, sizeof *each, by_size);
  if (c->json)
    dor_out("{\"kind\": \"%s\", \"time_s\": %.9g, \"least_s\": %.9g, \"tensors_bytes\": %zu}\n", kind, each[SAMPLES / 2], each[0],
            dor_bench_bytes(b));
  else
    dor_out("%s: %.4g ms (median of %d; least %.4g), %.1f MB of tensors\n", kind, each[SAMPLES / 2] * 1e3, SAMPLES, each[0] * 1e3,
            (double)dor_bench_bytes(b) * 1e-6);
  return DOR_OK;
}

static dor_status bench_training(dor_cli *c, const char *kind)
{
  dor_bench_cfg cfg;
  dor_bench *b = NULL;
  const dor_backend *backend;
  DOR_TRY(dor_cli_assigned(c, dor_bench_keys, &cfg));
  DOR_TRY(dor_cli_device(c, false, &backend));
  DOR_TRY(dor_bench_open(&b, kind, &cfg, backend));
  dor_status s = cfg.serve ? serve(b) : measure(c, kind, b, cfg.seconds);
  dor_bench_close(b);
  return s;
}

static dor_status run(dor_cli *c)
{
  bool ops = c->n_arg == 0 || !strcmp(c->arg[0], "ops");
  return ops ? bench_ops(c) : bench_training(c, c->arg[0]);
}

const dor_command dor_command_bench = {
    .name = "bench",
    .summary = "time ops and training steps on this machine",
    .usage = "[ops|step|conv|block|pose|mlp|fleet] [key=value ...]",
    .options = "dJq",
    .examples = "  dorsum bench\n  dorsum bench step size=128 batch=32 threads=2\n"
                "  dorsum bench conv channels=64 size=64 batch=8 threads=2\n  dorsum bench pose size=512 batch=1 threads=2\n  dorsum bench mlp threads=2\n"
                "  dorsum bench op=conv2d threads=2 seconds=1\n  dorsum bench op=relu plain=true --json\n",
    .text = "One line a case: time of one call, GFLOP/s and GB/s by the op's own account.\n"
            "Keys: op, all, plain, threads, seconds.\n"
            "step: a training step of the silhouette CNN, or (infer=true) its inference; conv: a 3x3 convolution and its gradients;\n"
            "block: two of convolution, batch norm and ReLU, forward and backward; fleet: a step of many models at once;\n"
            "pose: HigherHRNet, inference or (train=true) forward and backward; mlp: a 5-fold training.\n"
            "Keys: size, batch, channels, threads, conv, precision, autotune, infer, train, rows, features, folds, epochs, models, net, seconds, serve.\n"
            "make bench and make gpu-bench compare with PyTorch.\n",
    .least = 0,
    .most = 1,
    .run = run};
