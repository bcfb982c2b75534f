/* SPDX-License-Identifier: Apache-2.0
 *
 * The null backend: offers what ops.def says a GPU has and runs none of it, so that a machine without one shows how a program
 * binds, plans and fuses there. Library kernels are asked in earnest, by a library that takes what it is asked for; own kernels
 * lie in .cu files, so their names alone are known here. */
#include "backend/backend.h"
#include "base/mem.h"
#include "ops/ops.h"

static void nothing(const dor_call *c) { (void)c; }

#define NONE(name)
#define CUDA(op) static const dor_kernel op##_null = {.name = #op "_cuda", .run = nothing};
#define OP(name, cpu, onednn, cuda, ...) cuda(name)
#include "ops/ops.def"
#undef CUDA

#define CUDA(name) [DOR_OP_##name] = &name##_null,
static const dor_kernel *const column_null[DOR_OP_COUNT + 1] = {
#include "ops/ops.def"
    [DOR_OP_COUNT] = NULL,
};

static dor_isa plain(void) { return DOR_ISA_PLAIN; }
static void enter(int32_t threads) { (void)threads; }

static dor_status block(size_t bytes, void **p)
{
  *p = dor_block_alloc(bytes);
  DOR_NEED(*p, NOMEM, "%zu bytes for tensors", bytes);
  return DOR_OK;
}

static dor_status copy(void *to, const void *from, size_t bytes)
{
  (void)to, (void)from, (void)bytes;
  return DOR_OK;
}

const dor_backend dor_backend_null = {.name = "null", .column = {dor_column_library, column_null}, .isa = plain, .enter = enter, .alloc = block,
                                      .free = dor_block_free, .copy_in = copy, .copy_out = copy, .narrow = true, .library = &dor_library_recorder};
