/* SPDX-License-Identifier: Apache-2.0
 *
 * torch.save writes a tensor as _rebuild_tensor_v2(storage, offset, size, stride,
 * requires_grad, hooks), a parameter as _rebuild_parameter(tensor, requires_grad,
 * hooks), and a storage as a persistent id: torch/_utils.py, torch/serialization.py. */
#include "weights/pickle_torch.h"

#include <string.h>

#include "base/str.h"

enum { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, LOSS_SCALER, DYNAMIC_LOSS_SCALER, STORAGES };

static const struct { const char *module, *name; dor_tensor_type type; } classes[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict", DOR_TENSOR_TYPE_COUNT},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2", DOR_TENSOR_TYPE_COUNT},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter", DOR_TENSOR_TYPE_COUNT},
    [LOSS_SCALER] = {"fp16_utils.loss_scaler", "LossScaler", DOR_TENSOR_TYPE_COUNT},
    [DYNAMIC_LOSS_SCALER] = {"fp16_utils.loss_scaler", "DynamicLossScaler", DOR_TENSOR_TYPE_COUNT},
    [STORAGES] = {"torch", "FloatStorage", DOR_TENSOR_F32},
    {"torch", "HalfStorage", DOR_TENSOR_F16},
    {"torch", "BFloat16Storage", DOR_TENSOR_BF16},
    {"torch", "DoubleStorage", DOR_TENSOR_F64},
    {"torch", "LongStorage", DOR_TENSOR_I64},
    {"torch", "IntStorage", DOR_TENSOR_I32},
    {"torch", "ShortStorage", DOR_TENSOR_I16},
    {"torch", "CharStorage", DOR_TENSOR_I8},
    {"torch", "ByteStorage", DOR_TENSOR_U8},
    {"torch", "BoolStorage", DOR_TENSOR_BOOL}};
enum { CLASSES = sizeof classes / sizeof *classes };

#define WANT(p, cond, ...)                                       \
  do {                                                           \
    if (!(cond)) return dor_pickle_refuse(p, __VA_ARGS__);       \
  } while (0)

dor_status dor_pickle_class(const dor_pickle *p, const char *module, const char *name, dor_pickle_value *out)
{
  for (int32_t i = 0; i < CLASSES; i++)
    if (!strcmp(classes[i].module, module) && !strcmp(classes[i].name, name)) return *out = (dor_pickle_value){.kind = DOR_PICKLE_CLASS, .n = i}, DOR_OK;
  char shown[2][96];
  dor_printable(module, shown[0], sizeof shown[0]);
  dor_printable(name, shown[1], sizeof shown[1]);
  if (!strncmp(module, "torch.nn", 8) || !strncmp(module, "__main__", 8))
    return dor_pickle_refuse(p, "'%s.%s' is code: a whole model was saved; save model.state_dict() instead (nothing was run)", shown[0], shown[1]);
  return dor_pickle_refuse(p, "'%s.%s' is no part of weights (nothing was run)", shown[0], shown[1]);
}

/* The items of a tuple; NULL when it is none, or has fewer than `least` or more than `most`. */
static const dor_pickle_value *tuple_of(const dor_pickle_value *v, int64_t least, int64_t most)
{
  if (v->kind != DOR_PICKLE_TUPLE || v->items->n < least || v->items->n > most) return NULL;
  static const dor_pickle_value none;
  return v->items->first ? v->items->first->at : &none;
}

/* ---- storages ---- */

static bool digits(const char *s)
{
  size_t n = strspn(s, "0123456789");
  return n && n <= 20 && !s[n];
}

static dor_status find_storage(dor_pickle *p, const dor_pickle_storage *want, dor_pickle_value *out)
{
  int32_t i = dor_intern_find(&p->keys, want->key);
  if (i < 0) {
    WANT(p, p->n_storages < p->most_storages, "more than %d storages", p->most_storages);
    i = dor_intern_put(&p->keys, want->key, NULL);
    p->storage[p->n_storages++] = *want;
  }
  const dor_pickle_storage *is = &p->storage[i];
  WANT(p, is->type == want->type && is->n == want->n, "storage %s is %lld x %s and %lld x %s", is->key, (long long)is->n, dor_tensor_type_name(is->type),
       (long long)want->n, dor_tensor_type_name(want->type));
  *out = (dor_pickle_value){.kind = DOR_PICKLE_STORAGE, .n = i};
  return DOR_OK;
}

dor_status dor_pickle_persistent(dor_pickle *p, const dor_pickle_value *id, dor_pickle_value *out)
{
  const dor_pickle_value *v = tuple_of(id, 5, 6);
  size_t bytes;
  WANT(p, v && dor_pickle_is(&v[0], "storage"), "a persistent id that is no storage");
  bool known = v[1].kind == DOR_PICKLE_CLASS && classes[v[1].n].type < DOR_TENSOR_TYPE_COUNT;
  WANT(p, known && v[3].kind == DOR_PICKLE_TEXT && v[4].kind == DOR_PICKLE_INT, "a storage without type, place or size");
  WANT(p, id->items->n == 5 || v[5].kind == DOR_PICKLE_NONE, "a storage that is a view of another");
  dor_pickle_storage s = {.type = classes[v[1].n].type, .n = v[4].i};
  WANT(p, s.n >= 0 && !__builtin_mul_overflow((uint64_t)s.n, dor_tensor_type_bytes(s.type), &bytes), "a storage of %lld elements", (long long)s.n);
  s.key = v[2].kind == DOR_PICKLE_TEXT && v[2].n <= 20 ? dor_pickle_text(p->arena, &v[2]) : NULL;
  WANT(p, s.key && digits(s.key), "the key of a storage is no number");
  return find_storage(p, &s, out);
}

/* ---- tensors ---- */

/* The first `rank` whole numbers of a tuple, none negative. */
static bool counts(const dor_pickle_value *v, int64_t rank, int64_t out[DOR_TENSOR_RANK])
{
  const dor_pickle_value *at = tuple_of(v, rank, rank);
  for (int64_t i = 0; at && i < rank; i++) {
    if (at[i].kind != DOR_PICKLE_INT || at[i].i < 0) return false;
    out[i] = at[i].i;
  }
  return at != NULL;
}

/* Is every element of the view inside its storage? Checked by the last one: strides are not negative. */
static bool inside(const dor_pickle_tensor *t, int64_t n)
{
  int64_t last = t->offset, step;
  for (int32_t i = 0; i < t->rank; i++)
    if (!t->dim[i]) return t->offset <= n;
  for (int32_t i = 0; i < t->rank; i++)
    if (__builtin_mul_overflow(t->dim[i] - 1, t->stride[i], &step) || __builtin_add_overflow(last, step, &last)) return false;
  return last < n;
}

static dor_status rebuild_tensor(dor_pickle *p, const dor_pickle_value *args, dor_pickle_value *out)
{
  const dor_pickle_value *v = tuple_of(args, 6, 7);
  WANT(p, v && v[0].kind == DOR_PICKLE_STORAGE && v[1].kind == DOR_PICKLE_INT && v[2].kind == DOR_PICKLE_TUPLE, "a tensor without storage, offset or size");
  WANT(p, args->items->n == 6 || v[6].kind == DOR_PICKLE_NONE || (v[6].kind == DOR_PICKLE_DICT && !v[6].items->n),
       "a tensor with properties of its own (conjugate or negative view)");
  int64_t rank = v[2].items->n;
  WANT(p, rank <= DOR_TENSOR_RANK, "a tensor of %lld dimensions, at most %d are read", (long long)rank, DOR_TENSOR_RANK);
  dor_pickle_tensor *t = dor_arena_alloc(p->arena, sizeof *t);
  DOR_NEED(t, NOMEM, "%s: no memory for its tensors", p->file);
  *t = (dor_pickle_tensor){.storage = v[0].n, .rank = (int32_t)rank, .offset = v[1].i};
  WANT(p, t->offset >= 0 && counts(&v[2], rank, t->dim) && counts(&v[3], rank, t->stride), "a tensor whose offset, size or strides are no counts");
  const dor_pickle_storage *s = &p->storage[t->storage];
  WANT(p, inside(t, s->n), "a tensor that leaves its storage %s of %lld elements", s->key, (long long)s->n);
  *out = (dor_pickle_value){.kind = DOR_PICKLE_TENSOR, .tensor = t};
  return DOR_OK;
}

static dor_status rebuild_parameter(const dor_pickle *p, const dor_pickle_value *args, dor_pickle_value *out)
{
  const dor_pickle_value *v = tuple_of(args, 3, 3);
  WANT(p, v && v[0].kind == DOR_PICKLE_TENSOR, "a parameter that is no tensor");
  *out = v[0];
  return DOR_OK;
}

static dor_status empty_dict(const dor_pickle *p, dor_pickle_value *out)
{
  dor_pickle_items *made = dor_arena_alloc(p->arena, sizeof *made);
  DOR_NEED(made, NOMEM, "%s: no memory for a dictionary", p->file);
  *out = (dor_pickle_value){.kind = DOR_PICKLE_DICT, .items = made};
  return DOR_OK;
}

dor_status dor_pickle_call(dor_pickle *p, const dor_pickle_value *class, const dor_pickle_value *args, dor_pickle_value *out)
{
  WANT(p, class->kind == DOR_PICKLE_CLASS && args->kind == DOR_PICKLE_TUPLE, "a call of something that is no class");
  if (class->n == REBUILD_TENSOR) return rebuild_tensor(p, args, out);
  if (class->n == REBUILD_PARAMETER) return rebuild_parameter(p, args, out);
  WANT(p, class->n == ORDERED_DICT && !args->items->n, "'%s.%s' is not called that way", classes[class->n].module, classes[class->n].name);
  return empty_dict(p, out);
}

/* HigherHRNet's half-precision checkpoints keep the object that scaled their losses: numbers that a weight file has no use for. */
dor_status dor_pickle_object(dor_pickle *p, const dor_pickle_value *class, const dor_pickle_value *args, dor_pickle_value *out)
{
  WANT(p, class->kind == DOR_PICKLE_CLASS && args->kind == DOR_PICKLE_TUPLE, "an object of something that is no class");
  const bool scaler = class->n == LOSS_SCALER || class->n == DYNAMIC_LOSS_SCALER;
  WANT(p, scaler && !args->items->n, "an object of '%s.%s' is not made", classes[class->n].module, classes[class->n].name);
  return empty_dict(p, out);
}
