/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine: a stack, a memo, marks. Each opcode is one small function of one
 * table; an opcode without a function is refused. Values are made once and never
 * change but for lists and dictionaries, which grow by the pieces appended to
 * them, so nothing is copied twice and memory is bounded by the input. */
#include "weights/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "weights/pickle_torch.h"

typedef dor_pickle_value value;
typedef dor_pickle_items items;
typedef struct dor_pickle_piece piece;

typedef struct values {        /* a growing array */
  value *at;
  int32_t n, cap;
} values;

typedef struct machine {
  dor_pickle *p;
  const unsigned char *bytes;
  size_t at, size;             /* next byte; of all */
  values stack, memo;
  int32_t mark[DOR_PICKLE_MARKS], n_marks; /* heights of the stack */
  bool stopped;
} machine;

dor_status dor_pickle_refuse(const dor_pickle *p, const char *fmt, ...)
{
  char what[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  return DOR_FAIL(DATA, "%s: %s, byte %zu: %s", p->file, p->part, p->used, what);
}
#define REFUSE(m, ...) dor_pickle_refuse((m)->p, __VA_ARGS__)
#define WANT(m, cond, ...)                              \
  do {                                                  \
    if (!(cond)) return REFUSE(m, __VA_ARGS__);         \
  } while (0)

/* ---- bytes in ---- */

static dor_status take(machine *m, size_t n, const unsigned char **out)
{
  *out = NULL;
  WANT(m, n <= m->size - m->at, "cut off: %zu bytes are wanted, %zu are left", n, m->size - m->at);
  *out = m->bytes + m->at;
  m->at += n;
  return DOR_OK;
}

static dor_status take_number(machine *m, int n, uint64_t *out)
{
  const unsigned char *b;
  *out = 0;
  DOR_TRY(take(m, (size_t)n, &b));
  while (n--) *out = *out << 8 | b[n];
  return DOR_OK;
}

static dor_status take_line(machine *m, char out[128])
{
  const unsigned char *from = m->bytes + m->at, *end = memchr(from, '\n', m->size - m->at < 128 ? m->size - m->at : 128);
  WANT(m, end, "the name of a class does not end");
  size_t n = (size_t)(end - from);
  memcpy(out, from, n);
  out[n] = 0;
  WANT(m, strlen(out) == n && dor_tensor_name_good(out), "the name of a class is not printable");
  m->at += n + 1;
  return DOR_OK;
}

/* ---- the stack ---- */

static dor_status append(values *v, value x)
{
  if (v->n == v->cap) {
    int32_t cap = v->cap ? 2 * v->cap : 64;
    void *at = dor_realloc(v->at, (size_t)cap * sizeof *v->at);
    DOR_NEED(at, NOMEM, "no memory for %d values of a pickle", cap);
    v->at = at, v->cap = cap;
  }
  v->at[v->n++] = x;
  return DOR_OK;
}

static dor_status push(machine *m, value x) { return append(&m->stack, x); }
static int32_t floor_of(const machine *m) { return m->n_marks ? m->mark[m->n_marks - 1] : 0; }

/* The n topmost values above the last mark, taken off: *out [n] is good until the next push. */
static dor_status pop(machine *m, int32_t n, value **out)
{
  *out = NULL;
  WANT(m, m->stack.n - floor_of(m) >= n, "the stack is empty");
  m->stack.n -= n;
  *out = m->stack.at + m->stack.n;
  return DOR_OK;
}

static dor_status pop_marked(machine *m, int32_t *n, value **out)
{
  *n = 0, *out = NULL;
  WANT(m, m->n_marks, "no mark on the stack");
  *n = m->stack.n - floor_of(m);
  DOR_TRY(pop(m, *n, out));
  m->n_marks--;
  return DOR_OK;
}

static dor_status top(machine *m, dor_pickle_kind kind, const char *what, value **out)
{
  *out = NULL;
  WANT(m, m->stack.n > floor_of(m) && m->stack.at[m->stack.n - 1].kind == kind, "no %s to put it in", what);
  *out = &m->stack.at[m->stack.n - 1];
  return DOR_OK;
}

/* ---- collections ---- */

static dor_status extend(machine *m, items *to, int32_t n, const value *from)
{
  piece *more = dor_arena_alloc(m->p->arena, sizeof *more + (size_t)n * sizeof *from);
  DOR_NEED(more, NOMEM, "no memory for %d values of a pickle", n);
  memcpy(more->at, from, (size_t)n * sizeof *from);
  more->n = n;
  if (to->last) to->last->next = more;
  else to->first = more;
  to->last = more;
  to->n += n;
  return DOR_OK;
}

static dor_status push_items(machine *m, dor_pickle_kind kind, int32_t n, const value *from)
{
  items *made = dor_arena_alloc(m->p->arena, sizeof *made);
  DOR_NEED(made, NOMEM, "no memory for %d values of a pickle", n);
  if (n) DOR_TRY(extend(m, made, n, from));
  return push(m, (value){.kind = kind, .items = made});
}

static dor_status push_tuple(machine *m, int32_t n)
{
  value *from;
  DOR_TRY(pop(m, n, &from));
  return push_items(m, DOR_PICKLE_TUPLE, n, from);
}

static dor_status put_in(machine *m, dor_pickle_kind kind, const char *what, int32_t n, const value *from)
{
  value *to;
  DOR_TRY(top(m, kind, what, &to));
  return n ? extend(m, to->items, n, from) : DOR_OK;
}

static dor_status push_text(machine *m, uint64_t n)
{
  const unsigned char *b;
  WANT(m, n <= INT32_MAX, "a text of %llu bytes", (unsigned long long)n);
  DOR_TRY(take(m, (size_t)n, &b));
  return push(m, (value){.kind = DOR_PICKLE_TEXT, .n = (int32_t)n, .text = (const char *)b});
}

/* Entries are numbered as they are made: a number far beyond would only be a wish for memory. */
static dor_status remember(machine *m, uint64_t i)
{
  WANT(m, m->stack.n > floor_of(m), "the stack is empty");
  WANT(m, i <= (uint64_t)m->memo.n && i < DOR_PICKLE_OPS, "memo entry %llu, there are %d", (unsigned long long)i, m->memo.n);
  value x = m->stack.at[m->stack.n - 1];
  if (i == (uint64_t)m->memo.n) return append(&m->memo, x);
  m->memo.at[i] = x;
  return DOR_OK;
}

static dor_status recall(machine *m, uint64_t i)
{
  WANT(m, i < (uint64_t)m->memo.n, "memo entry %llu, there are %d", (unsigned long long)i, m->memo.n);
  return push(m, m->memo.at[i]);
}

static dor_status push_int(machine *m, int64_t i) { return push(m, (value){.kind = DOR_PICKLE_INT, .i = i}); }

/* ---- opcodes ---- */

static dor_status op_proto(machine *m)
{
  uint64_t v;
  DOR_TRY(take_number(m, 1, &v));
  WANT(m, v == 2 && m->p->used == 0, "pickle protocol %llu in its place; only 2, at the beginning, is read", (unsigned long long)v);
  return DOR_OK;
}

static dor_status op_stop(machine *m)
{
  WANT(m, m->stack.n == 1 && !m->n_marks, "it ends with %d values on the stack and %d marks", m->stack.n, m->n_marks);
  m->p->value = m->stack.at[0];
  m->stopped = true;
  return DOR_OK;
}

static dor_status op_mark(machine *m)
{
  WANT(m, m->n_marks < DOR_PICKLE_MARKS, "more than %d things one in another", DOR_PICKLE_MARKS);
  m->mark[m->n_marks++] = m->stack.n;
  return DOR_OK;
}

static dor_status op_none(machine *m) { return push(m, (value){.kind = DOR_PICKLE_NONE}); }
static dor_status op_true(machine *m) { return push(m, (value){.kind = DOR_PICKLE_BOOL, .yes = true}); }
static dor_status op_false(machine *m) { return push(m, (value){.kind = DOR_PICKLE_BOOL}); }
static dor_status op_empty_dict(machine *m) { return push_items(m, DOR_PICKLE_DICT, 0, NULL); }
static dor_status op_empty_list(machine *m) { return push_items(m, DOR_PICKLE_LIST, 0, NULL); }
static dor_status op_empty_tuple(machine *m) { return push_items(m, DOR_PICKLE_TUPLE, 0, NULL); }
static dor_status op_tuple1(machine *m) { return push_tuple(m, 1); }
static dor_status op_tuple2(machine *m) { return push_tuple(m, 2); }
static dor_status op_tuple3(machine *m) { return push_tuple(m, 3); }

static dor_status op_tuple(machine *m)
{
  int32_t n;
  value *from;
  DOR_TRY(pop_marked(m, &n, &from));
  return push_items(m, DOR_PICKLE_TUPLE, n, from);
}

static dor_status op_append(machine *m)
{
  value *from;
  DOR_TRY(pop(m, 1, &from));
  return put_in(m, DOR_PICKLE_LIST, "list", 1, from);
}

static dor_status op_appends(machine *m)
{
  int32_t n;
  value *from;
  DOR_TRY(pop_marked(m, &n, &from));
  return put_in(m, DOR_PICKLE_LIST, "list", n, from);
}

static dor_status op_setitem(machine *m)
{
  value *from;
  DOR_TRY(pop(m, 2, &from));
  return put_in(m, DOR_PICKLE_DICT, "dictionary", 2, from);
}

static dor_status op_setitems(machine *m)
{
  int32_t n;
  value *from;
  DOR_TRY(pop_marked(m, &n, &from));
  WANT(m, n % 2 == 0, "%d keys and values", n);
  return put_in(m, DOR_PICKLE_DICT, "dictionary", n, from);
}

static dor_status op_int1(machine *m)
{
  uint64_t v;
  DOR_TRY(take_number(m, 1, &v));
  return push_int(m, (int64_t)v);
}

static dor_status op_int2(machine *m)
{
  uint64_t v;
  DOR_TRY(take_number(m, 2, &v));
  return push_int(m, (int64_t)v);
}

static dor_status op_int4(machine *m)
{
  uint64_t v;
  DOR_TRY(take_number(m, 4, &v));
  return push_int(m, (int32_t)(uint32_t)v);
}

static dor_status op_long1(machine *m)
{
  uint64_t n, v = 0;
  DOR_TRY(take_number(m, 1, &n));
  WANT(m, n <= 8, "an integer of %llu bytes", (unsigned long long)n);
  DOR_TRY(take_number(m, (int)n, &v));
  if (n && n < 8 && v >> (8 * n - 1)) v |= ~(uint64_t)0 << (8 * n);
  return push_int(m, (int64_t)v);
}

static dor_status op_real(machine *m)
{
  const unsigned char *b;
  uint64_t bits = 0;
  double x;
  DOR_TRY(take(m, 8, &b));
  for (int i = 0; i < 8; i++) bits = bits << 8 | b[i];
  memcpy(&x, &bits, sizeof x);
  return push(m, (value){.kind = DOR_PICKLE_REAL, .x = x});
}

/* `then` with the number of n bytes that follows the opcode. */
static dor_status with_number(machine *m, int n, dor_status (*then)(machine *m, uint64_t i))
{
  uint64_t i;
  DOR_TRY(take_number(m, n, &i));
  return then(m, i);
}

static dor_status op_text(machine *m) { return with_number(m, 4, push_text); }
static dor_status op_short_text(machine *m) { return with_number(m, 1, push_text); } /* a Python 2 string */
static dor_status op_put(machine *m) { return with_number(m, 1, remember); }
static dor_status op_long_put(machine *m) { return with_number(m, 4, remember); }
static dor_status op_get(machine *m) { return with_number(m, 1, recall); }
static dor_status op_long_get(machine *m) { return with_number(m, 4, recall); }

static dor_status op_global(machine *m)
{
  char module[128], name[128];
  value class;
  DOR_TRY(take_line(m, module));
  DOR_TRY(take_line(m, name));
  DOR_TRY(dor_pickle_class(m->p, module, name, &class));
  return push(m, class);
}

static dor_status op_reduce(machine *m)
{
  value *v, made;
  DOR_TRY(pop(m, 2, &v));
  DOR_TRY(dor_pickle_call(m->p, &v[0], &v[1], &made));
  return push(m, made);
}

static dor_status op_object(machine *m)
{
  value *v, made;
  DOR_TRY(pop(m, 2, &v));
  DOR_TRY(dor_pickle_object(m->p, &v[0], &v[1], &made));
  return push(m, made);
}

static dor_status op_persistent(machine *m)
{
  value *id, made;
  DOR_TRY(pop(m, 1, &id));
  DOR_TRY(dor_pickle_persistent(m->p, id, &made));
  return push(m, made);
}

/* Attributes of an OrderedDict, such as the versions of modules in _metadata, and of a loss scaler: read and left out. */
static dor_status op_build(machine *m)
{
  value *attributes, *to;
  DOR_TRY(pop(m, 1, &attributes));
  WANT(m, attributes->kind == DOR_PICKLE_DICT, "the state of an object is no dictionary");
  return top(m, DOR_PICKLE_DICT, "dictionary", &to);
}

static dor_status (*const opcode[256])(machine *m) = {
    [0x80] = op_proto,      ['.'] = op_stop,       ['('] = op_mark,       ['N'] = op_none,        [0x88] = op_true,   [0x89] = op_false,
    ['}'] = op_empty_dict,  [']'] = op_empty_list, [')'] = op_empty_tuple, [0x85] = op_tuple1,    [0x86] = op_tuple2, [0x87] = op_tuple3,
    ['t'] = op_tuple,       ['a'] = op_append,     ['e'] = op_appends,    ['s'] = op_setitem,     ['u'] = op_setitems, ['K'] = op_int1,
    ['M'] = op_int2,        ['J'] = op_int4,       [0x8a] = op_long1,     ['G'] = op_real,        ['X'] = op_text,    ['U'] = op_short_text,
    ['q'] = op_put,         ['r'] = op_long_put,   ['h'] = op_get,        ['j'] = op_long_get,    ['c'] = op_global,  ['R'] = op_reduce,
    ['Q'] = op_persistent,  ['b'] = op_build,      [0x81] = op_object};

static dor_status run(machine *m)
{
  WANT(m, m->size && m->bytes[0] == 0x80, "no pickle");
  for (int64_t n = 0; !m->stopped; n++) {
    m->p->used = m->at;
    WANT(m, m->at < DOR_PICKLE_BYTES, "more than %d bytes", DOR_PICKLE_BYTES);
    WANT(m, m->at < m->size, "cut off: it does not end");
    WANT(m, n < DOR_PICKLE_OPS, "more than %d opcodes", DOR_PICKLE_OPS);
    unsigned char c = m->bytes[m->at++];
    WANT(m, opcode[c], "opcode 0x%02x is not one that weights need", c);
    DOR_TRY(opcode[c](m));
  }
  m->p->used = m->at;
  return DOR_OK;
}

dor_status dor_pickle_read(dor_pickle *p, const void *bytes, size_t size)
{
  machine m = {.p = p, .bytes = bytes, .size = size < DOR_PICKLE_BYTES ? size : DOR_PICKLE_BYTES};
  int32_t most = (int32_t)(m.size / 16 < DOR_TENSOR_COUNT ? m.size / 16 : DOR_TENSOR_COUNT); /* a persistent id takes more than 16 bytes */
  *p = (dor_pickle){.arena = p->arena, .file = p->file, .part = p->part};
  DOR_TRY(dor_intern_init(&p->keys, p->arena, most));
  p->storage = dor_arena_alloc(p->arena, ((size_t)most + 1) * sizeof *p->storage);
  DOR_NEED(p->storage, NOMEM, "%s: no memory for %d storages", p->file, most);
  p->most_storages = most;
  dor_status s = run(&m);
  dor_free(m.stack.at);
  dor_free(m.memo.at);
  return s;
}

/* ---- looking into it ---- */

bool dor_pickle_is(const dor_pickle_value *v, const char *text)
{
  return v->kind == DOR_PICKLE_TEXT && (size_t)v->n == strlen(text) && !memcmp(v->text, text, (size_t)v->n);
}

const dor_pickle_value *dor_pickle_get(const dor_pickle_value *dict, const char *key)
{
  const value *found = NULL;
  if (dict->kind != DOR_PICKLE_DICT) return NULL;
  for (const piece *p = dict->items->first; p; p = p->next)
    for (int32_t i = 0; i + 1 < p->n; i += 2)
      if (dor_pickle_is(&p->at[i], key)) found = &p->at[i + 1]; /* the last one counts, as in Python */
  return found;
}

char *dor_pickle_text(dor_arena *a, const dor_pickle_value *v)
{
  if (v->kind != DOR_PICKLE_TEXT || memchr(v->text, 0, (size_t)v->n)) return NULL;
  char *text = dor_arena_alloc(a, (size_t)v->n + 1);
  return text ? memcpy(text, v->text, (size_t)v->n) : NULL;
}
