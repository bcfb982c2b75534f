/* SPDX-License-Identifier: Apache-2.0
 *
 * A list under a lock: there are a handful of programs, and a look-up happens
 * once per epoch, not per step. */
#include "backend/cache.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

typedef struct entry {
  struct entry *next;
  char *key; /* the caller's and the shapes */
  dor_program *program;
} entry;

struct dor_cache {
  pthread_mutex_t lock;
  entry *head;
};

dor_status dor_cache_new(dor_cache **out)
{
  *out = dor_calloc(1, sizeof **out);
  DOR_NEED(*out, NOMEM, "a cache of programs");
  int failed = pthread_mutex_init(&(*out)->lock, NULL);
  if (!failed) return DOR_OK;
  dor_free(*out);
  *out = NULL;
  return DOR_FAIL(NOMEM, "a lock: %s", strerror(failed));
}

static void drop(entry *e)
{
  dor_program_release(e->program);
  dor_free(e->key);
  dor_free(e);
}

void dor_cache_free(dor_cache *c)
{
  if (!c) return;
  for (entry *e = c->head, *next; e; e = next) {
    next = e->next;
    drop(e);
  }
  pthread_mutex_destroy(&c->lock);
  dor_free(c);
}

static dor_status full_key(const char *key, int32_t n, const dor_shape shape[], dor_str *out)
{
  dor_str_add(out, key);
  for (int32_t i = 0; i < n; i++) {
    dor_shape_text text;
    dor_str_fmt(out, " %s", dor_shape_print(shape[i], text));
  }
  return dor_str_status(out);
}

static dor_status insert(dor_cache *c, char *key, dor_cache_make *make, void *context, entry **out)
{
  entry *e = dor_calloc(1, sizeof *e);
  DOR_NEED(e, NOMEM, "an entry of the program cache");
  dor_status s = make(context, &e->program);
  if (s) {
    dor_free(e);
    return s;
  }
  e->key = key;
  e->next = c->head;
  *out = c->head = e;
  return DOR_OK;
}

dor_status dor_cache_get(dor_cache *c, const char *key, int32_t n, const dor_shape shape[], dor_cache_make *make, void *context,
                         const dor_program **out)
{
  dor_str full = {0};
  dor_status s = full_key(key, n, shape, &full);
  pthread_mutex_lock(&c->lock);
  entry *e = c->head;
  while (!s && e && strcmp(e->key, full.s)) e = e->next;
  if (!s && !e) {
    s = insert(c, full.s, make, context, &e);
    if (!s) full = (dor_str){0}; /* the entry keeps the text */
  }
  if (!s) *out = e->program;
  pthread_mutex_unlock(&c->lock);
  dor_str_release(&full);
  return s;
}
