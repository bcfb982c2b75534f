/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameter table <-> tensors. Everything is matched and looked at before the
 * first number is written, so a file that does not fit leaves the weights as they
 * were; weights that are not finite are refused: nothing downstream looks again. */
#include "weights/weights.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/calls.h"
#include "base/intern.h"
#include "base/io.h"
#include "base/mem.h"
#include "weights/pth.h"

static const size_t max_bytes = (size_t)8 << 30;

/* ---- files ---- */

static bool is_safetensors(const void *bytes, size_t size) { return size > 8 && ((const char *)bytes)[8] == '{'; }

static dor_status refuse_unknown(const char *name, const unsigned char *b, size_t size)
{
  char text[9] = "", shown[40];
  DOR_NEED(size, DATA, "%s: an empty file", name);
  memcpy(text, b, size < 8 ? size : 8);
  DOR_NEED(*b != '<', DATA, "%s: a web page, not weights: the download went wrong", name);
  DOR_NEED(strncmp(text, "version ", 8), DATA, "%s: a Git LFS pointer, not the file itself: git lfs pull", name);
  return DOR_FAIL(DATA, "%s: neither PyTorch weights nor safetensors: it begins with '%s'", name, dor_printable(text, shown, sizeof shown));
}

dor_status dor_weights_parse(dor_tensors *out, const char *name, const void *bytes, size_t size)
{
  *out = (dor_tensors){0};
  if (dor_pth_is(bytes, size)) return dor_pth_parse(out, name, bytes, size);
  if (is_safetensors(bytes, size)) return dor_tensors_parse(out, name, bytes, size);
  return refuse_unknown(name, bytes, size);
}

dor_status dor_weights_read(dor_tensors *out, const char *path)
{
  char *file;
  size_t size;
  *out = (dor_tensors){0};
  DOR_TRY(dor_io_read(path, max_bytes, &file, &size));
  dor_status s = dor_weights_parse(out, path, file, size);
  if (s) return dor_free(file), s;
  out->file = file, out->size = size;
  return DOR_OK;
}

bool dor_weights_is(const char *path)
{
  char b[16];
  int fd = dor_io.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  ssize_t n = fd < 0 ? -1 : dor_io.read(fd, b, sizeof b);
  if (fd >= 0) dor_io.close(fd);
  return n > 0 && (dor_pth_is(b, (size_t)n) || is_safetensors(b, (size_t)n));
}

/* ---- out of the table ---- */

static char *block_of(const dor_param *p, const void *param_block, const void *state_block)
{
  return (char *)(uintptr_t)(p->spec.state ? state_block : param_block) + p->offset;
}

/* A counter is i32 in memory and, as PyTorch's num_batches_tracked, i64 in files. */
static dor_status collect_counter(dor_arena *a, const dor_param *q, const void *memory, const char *name, dor_tensor *out)
{
  int64_t *file = dor_arena_alloc(a, sizeof *file);
  DOR_NEED(file, NOMEM, "no memory to write parameter '%s'", q->spec.name);
  *file = *(const int32_t *)memory;
  *out = (dor_tensor){.name = name, .type = DOR_TENSOR_I64, .rank = 0, .data = file, .bytes = sizeof *file};
  return DOR_OK;
}

dor_status dor_weights_collect(dor_arena *a, const dor_params *p, const char *prefix, const void *param_block, const void *state_block, dor_tensor *out)
{
  for (int32_t i = 0; i < p->n; i++) {
    const dor_param *q = &p->at[i];
    dor_shape shape = dor_param_file_shape(q);
    size_t bytes = (size_t)dor_shape_size(shape) * sizeof(float);
    float *file = dor_arena_alloc(a, bytes);
    char *name = dor_arena_fmt(a, "%s%s", prefix, q->spec.name);
    DOR_NEED(file && name, NOMEM, "no memory to write parameter '%s'", q->spec.name);
    if (q->spec.dtype == DOR_I32) {
      DOR_TRY(collect_counter(a, q, block_of(q, param_block, state_block), name, &out[i]));
      continue;
    }
    dor_param_to_file(q, (const float *)(const void *)block_of(q, param_block, state_block), file);
    out[i] = (dor_tensor){.name = name, .type = DOR_TENSOR_F32, .rank = shape.n, .data = file, .bytes = bytes};
    for (int32_t k = 0; k < shape.n; k++) out[i].dim[k] = shape.d[k];
  }
  return DOR_OK;
}

/* ---- into the table ---- */

typedef struct match {         /* of a table and a file */
  const dor_params *p;
  const dor_tensors *t;
  const char *prefix, *path;
  dor_arena scratch;
  int32_t *tensor;             /* [p->n] which has its name; -1: none */
  bool *fits;                  /* [p->n] and its shape */
  bool *known;                 /* [t->n] its name stands in the table, or it is passed over */
  dor_weights_tally tally;
} match;

/* A counter is one whole number, whatever its shape. */
static bool fits_in(const dor_tensor *t, const dor_param *q)
{
  dor_shape s = dor_param_file_shape(q);
  if (q->spec.dtype == DOR_I32) return t->type == DOR_TENSOR_I64 && t->bytes == sizeof(int64_t);
  bool same = t->rank == s.n;
  for (int32_t i = 0; same && i < s.n; i++) same = t->dim[i] == s.d[i];
  return same;
}

bool dor_weights_has(const dor_param *q, const char *prefix, const dor_tensors *t)
{
  size_t n = strlen(prefix);
  for (int32_t i = 0; i < t->n; i++)
    if (!strncmp(t->at[i].name, prefix, n) && !strcmp(t->at[i].name + n, q->spec.name)) return fits_in(&t->at[i], q);
  return false;
}

/* Not ours: another prefix, or the counter of batches that PyTorch keeps beside running statistics. */
static bool passed_over(const match *m, const char *name)
{
  static const char counter[] = "num_batches_tracked";
  size_t n = strlen(name), k = sizeof counter - 1;
  return strncmp(name, m->prefix, strlen(m->prefix)) || (n >= k && !strcmp(name + n - k, counter));
}

static dor_status find_all(match *m)
{
  dor_intern names;
  int32_t n = m->t->n, *of = dor_arena_alloc(&m->scratch, ((size_t)n + 1) * sizeof *of);
  m->tensor = dor_arena_alloc(&m->scratch, ((size_t)m->p->n + 1) * sizeof *m->tensor);
  m->known = dor_arena_alloc(&m->scratch, ((size_t)n + 1) * sizeof *m->known);
  m->fits = dor_arena_alloc(&m->scratch, ((size_t)m->p->n + 1) * sizeof *m->fits);
  DOR_NEED(of && m->tensor && m->fits && m->known, NOMEM, "%s: no memory to match %d tensors", m->path, n);
  DOR_TRY(dor_intern_init(&names, &m->scratch, n));
  for (int32_t i = 0; i < n; i++) of[dor_intern_put(&names, m->t->at[i].name, NULL)] = i;
  for (int32_t i = 0; i < m->p->n; i++) {
    const dor_param *q = &m->p->at[i];
    const char *name = dor_arena_fmt(&m->scratch, "%s%s", m->prefix, q->spec.name);
    DOR_NEED(name, NOMEM, "%s: no memory to match %d tensors", m->path, n);
    int32_t k = dor_intern_find(&names, name);
    bool fits = m->fits[i] = k >= 0 && fits_in(&m->t->at[of[k]], q);
    m->tensor[i] = k >= 0 ? of[k] : -1;
    if (k >= 0) m->known[of[k]] = true;
    m->tally.loaded += fits, m->tally.misfit += k >= 0 && !fits, m->tally.missing += k < 0 && q->spec.dtype != DOR_I32;
  }
  for (int32_t i = 0; i < n; i++) {
    m->known[i] = m->known[i] || passed_over(m, m->t->at[i].name);
    m->tally.unexpected += !m->known[i];
  }
  return DOR_OK;
}

/* ---- what does not fit, in words ---- */

enum { NAMED = 3 };            /* of each kind */

static void say_missing(const match *m, const char *const unexpected[], dor_str *out)
{
  int32_t shown = 0;
  for (int32_t i = 0; i < m->p->n && shown <= NAMED; i++) {
    const char *name = m->p->at[i].spec.name;
    if (m->tensor[i] >= 0 || m->p->at[i].spec.dtype == DOR_I32) continue;
    if (shown++ == NAMED) {
      dor_str_add(out, ", ...");
      continue;
    }
    const char *near = dor_nearest(name, unexpected, (size_t)m->tally.unexpected);
    dor_str_fmt(out, "%s'%.100s%.100s'", shown > 1 ? ", " : "", m->prefix, name);
    if (near) dor_str_fmt(out, " (there is '%.100s')", near);
  }
}

static void say_misfits(const match *m, dor_str *out)
{
  dor_tensor_text is;
  dor_shape_text want;
  int32_t shown = 0;
  for (int32_t i = 0; i < m->p->n && shown <= NAMED; i++) {
    const dor_tensor *t = m->tensor[i] < 0 ? NULL : &m->t->at[m->tensor[i]];
    if (!t || m->fits[i]) continue;
    if (shown++ == NAMED) dor_str_add(out, ", ...");
    else dor_str_fmt(out, "%s'%.100s' is %s, wanted %s", shown > 1 ? ", " : "", t->name, dor_tensor_shape(t, is),
                     dor_shape_print(dor_param_file_shape(&m->p->at[i]), want));
  }
}

static dor_status refuse_misfit(match *m)
{
  dor_str s = {0};
  int32_t n = 0;
  const char **unexpected = dor_arena_alloc(&m->scratch, ((size_t)m->tally.unexpected + 1) * sizeof *unexpected);
  DOR_NEED(unexpected, NOMEM, "%s: no memory to match %d tensors", m->path, m->t->n);
  for (int32_t i = 0; i < m->t->n; i++)
    if (!m->known[i]) unexpected[n++] = m->t->at[i].name + strlen(m->prefix);
  const dor_weights_tally *y = &m->tally;
  if (y->misfit) dor_str_fmt(&s, "%d of another shape: ", y->misfit), say_misfits(m, &s);
  if (y->missing) dor_str_fmt(&s, "%s%d of %d missing: ", s.n ? "; " : "", y->missing, m->p->n), say_missing(m, unexpected, &s);
  if (y->unexpected) dor_str_fmt(&s, "%s%d that the model does not have: ", s.n ? "; " : "", y->unexpected);
  for (int32_t i = 0; i < n && i < NAMED; i++) dor_str_fmt(&s, "%s'%.100s%.100s'", i ? ", " : "", m->prefix, unexpected[i]);
  if (n > NAMED) dor_str_add(&s, ", ...");
  dor_status status = DOR_FAIL(DATA, "%s: these weights do not fit the model: %s", m->path, s.s ? s.s : "out of memory for why");
  dor_str_release(&s);
  return status;
}

static dor_status refuse_element(const char *path, const dor_tensor *t, int64_t at)
{
  dor_tensor_text place;
  return DOR_FAIL(NUMERIC, "%s: tensor '%s': element %s is not finite", path, t->name, dor_tensor_place(t, at, place));
}

/* ---- numbers into the blocks ---- */

static int64_t count_in(const dor_tensor *t)
{
  int64_t n;
  memcpy(&n, t->data, sizeof n);
  return n;
}

static dor_status look_at_all(match *m, int64_t *most)
{
  *most = 0;
  for (int32_t i = 0; i < m->p->n; i++) {
    if (!m->fits[i]) continue;
    const dor_tensor *t = &m->t->at[m->tensor[i]];
    int64_t bad, n = dor_shape_size(m->p->at[i].spec.shape);
    if (m->p->at[i].spec.dtype == DOR_I32) {
      DOR_NEED(count_in(t) >= 0 && count_in(t) <= INT32_MAX, DATA, "%s: tensor '%s' counts %lld batches", m->path, t->name, (long long)count_in(t));
      continue;
    }
    DOR_TRY(dor_tensor_finite(t, &bad));
    if (bad >= 0) return refuse_element(m->path, t, bad);
    m->tally.narrowed += t->type != DOR_TENSOR_F32;
    if (n > *most) *most = n;
  }
  return DOR_OK;
}

static dor_status write_all(match *m, void *param_block, void *state_block)
{
  int64_t most;
  DOR_TRY(look_at_all(m, &most));
  float *file = dor_arena_alloc(&m->scratch, (size_t)most * sizeof *file);
  DOR_NEED(file, NOMEM, "%s: no memory for a tensor of %lld numbers", m->path, (long long)most);
  for (int32_t i = 0; i < m->p->n; i++) {
    const dor_param *q = &m->p->at[i];
    const dor_tensor *t = m->fits[i] ? &m->t->at[m->tensor[i]] : NULL;
    void *to = block_of(q, param_block, state_block);
    if (q->spec.dtype == DOR_I32) *(int32_t *)to = t ? (int32_t)count_in(t) : 0;
    if (!t || q->spec.dtype == DOR_I32) continue;
    DOR_TRY(dor_tensor_floats(t, 0, dor_shape_size(q->spec.shape), file));
    dor_param_from_file(q, file, to);
  }
  return DOR_OK;
}

dor_status dor_weights_fill(const dor_params *p, const char *prefix, const dor_tensors *t, const char *path, dor_weights_mode mode, void *param_block,
                            void *state_block, dor_weights_tally *tally)
{
  match m = {.p = p, .t = t, .prefix = prefix, .path = path};
  dor_status s = find_all(&m);
  const dor_weights_tally *y = &m.tally;
  bool fits = mode == DOR_WEIGHTS_ALL ? !y->missing && !y->misfit && !y->unexpected : y->loaded > 0;
  if (!s && !fits) s = refuse_misfit(&m);
  if (!s) s = write_all(&m, param_block, state_block);
  if (tally) *tally = m.tally;
  dor_arena_release(&m.scratch);
  return s;
}

/* ---- as float ---- */

static dor_status widen(dor_arena *a, const dor_tensor *t, const char *path, dor_tensor *out)
{
  int64_t bad, n = (int64_t)(t->bytes / dor_tensor_type_bytes(t->type));
  DOR_TRY(dor_tensor_finite(t, &bad));
  if (bad >= 0) return refuse_element(path, t, bad);
  *out = *t;
  if (!dor_tensor_type_real(t->type) || t->type == DOR_TENSOR_F32) return DOR_OK;
  float *x = dor_arena_alloc(a, (size_t)n * sizeof *x);
  DOR_NEED(x, NOMEM, "%s: tensor '%s': no memory for its %lld numbers", path, t->name, (long long)n);
  out->type = DOR_TENSOR_F32, out->data = x, out->bytes = (size_t)n * sizeof *x;
  return dor_tensor_floats(t, 0, n, x);
}

dor_status dor_weights_as_float(dor_arena *a, const dor_tensors *t, const char *path, dor_tensor *out, dor_weights_change *change)
{
  *change = (dor_weights_change){0};
  for (int32_t i = 0; i < t->n; i++) {
    const dor_tensor *q = &t->at[i];
    DOR_TRY(widen(a, q, path, &out[i]));
    change->numbers += (int64_t)(q->bytes / dor_tensor_type_bytes(q->type));
    change->from_f16 += q->type == DOR_TENSOR_F16, change->from_bf16 += q->type == DOR_TENSOR_BF16, change->from_f64 += q->type == DOR_TENSOR_F64;
  }
  return DOR_OK;
}
