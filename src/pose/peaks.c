/* SPDX-License-Identifier: Apache-2.0
 *
 * Peaks of heat maps. One pass finds the largest heat of each run of pixels; only
 * runs that reach the threshold are looked at pixel by pixel. */
#include <math.h>

#include "pose/group_parts.h"

enum { LANES = 8 };

float dor_largest(const float *v, int32_t n, float sign)
{
  float lane[LANES];
  int32_t i = 0;
  for (int32_t l = 0; l < LANES; l++) lane[l] = -INFINITY;
  for (; i + LANES <= n; i += LANES) {
#pragma omp simd
    for (int32_t l = 0; l < LANES; l++) lane[l] = sign * v[i + l] > lane[l] ? sign * v[i + l] : lane[l];
  }
  for (; i < n; i++) lane[0] = sign * v[i] > lane[0] ? sign * v[i] : lane[0];
  for (int32_t l = 1; l < LANES; l++) lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
  return lane[0];
}

static bool is_peak(const dor_maps *m, const float *heat, int32_t half, int32_t at)
{
  int32_t y = at / m->w, x = at % m->w;
  int32_t y0 = y > half ? y - half : 0, y1 = y + half < m->h ? y + half : m->h - 1;
  int32_t x0 = x > half ? x - half : 0, x1 = x + half < m->w ? x + half : m->w - 1;
  for (int32_t i = y0; i <= y1; i++)
    for (int32_t j = x0; j <= x1; j++)
      if (heat[i * m->w + j] > heat[at]) return false;
  return true;
}

/* ---- the highest `most` of a map, as torch.topk chooses and orders them on a CPU ----
 * A heap whose first is the lowest. Which of equal heats come first depends on how it is kept, so it is kept in the same way: a hole
 * sinks to the bottom past the lower children (the right one if they are equal), then the value rises from there. */

static void settle(dor_peak *heap, int32_t n, int32_t hole, dor_peak value)
{
  int32_t top = hole, child;
  while ((child = 2 * hole + 1) < n) {
    if (child + 1 < n && !(heap[child + 1].heat > heap[child].heat)) child++;
    heap[hole] = heap[child];
    hole = child;
  }
  for (int32_t parent; hole > top && heap[parent = (hole - 1) / 2].heat > value.heat; hole = parent) heap[hole] = heap[parent];
  heap[hole] = value;
}

static void make_heap(dor_peak *heap, int32_t n)
{
  for (int32_t i = n / 2 - 1; i >= 0; i--) settle(heap, n, i, heap[i]);
}

static void sort_heap(dor_peak *heap, int32_t n) /* highest first */
{
  while (n > 1) {
    dor_peak last = heap[--n];
    heap[n] = heap[0];
    settle(heap, n, 0, last);
  }
}

/* What is left of a pixel's heat when all but peaks are put out. */
static float peak_heat(const dor_maps *m, const float *heat, int32_t half, int32_t at) { return is_peak(m, heat, half, at) ? heat[at] : 0; }

static void search(const dor_maps *m, const dor_pose_cfg *c, dor_peaks *out, int32_t k)
{
  const float *heat = dor_heat(m, k), *top = out->top + (size_t)k * (size_t)out->runs;
  dor_peak *heap = out->at + (size_t)k * (size_t)out->most;
  int32_t size = m->h * m->w, half = (int32_t)c->nms / 2;
  for (int32_t i = 0; i < out->most; i++) heap[i] = (dor_peak){i, peak_heat(m, heat, half, i)};
  make_heap(heap, out->most);
  for (int32_t r = 0; r < out->runs; r++) {
    int32_t to = (r + 1) * DOR_RUN < size ? (r + 1) * DOR_RUN : size;
    if (!(top[r] > heap[0].heat) && heap[0].heat >= 0) continue;
    for (int32_t i = r * DOR_RUN > out->most ? r * DOR_RUN : out->most; i < to; i++) {
      if (!(heat[i] > heap[0].heat) && heap[0].heat >= 0) continue;
      dor_peak p = {i, peak_heat(m, heat, half, i)};
      if (p.heat > heap[0].heat) settle(heap, out->most, 0, p);
    }
  }
  sort_heap(heap, out->most);
  while (out->n[k] < out->most && (double)heap[out->n[k]].heat > c->detection) out->n[k]++;
}

static void survey(const dor_maps *m, dor_peaks *out, int32_t k)
{
  int32_t size = m->h * m->w;
  float *top = out->top + (size_t)k * (size_t)out->runs;
  for (int32_t r = 0; r < out->runs; r++) {
    int32_t from = r * DOR_RUN;
    top[r] = dor_largest(dor_heat(m, k) + from, from + DOR_RUN < size ? DOR_RUN : size - from, 1);
  }
}

static dor_status check_finite(const dor_maps *m, const dor_peaks *p)
{
  for (int32_t k = 0; k < m->k; k++)
    for (int32_t i = 0; i < p->n[k]; i++) {
      dor_peak x = p->at[(size_t)k * (size_t)p->most + (size_t)i];
      bool fine = isfinite(x.heat);
      for (int32_t t = 0; t < m->t; t++) fine = fine && isfinite(dor_tag(m, t, k)[x.at]);
      DOR_NEED(fine, NUMERIC, "the network's maps of joint %d are not finite at x %d, y %d", k, x.at % m->w, x.at / m->w);
    }
  return DOR_OK;
}

dor_status dor_peaks_find(const dor_maps *m, const dor_pose_cfg *c, int32_t threads, dor_arena *a, dor_peaks *out)
{
  int32_t size = m->h * m->w;
  size_t k = (size_t)m->k;
  *out = (dor_peaks){.most = c->people < size ? (int32_t)c->people : size, .runs = (size + DOR_RUN - 1) / DOR_RUN};
  out->at = dor_arena_alloc(a, k * (size_t)out->most * sizeof *out->at);
  out->n = dor_arena_alloc(a, k * sizeof *out->n);
  out->top = dor_arena_alloc(a, k * (size_t)out->runs * sizeof *out->top);
  DOR_NEED(out->at && out->n && out->top, NOMEM, "peaks of %d maps", m->k);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int32_t j = 0; j < m->k; j++) {
    survey(m, out, j);
    search(m, c, out, j);
  }
  return check_finite(m, out);
}
