/* SPDX-License-Identifier: Apache-2.0
 *
 * The other half of gpu-check: a GPU in the place of the tests' emulated device, so that the tests of that device run on it, and each op's
 * kernels as tests of their own (device_op_NAME). tools/gpu_check.sh runs one test a process, so that a device that is lost in one is there for the next.
 * Leaves lines of JSON in build/gpu-check. */
#include <math.h>
#include <string.h>

#include "backend/cuda/cuda.h"
#include "backend/cuda/dnn.h"
#include "base/io.h"
#include "ops/ops.h"
#include "tests/ops/device.h"
#include "tests/ops/emu.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

#define ROWS "build/gpu-check/rows"

int64_t test_emu_replays, test_emu_lost = -1;
size_t test_emu_bytes, test_emu_room = (size_t)1 << 30;
const dor_kernel *test_emu_own;
int cuemu_order;
const char *cuemu_complaint;

/* ---- the GPU, counted as the emulated device is ---- */

static const dor_backend *gpu;

static dor_status replay(void *graph, void *stream)
{
  test_emu_replays++;
  return gpu->device->replay(graph, stream);
}

static dor_status memory(size_t *left, size_t *all)
{
  DOR_TRY(gpu->device->memory(left, all));
  if (test_emu_room < *left && test_emu_room < (size_t)1 << 30) *left = test_emu_room;
  return DOR_OK;
}

static dor_status alloc(size_t bytes, void **p)
{
  DOR_TRY(gpu->alloc(bytes, p));
  test_emu_bytes += bytes;
  return DOR_OK;
}

static void give_back(void *p, size_t bytes)
{
  test_emu_bytes -= bytes;
  gpu->free(p, bytes);
}

const dor_backend *test_backend_emu(void)
{
  static dor_backend counted;
  static dor_device functions;
  if (gpu) return &counted;
  const dor_backend *found = dor_backend_find("cuda");
  REQUIRE(found, "built without CUDA");
  OK(found->open(0));
  gpu = found;
  counted = *found, functions = *found->device;
  functions.replay = replay, functions.memory = memory;
  counted.device = &functions, counted.alloc = alloc, counted.free = give_back;
  return &counted;
}

/* ---- every op ---- */

typedef struct tally { FILE *to; int rows, taken, wrong; double worst; } tally;

static void put_text(FILE *to, const char *name, const char *text)
{
  fprintf(to, "\"%s\": \"", name);
  for (; *text; text++)
    if ((unsigned char)*text >= ' ') fprintf(to, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
  fprintf(to, "\", ");
}

static void put_row(void *of, const device_row *r)
{
  tally *t = of;
  const bool good = device_row_good(r);
  t->rows++, t->taken += r->taken, t->wrong += !good;
  t->worst = fmax(t->worst, r->worst);
  fprintf(t->to, "{");
  put_text(t->to, "op", r->op), put_text(t->to, "case", r->name), put_text(t->to, "store", r->store), put_text(t->to, "kernel", r->kernel);
  put_text(t->to, "says", r->says);
  fprintf(t->to, "\"library\": %s, \"taken\": %s, \"error_over_tolerance\": ", r->library ? "true" : "false", r->taken ? "true" : "false");
  fprintf(t->to, isfinite(r->worst) ? "%.4g" : "null", r->worst);
  fprintf(t->to, ", \"stray_bytes\": %lld, \"same_bits\": %s, \"good\": %s}\n", (long long)r->stray, r->same ? "true" : "false", good ? "true" : "false");
  CHECK(good, "%s/%s %s by %s: %.2f times its tolerance, %lld bytes astray, %s bits, %s", r->op, r->name, r->store, r->kernel, r->worst, (long long)r->stray,
        r->same ? "the same" : "other", r->says);
}

static void check_ops(const dor_backend *b, const char *file, const dor_op *const ops[], int32_t n)
{
  char path[256];
  bool there = true;
  snprintf(path, sizeof path, ROWS "/%s.jsonl", file);
  OK(dor_io_mkdirs(ROWS));
  tally t = {.to = fopen(path, "w")};
  REQUIRE(t.to, "cannot write %s", path);
  for (int32_t i = 0; i < n && there; i++) there = device_check_op(b, ops[i], put_row, &t);
  fclose(t.to);
  print_message("    %d kernels on cases, %d taken, %d wrong; worst at %.2f of its tolerance%s\n", t.rows, t.taken, t.wrong, t.worst,
                there ? "" : "; the device was lost and the rest not asked");
}

#define OP(name, ...) \
  TEST(device_op_##name) { check_ops(test_backend_emu(), #name, (const dor_op *const[]){&dor_op_##name}, 1); }
#include "ops/ops.def"
#undef OP

/* For compute-sanitizer, which takes long to begin: all own kernels in one process. */
TEST(device_own_kernels)
{
  dor_backend b = *test_backend_emu();
  for (int32_t i = 0; i < DOR_COLUMNS; i++)
    if (b.column[i] == dor_column_library) b.column[i] = NULL;
  check_ops(&b, "own_kernels", dor_ops, DOR_OP_COUNT);
}

/* As tests/fixtures/h200.json is for a machine without one. */
TEST(device_description)
{
  dor_str text = {0};
  const dor_backend *b = test_backend_emu();
  size_t left, all;
  OK(b->device->memory(&left, &all));
  const dor_cuda_handles *h = b->library->self;
  OK(dor_dnn_description(h->dnn, &text));
  dor_str_add(&text, "\n");
  OK(dor_str_status(&text));
  OK(dor_io_mkdirs("build/gpu-check"));
  OK(dor_io_write("build/gpu-check/deviceprop.json", text.s, text.n));
  print_message("    %s, %zu of %zu bytes free; plans are for %s\n", b->device->describe(), left, all, dor_dnn_device(h->dnn));
  dor_str_release(&text);
}
