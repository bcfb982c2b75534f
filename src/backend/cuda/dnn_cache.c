/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans in files: PLANS/<hash of the key>.plan holds the key, a line of numbers, and cuDNN's own text of the plan, with its
 * compiled kernel where it has one. The key says everything that the choice depends on. */
#include "backend/cuda/dnn_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

enum { LARGEST = 64 << 20 };
#define KIND "dorsum plan 1\n"

static char *path_of(const dor_dnn *d, const char *key, dor_arena *a)
{
  char name[DOR_HASH_HEX + 8];
  dor_hash_bytes(key, strlen(key), name);
  memcpy(name + DOR_HASH_HEX - 1, ".plan", 6);
  return dor_path_join(a, d->is.cache, name);
}

/* cuDNN 9.19 reads a plan's text only beside a handle, and falls over without one. */
static dor_status revive(const dor_dnn *d, const char *json, dor_descs *all, dor_dnn_choice *c)
{
  int64_t n, found = 0;
  cudnnHandle_t handle = d->handle;
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &c->plan));
  DOR_TRY(dor_desc_set(c->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
  DOR_TRY(dor_desc_set(c->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json));
  DOR_TRY(dor_desc_done(c->plan, "a plan from its file"));
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &found), "a plan's workspace"));
  DOR_NEED(found == c->workspace, UNSUPPORTED, "a plan of another workspace than its file says");
  return DOR_OK;
}

/* The text after "kind, key, numbers"; NULL when the file is of something else. */
static const char *body(const char *text, const char *key, dor_dnn_choice *c)
{
  size_t kind = strlen(KIND), n = strlen(key);
  long long engine, workspace;
  int compiled, used = 0;
  if (strncmp(text, KIND, kind) || strncmp(text + kind, key, n) || text[kind + n] != '\n') return NULL;
  if (sscanf(text + kind + n + 1, "engine %lld workspace %lld compiled %d\n%n", &engine, &workspace, &compiled, &used) != 3 || !used) return NULL;
  *c = (dor_dnn_choice){.engine = engine, .workspace = workspace, .compiled = compiled != 0};
  return text + kind + n + 1 + used;
}

dor_status dor_dnn_load(const dor_dnn *d, const char *key, dor_descs *all, dor_dnn_choice *out, bool *found)
{
  dor_arena a = {0};
  char *text = NULL;
  size_t n;
  int32_t before = all->n;
  *found = false;
  if (!d->handle) return DOR_OK;
  const char *path = path_of(d, key, &a), *json = NULL;
  dor_status s = path ? dor_io_read(path, LARGEST, &text, &n) : DOR_FAIL(NOMEM, "a plan's path");
  dor_arena_release(&a);
  if (s) return s == DOR_E_NOMEM ? s : DOR_OK;
  json = body(text, key, out);
  *found = json && !revive(d, json, all, out);
  if (!*found) dor_desc_keep(all, before);
  dor_free(text);
  return DOR_OK;
}

static dor_status text_of(const dor_dnn_choice *c, dor_str *out)
{
  int64_t n = 0;
  const char *what = "a plan's text";
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &n, NULL), what));
  char *json = dor_calloc((size_t)n + 1, 1);
  DOR_NEED(json, NOMEM, "a plan's text of %lld bytes", (long long)n);
  dor_status s = dor_desc_check(cudnnBackendGetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, n, &n, json), what);
  if (!s) dor_str_add(out, json);
  dor_free(json);
  return s;
}

dor_status dor_dnn_save(const dor_dnn *d, const char *key, const dor_dnn_choice *c)
{
  dor_arena a = {0};
  dor_str text = {0};
  const char *path = path_of(d, key, &a);
  dor_str_fmt(&text, KIND "%s\nengine %lld workspace %lld compiled %d\n", key, (long long)c->engine, (long long)c->workspace, c->compiled);
  dor_status s = path ? text_of(c, &text) : DOR_FAIL(NOMEM, "a plan's path");
  if (!s) s = dor_str_status(&text);
  if (!s) s = dor_io_mkdirs(d->is.cache);
  if (!s) s = dor_io_write(path, text.s, text.n);
  dor_str_release(&text);
  dor_arena_release(&a);
  return s;
}
