/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum bench: times ops on this machine. What compares with PyTorch is
 * tools/bench.sh (make bench). */
#include "cli/cli.h"

#include "backend/opbench.h"

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

static dor_status run(dor_cli *c)
{
  bench_cfg b;
  sink s = {.json = c->json};
  DOR_TRY(dor_cli_assigned(c, bench_keys, &b));
  const dor_backend *backend = b.plain ? &dor_backend_plain : &dor_backend_cpu;
  DOR_TRY(dor_opbench(backend, *b.op ? b.op : NULL, b.all, (int32_t)b.threads, b.seconds, print_row, &s));
  DOR_NEED(s.started, USAGE, "no op with a case to time has '%s' in its name; dorsum help ops", b.op);
  if (s.json) dor_out("]\n");
  dor_say(c, "next: make bench, which compares with PyTorch");
  return DOR_OK;
}

const dor_command dor_command_bench = {
    .name = "bench",
    .summary = "time ops on this machine",
    .usage = "[key=value ...]",
    .options = "Jq",
    .examples = "  dorsum bench\n  dorsum bench op=conv2d threads=2 seconds=1\n  dorsum bench op=relu plain=true --json\n",
    .text = "One line a case: time of one call, GFLOP/s and GB/s by the op's own account.\n"
            "Keys: op, all, plain, threads, seconds. make bench compares training steps with PyTorch.\n",
    .least = 0,
    .most = 0,
    .run = run};
