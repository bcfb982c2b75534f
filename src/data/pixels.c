/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pixels.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

/* In units of 1/o of an input pixel, input pixel y covers [y o, y o + o) and output pixel Y covers [Y n, Y n + n): overlaps are integers. */
static int64_t overlap(int64_t in, int64_t out, int64_t n, int64_t o)
{
  int64_t lo = in * o > out * n ? in * o : out * n;
  int64_t hi = in * o + o < out * n + n ? in * o + o : out * n + n;
  return hi - lo;
}

/* Sum the input rows under output row oy, weighted: sum [w*c] */
static void sum_rows(int32_t h, size_t row, const uint8_t *in, int32_t oh, int32_t oy, uint32_t *sum)
{
  int32_t first = (int32_t)((int64_t)oy * h / oh), last = (int32_t)(((int64_t)(oy + 1) * h - 1) / oh);
  for (size_t i = 0; i < row; i++) sum[i] = 0;
  for (int32_t y = first; y <= last; y++) {
    const uint8_t *p = in + (size_t)y * row;
    uint32_t weight = (uint32_t)overlap(y, oy, h, oh);
    for (size_t i = 0; i < row; i++) sum[i] += weight * p[i];
  }
}

dor_status dor_pixels_resize(int32_t h, int32_t w, int32_t c, const uint8_t *in, int32_t oh, int32_t ow, uint8_t *out)
{
  const size_t row = (size_t)w * (size_t)c;
  uint32_t *sum = dor_calloc(row, sizeof *sum);
  DOR_NEED(sum, NOMEM, "resize of a row of %d pixels", w);
  const uint64_t area = (uint64_t)h * (uint64_t)w;
  for (int32_t oy = 0; oy < oh; oy++) {
    sum_rows(h, row, in, oh, oy, sum);
    for (int32_t ox = 0; ox < ow; ox++) {
      int32_t first = (int32_t)((int64_t)ox * w / ow), last = (int32_t)(((int64_t)(ox + 1) * w - 1) / ow);
      for (int32_t k = 0; k < c; k++) {
        uint64_t s = area / 2;
        for (int32_t x = first; x <= last; x++) s += (uint64_t)overlap(x, ox, w, ow) * sum[(size_t)x * (size_t)c + (size_t)k];
        *out++ = (uint8_t)(s / area);
      }
    }
  }
  dor_free(sum);
  return DOR_OK;
}

void dor_pixels_orient(int32_t h, int32_t w, int32_t c, const uint8_t *in, int orientation, uint8_t *out)
{
  const bool turned = orientation >= 5, up = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool left = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int32_t oh = turned ? w : h, ow = turned ? h : w;
  for (int32_t y = 0; y < oh; y++)
    for (int32_t x = 0; x < ow; x++, out += c) {
      int32_t row = turned ? x : y, col = turned ? y : x;
      if (up) row = h - 1 - row;
      if (left) col = w - 1 - col;
      memcpy(out, in + ((size_t)row * (size_t)w + (size_t)col) * (size_t)c, (size_t)c);
    }
}

static double phase_at(int32_t count, const float *phase, int32_t i) { return phase ? (double)phase[i] : (i + 0.5) / count; }

void dor_pixels_even(int32_t count, const float *phase, int32_t n, int32_t *out)
{
  int32_t at = 0;
  for (int32_t i = 0; i < n; i++, at++) {
    double want = (i + 0.5) / n;
    int32_t last = count - (n - i); /* leaves a frame for each of the others */
    while (at < last && fabs(phase_at(count, phase, at + 1) - want) < fabs(phase_at(count, phase, at) - want) + 1e-6) at++; /* rounding decides no tie */
    out[i] = at;
  }
}

void dor_pixels_unit(size_t n, const uint8_t *in, float *out)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) out[i] = (float)in[i] / 255.0f;
}
