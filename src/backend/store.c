/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/store.h"

#include "backend/fleet.h"
#include "base/mem.h"

static const dor_kind kinds[] = {DOR_PARAM, DOR_GRAD, DOR_STATE, DOR_MOMENT};
enum { KINDS = sizeof kinds / sizeof *kinds };

static dor_status make_block(dor_store *s, dor_kind k)
{
  DOR_TRY(s->backend->alloc(s->bytes[k], &s->blocks.at[k]));
  if (!s->backend->device) return s->host[k] = s->blocks.at[k], DOR_OK;
  s->host[k] = dor_block_alloc(s->bytes[k]);
  DOR_NEED(s->host[k], NOMEM, "no memory for a model of %zu bytes", s->bytes[k]);
  return DOR_OK;
}

dor_status dor_store_make(dor_store *s, const dor_backend *b, const size_t bytes[DOR_KIND_COUNT])
{
  *s = (dor_store){.backend = b};
  if (b->device) DOR_TRY(b->device->stream_new(&s->blocks.stream));
  for (int i = 0; i < KINDS; i++) {
    const dor_kind k = kinds[i];
    s->bytes[k] = bytes[k] ? bytes[k] : sizeof(float);
    DOR_TRY(make_block(s, k));
  }
  return DOR_OK;
}

void dor_store_join(dor_store *s, dor_fleet *f, int32_t model)
{
  *s = (dor_store){.backend = f->backend, .blocks = f->blocks, .fleet = f, .model = model};
  for (int i = 0; i < KINDS; i++) {
    s->bytes[kinds[i]] = f->bytes[kinds[i]];
    s->host[kinds[i]] = dor_fleet_host(f, model, kinds[i]);
  }
}

void dor_store_release(dor_store *s)
{
  if (s->fleet) {
    *s = (dor_store){0};
    return;
  }
  for (int i = 0; i < KINDS; i++) {
    const dor_kind k = kinds[i];
    if (s->host[k] && s->host[k] != s->blocks.at[k]) dor_block_free(s->host[k], s->bytes[k]);
    if (s->blocks.at[k]) s->backend->free(s->blocks.at[k], s->bytes[k]);
  }
  if (s->blocks.stream) s->backend->device->stream_free(s->blocks.stream);
  *s = (dor_store){0};
}

dor_status dor_store_pull(dor_store *s, dor_kind kind)
{
  if (!s->backend->device) return DOR_OK;
  if (s->fleet) return dor_fleet_get(s->fleet, s->model, kind, s->host[kind]);
  DOR_TRY(s->backend->device->settle(s->blocks.stream));
  return s->backend->copy_out(s->host[kind], s->blocks.at[kind], s->bytes[kind]);
}

dor_status dor_store_pull_all(dor_store *s, dor_kind kind) { return s->fleet ? dor_fleet_pull(s->fleet, kind) : dor_store_pull(s, kind); }

dor_status dor_store_push(dor_store *s, dor_kind kind)
{
  if (!s->backend->device) return DOR_OK;
  if (s->fleet) return dor_fleet_put(s->fleet, s->model, kind, s->host[kind]);
  DOR_TRY(s->backend->device->settle(s->blocks.stream));
  return s->backend->copy_in(s->blocks.at[kind], s->host[kind], s->bytes[kind]);
}
