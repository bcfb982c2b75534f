/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/fleet.h"

static const dor_kind kinds[] = {DOR_PARAM, DOR_GRAD, DOR_STATE, DOR_MOMENT};
enum { KINDS = sizeof kinds / sizeof *kinds, ALIGN = 256, MOST = 65535 /* planes of a launch */ };

static size_t round_up(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

dor_status dor_fleet_take(dor_fleet *f, size_t bytes, void **out)
{
  DOR_NEED(round_up(bytes) <= f->stride - f->used, NOMEM, "a fleet's segment of %zu bytes has no room for %zu more", f->stride, bytes);
  *out = f->base + f->used;
  f->used += round_up(bytes);
  return DOR_OK;
}

static dor_status make_host(dor_fleet *f)
{
  void *host = NULL;
  if (!f->backend->device) return f->host = f->base, f->host_stride = f->stride, DOR_OK;
  DOR_TRY(f->backend->device->pin((size_t)f->models * f->host_stride, &host));
  f->host = host;
  return DOR_OK;
}

static dor_status fill(dor_fleet *f, const size_t bytes[])
{
  const dor_backend *b = f->backend;
  void *base = NULL;
  if (b->device) DOR_TRY(b->device->stream_new(&f->blocks.stream));
  DOR_TRY(b->alloc((size_t)f->models * f->stride, &base));
  f->base = base;
  DOR_TRY(make_host(f));
  for (int i = 0; i < KINDS; i++) {
    f->bytes[kinds[i]] = bytes[kinds[i]] ? bytes[kinds[i]] : sizeof(float);
    DOR_TRY(dor_fleet_take(f, f->bytes[kinds[i]], &f->blocks.at[kinds[i]]));
  }
  return DOR_OK;
}

dor_status dor_fleet_make(dor_fleet *f, const dor_backend *b, int32_t models, const size_t bytes[DOR_KIND_COUNT], int32_t n, const dor_program *const program[])
{
  *f = (dor_fleet){.backend = b, .models = models};
  DOR_NEED(models >= 1 && models <= MOST, RANGE, "a fleet of %d models", models);
  for (int i = 0; i < KINDS; i++) f->stride += round_up(bytes[kinds[i]] ? bytes[kinds[i]] : sizeof(float));
  f->host_stride = f->stride;
  for (int32_t i = 0; i < n; i++) f->stride += round_up(dor_program_pool_bytes(program[i])) + round_up(sizeof(dor_step));
  f->blocks.fleet = f;
  return fill(f, bytes);
}

void dor_fleet_release(dor_fleet *f)
{
  if (f->host && f->host != f->base) f->backend->device->unpin(f->host, (size_t)f->models * f->host_stride);
  if (f->base) f->backend->free(f->base, (size_t)f->models * f->stride);
  if (f->blocks.stream) f->backend->device->stream_free(f->blocks.stream);
  *f = (dor_fleet){0};
}

static void *block(const dor_fleet *f, int32_t model, dor_kind kind) { return (char *)f->blocks.at[kind] + (size_t)model * f->stride; }

static dor_status settle(const dor_fleet *f) { return f->backend->device ? f->backend->device->settle(f->blocks.stream) : DOR_OK; }

dor_status dor_fleet_put(dor_fleet *f, int32_t model, dor_kind kind, const void *from)
{
  DOR_TRY(settle(f));
  return f->backend->copy_in(block(f, model, kind), from, f->bytes[kind]);
}

dor_status dor_fleet_get(const dor_fleet *f, int32_t model, dor_kind kind, void *to)
{
  DOR_TRY(settle(f));
  return f->backend->copy_out(to, block(f, model, kind), f->bytes[kind]);
}

void *dor_fleet_host(const dor_fleet *f, int32_t model, dor_kind kind)
{
  return f->host + ((char *)f->blocks.at[kind] - f->base) + (size_t)model * f->host_stride;
}

dor_status dor_fleet_pull(dor_fleet *f, dor_kind kind)
{
  const dor_device *d = f->backend->device;
  if (!d) return DOR_OK;
  if (d->copy_rows)
    DOR_TRY(d->copy_rows(dor_fleet_host(f, 0, kind), f->host_stride, block(f, 0, kind), f->stride, f->bytes[kind], f->models, f->blocks.stream));
  for (int32_t z = 0; z < f->models && !d->copy_rows; z++)
    DOR_TRY(d->copy(dor_fleet_host(f, z, kind), block(f, z, kind), f->bytes[kind], f->blocks.stream));
  return settle(f);
}
