/* SPDX-License-Identifier: Apache-2.0
 *
 * Every own CUDA kernel on every case, run on the CPU by kernels/cuemu.h: in three orders of threads and blocks that must give the
 * same bits, in poisoned memory, against the definition in double; as the case says and with activations in bf16 and f16.
 * And kernels that are wrong on purpose, which must be caught. */
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "tests/ops/emulated.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

enum { ORDERS = 3 };

typedef struct tally {
  int kernels, runs, declined;
  double worst;
} tally;

static const dor_program_options options = {.no_fuse = true};

/* What is wrong with a kernel on a case, or NULL. */
static const char *fault_of(const dor_backend *b, const dor_op *op, const dor_case *at, dor_dtype store, char text[400], tally *t)
{
  char hash[65] = "";
  for (cuemu_order = 0; cuemu_order < ORDERS; cuemu_order++) {
    cuemu_complaint = NULL;
    trial_result r = trial_run(b, op, at, store, &options);
    if (!r.taken) return t->declined++, NULL;
    t->runs++;
    const char *wrong = NULL;
    char figure[120] = "";
    if (cuemu_complaint) wrong = cuemu_complaint;
    else if (r.stray) snprintf(figure, sizeof figure, "%lld bytes written outside outputs and scratch", (long long)r.stray);
    else if (!(r.worst <= 1)) snprintf(figure, sizeof figure, "an output is at %.2f times its tolerance", r.worst);
    else if (*hash && strcmp(hash, r.hash)) wrong = "other bits in another order of threads";
    memcpy(hash, r.hash, sizeof hash);
    t->worst = fmax(t->worst, r.worst);
    if (!wrong && !*figure) continue;
    snprintf(text, 400, "%s, order %d: %s", r.what, cuemu_order, wrong ? wrong : figure);
    return text;
  }
  return NULL;
}

static void check_case(const dor_backend *b, const dor_op *op, const dor_case *at, tally *t)
{
  static const dor_dtype store[] = {DOR_F32, DOR_BF16, DOR_F16};
  char text[400];
  for (int i = 0; i < (trial_narrows(op, at) ? 3 : 1); i++) {
    const char *fault = fault_of(b, op, at, store[i], text, t);
    CHECK(!fault, "%s", fault);
  }
}

TEST(op_cuda_kernels_match_definition)
{
  dor_backend b = trial_backend(dor_column_cuda, "cuda");
  tally t = {0};
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    t.kernels += dor_column_cuda[i] != NULL;
    for (const dor_case *at = dor_ops[i]->cases; dor_column_cuda[i] && at && at->name; at++)
      if (!at->bench) check_case(&b, dor_ops[i], at, &t);
  }
  print_message("    %d CUDA kernels, %d runs, worst at %.2f of its tolerance; %d declined\n", t.kernels, t.runs, t.worst, t.declined);
}

/* A kernel in the place of relu's, on relu's cases: the first fault found, or NULL. */
static const char *try_relu(const dor_kernel *k, char text[400])
{
  const dor_kernel *column[DOR_OP_COUNT] = {[DOR_OP_relu] = k};
  dor_backend b = trial_backend(column, "emulated");
  tally t = {0};
  const char *fault = NULL;
  for (const dor_case *at = dor_op_relu.cases; at->name && !fault; at++)
    if (!at->bench) fault = fault_of(&b, &dor_op_relu, at, DOR_F32, text, &t);
  cuemu_complaint = NULL;
  return fault;
}

TEST(op_cuda_broken_kernels_are_caught)
{
  static const struct { const dor_kernel *kernel; const char *says; } broken[] = {
      {&emulated_no_barrier_cuda, "tolerance"},   {&emulated_no_second_barrier_cuda, "tolerance"}, {&emulated_wrong_index_cuda, "tolerance"},
      {&emulated_beyond_cuda, "outside"},         {&emulated_deadlock_cuda, "deadlock"},           {&emulated_mask_cuda, "its own mask"},
      {&emulated_block_race_cuda, "bits"},        {&emulated_bad_launch_cuda, "bad launch"},
  };
  char text[400];
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    const char *fault = try_relu(broken[i].kernel, text);
    CHECK(fault && strstr(fault, broken[i].says), "%s: wanted '%s', got '%s'", broken[i].kernel->name, broken[i].says, fault ? fault : "no fault");
  }
  const char *fault = try_relu(&emulated_sound_cuda, text); /* and none is seen where there is none */
  CHECK(!fault, "%s", fault);
  print_message("    %zu broken kernels caught\n", sizeof broken / sizeof *broken);
}

TEST(op_cuda_emulator_knows_its_words)
{
  for (cuemu_order = 0; cuemu_order < ORDERS; cuemu_order++) {
    const char *wrong = emulated_words();
    CHECK(!wrong && !cuemu_complaint, "order %d: %s %s", cuemu_order, wrong ? wrong : "", cuemu_complaint ? cuemu_complaint : "");
    cuemu_complaint = NULL;
  }
  cuemu_order = 0;
}
