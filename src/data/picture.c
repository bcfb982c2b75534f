/* SPDX-License-Identifier: Apache-2.0 */
#include "data/picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <png.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/exif.h"
#include "data/pixels.h"

static const char stamp[] = "SYNTHETIC";

enum { MOST_SCANS = 100 };

static dor_status check_size(const char *path, uint64_t h, uint64_t w)
{
  DOR_NEED(h > 0 && w > 0 && h <= DOR_PICTURE_SIDE && w <= DOR_PICTURE_SIDE && h * w <= DOR_PICTURE_PIXELS, DATA,
      "%s: %llu x %llu pixels, at most %d a side and %d in all", path, (unsigned long long)h,
           (unsigned long long)w, DOR_PICTURE_SIDE, DOR_PICTURE_PIXELS);
  return DOR_OK;
}

static dor_status room(const char *path, int32_t h, int32_t w, int32_t c, dor_picture *out)
{
  DOR_TRY(check_size(path, (uint64_t)h, (uint64_t)w));
  *out = (dor_picture){.h = h, .w = w, .c = c, .pixels = dor_calloc((size_t)h * (size_t)w, (size_t)c)};
  DOR_NEED(out->pixels, NOMEM, "%s: %d x %d pixels", path, h, w);
  return DOR_OK;
}

/* As libjpeg weighs them, so that one picture is one grey in both formats. */
static void to_grey(dor_picture *p)
{
  const uint8_t *in = p->pixels;
  size_t n = (size_t)p->h * (size_t)p->w;
  for (size_t i = 0; i < n; i++, in += 3) p->pixels[i] = (uint8_t)((19595u * in[0] + 38470u * in[1] + 7471u * in[2] + 32768u) >> 16);
  p->c = 1;
}

static dor_status turn(const char *path, int orientation, dor_picture *p)
{
  dor_picture t = {.h = p->h, .w = p->w, .c = p->c};
  if (orientation == 1) return DOR_OK;
  if (orientation >= 5) t.h = p->w, t.w = p->h;
  DOR_TRY(room(path, t.h, t.w, t.c, &t));
  dor_pixels_orient(p->h, p->w, p->c, p->pixels, orientation, t.pixels);
  dor_free(p->pixels);
  *p = t;
  return DOR_OK;
}

/* ---- PNG ---- */

/* libpng would mix colours to grey by the light they give, which is another grey than luma. */
static dor_status png_pixels(const char *path, png_image *im, int32_t channels, dor_picture *out)
{
  bool grey = channels == 1 && !(im->format & PNG_FORMAT_FLAG_COLOR);
  DOR_TRY(check_size(path, im->height, im->width));
  im->format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  im->flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* 16 bits are as bright as 8, unless the file says otherwise */
  DOR_TRY(room(path, (int32_t)im->height, (int32_t)im->width, grey ? 1 : 3, out));
  if (png_image_finish_read(im, NULL, out->pixels, 0, NULL)) {
    if (out->c != channels) to_grey(out);
    return DOR_OK;
  }
  dor_free(out->pixels);
  out->pixels = NULL;
  return DOR_FAIL(DATA, "%s: damaged PNG: %s", path, im->message);
}

/* Does a comment among the chunks begin with the stamp? */
static bool png_is_synthetic(const uint8_t *b, size_t size)
{
  static const char key[] = "tEXtComment";
  const size_t n = sizeof stamp - 1;
  for (size_t at = 8; at + 12 <= size;) {
    const size_t body = (size_t)b[at] << 24 | (size_t)b[at + 1] << 16 | (size_t)b[at + 2] << 8 | b[at + 3];
    if (body > size - at - 12) return false;
    if (body >= sizeof key - 4 + n && !memcmp(b + at + 4, key, sizeof key) && !memcmp(b + at + 4 + sizeof key, stamp, n)) return true;
    at += 12 + body;
  }
  return false;
}

static dor_status read_png(const char *path, const char *bytes, size_t size, int32_t channels, dor_picture *out)
{
  png_image im = {.version = PNG_IMAGE_VERSION};
  DOR_NEED(png_image_begin_read_from_memory(&im, bytes, size), DATA, "%s: no readable PNG: %s", path, im.message);
  dor_status s = png_pixels(path, &im, channels, out);
  png_image_free(&im);
  if (!s) out->synthetic = png_is_synthetic((const uint8_t *)bytes, size);
  return s;
}

/* ---- JPEG ---- */

typedef struct jpeg {
  struct jpeg_decompress_struct d;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf out;
  char message[JMSG_LENGTH_MAX];
} jpeg;

static void jpeg_stop(j_common_ptr c)
{
  jpeg *j = c->client_data;
  j->errors.format_message(c, j->message);
  longjmp(j->out, 1);
}

static void jpeg_message(j_common_ptr c, int level)
{
  if (level < 0) jpeg_stop(c);
}

/* A small file can ask for thousands of passes over a large picture. */
static void jpeg_watch(j_common_ptr c)
{
  jpeg *j = c->client_data;
  if (j->d.input_scan_number <= MOST_SCANS) return;
  snprintf(j->message, sizeof j->message, "more than %d scans", MOST_SCANS);
  longjmp(j->out, 1);
}

static dor_status jpeg_orientation(const char *path, const jpeg *j, int *out)
{
  *out = 1;
  for (jpeg_saved_marker_ptr m = j->d.marker_list; m && *out == 1; m = m->next)
    if (m->marker == JPEG_APP0 + 1) DOR_TRY(dor_exif_orientation(path, m->data, m->data_length, out));
  return DOR_OK;
}

static bool jpeg_is_synthetic(const jpeg *j)
{
  const size_t n = sizeof stamp - 1;
  for (jpeg_saved_marker_ptr m = j->d.marker_list; m; m = m->next)
    if (m->marker == JPEG_COM && m->data_length >= n && !memcmp(m->data, stamp, n)) return true;
  return false;
}

static dor_status jpeg_rows(const char *path, jpeg *j, int32_t channels, bool upright, dor_picture *out)
{
  int orientation = 1;
  if (upright) jpeg_save_markers(&j->d, JPEG_APP0 + 1, 0xffff);
  jpeg_save_markers(&j->d, JPEG_COM, sizeof stamp);
  jpeg_read_header(&j->d, TRUE);
  DOR_NEED(j->d.num_components == 1 || j->d.num_components == 3, DATA, "%s: a JPEG of %d colours%s; grey and RGB are read", path, j->d.num_components,
           j->d.num_components == 4 ? " (CMYK)" : "");
  DOR_TRY(check_size(path, j->d.image_height, j->d.image_width));
  DOR_TRY(jpeg_orientation(path, j, &orientation));
  j->d.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  j->d.dct_method = JDCT_ISLOW;
  DOR_TRY(room(path, (int32_t)j->d.image_height, (int32_t)j->d.image_width, channels, out));
  jpeg_start_decompress(&j->d);
  while (j->d.output_scanline < j->d.output_height) {
    JSAMPROW row = out->pixels + (size_t)j->d.output_scanline * (size_t)out->w * (size_t)channels;
    jpeg_read_scanlines(&j->d, &row, 1);
  }
  const bool synthetic = jpeg_is_synthetic(j);
  jpeg_finish_decompress(&j->d);
  DOR_TRY(turn(path, orientation, out));
  out->synthetic = synthetic;
  return DOR_OK;
}

static dor_status jpeg_failed(const char *path, const jpeg *j)
{
  if (!j->d.output_height) return DOR_FAIL(DATA, "%s: damaged JPEG, in its headers: %s", path, j->message);
  return DOR_FAIL(DATA, "%s: damaged JPEG, at row %u of %u: %s", path, j->d.output_scanline, j->d.output_height, j->message);
}

static dor_status read_jpeg(const char *path, const char *bytes, size_t size, int32_t channels, bool upright, dor_picture *out)
{
  jpeg *j = dor_calloc(1, sizeof *j);
  DOR_NEED(j, NOMEM, "%s: a decoder", path);
  dor_status s;
  j->d.err = jpeg_std_error(&j->errors);
  j->errors.error_exit = jpeg_stop;
  j->errors.emit_message = jpeg_message;
  j->d.client_data = j;
  if (setjmp(j->out)) s = jpeg_failed(path, j);
  else {
    jpeg_create_decompress(&j->d);
    j->d.client_data = j;
    j->d.mem->max_memory_to_use = 512L << 20;
    j->progress.progress_monitor = jpeg_watch;
    j->d.progress = &j->progress;
    jpeg_mem_src(&j->d, (const unsigned char *)bytes, (unsigned long)size);
    s = jpeg_rows(path, j, channels, upright, out);
  }
  jpeg_destroy_decompress(&j->d);
  dor_free(j);
  if (!s) return DOR_OK;
  dor_free(out->pixels);
  *out = (dor_picture){0};
  return s;
}

bool dor_picture_name(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

static dor_status read_file(const char *path, int32_t channels, bool upright, dor_picture *out)
{
  char *bytes;
  size_t size;
  *out = (dor_picture){0};
  DOR_TRY(dor_io_read(path, DOR_PICTURE_BYTES, &bytes, &size));
  dor_status s;
  if (size > 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8)) s = read_png(path, bytes, size, channels, out);
  else if (size > 3 && !memcmp(bytes, "\xff\xd8\xff", 3)) s = read_jpeg(path, bytes, size, channels, upright, out);
  else s = size ? DOR_FAIL(DATA, "%s: neither PNG nor JPEG", path) : DOR_FAIL(DATA, "%s: an empty file, no picture", path);
  dor_free(bytes);
  DOR_TRY(s);
  return DOR_OK;
}

dor_status dor_picture_read(const char *path, int32_t channels, dor_picture *out) { return read_file(path, channels, true, out); }
dor_status dor_picture_read_stored(const char *path, int32_t channels, dor_picture *out) { return read_file(path, channels, false, out); }
