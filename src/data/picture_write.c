/* SPDX-License-Identifier: Apache-2.0
 *
 * Pixels as a picture file, whole or not at all. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/picture.h"

enum { QUALITY = 92, HEAD = 33, MOST_TAG = 200 }; /* HEAD: a PNG's signature and its first chunk */

static size_t length(const char *tag) { return tag ? strnlen(tag, MOST_TAG) : 0; }

static void put_u32(uint8_t *to, uint32_t x)
{
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* A tEXt chunk after the first one; bytes has room for it. */
static size_t put_comment(char *bytes, size_t size, const char *tag)
{
  static const char key[] = "tEXtComment";
  uint8_t chunk[sizeof key + MOST_TAG + 8];
  const size_t n = length(tag), body = sizeof key + n;
  if (!n) return 0;
  memcpy(chunk + 4, key, sizeof key);
  memcpy(chunk + 4 + sizeof key, tag, n);
  put_u32(chunk, (uint32_t)(body - 4));
  put_u32(chunk + 4 + body, (uint32_t)crc32(0, chunk + 4, (uInt)body));
  memmove(bytes + HEAD + body + 8, bytes + HEAD, size - HEAD);
  memcpy(bytes + HEAD, chunk, body + 8);
  return body + 8;
}

static dor_status write_png(const char *path, const dor_picture *p, const char *tag)
{
  png_image im = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)p->w, .height = (png_uint_32)p->h};
  im.format = p->c == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(im);
  char *bytes = dor_calloc(1, size + MOST_TAG + 32);
  DOR_NEED(bytes, NOMEM, "%s: %d x %d pixels", path, p->h, p->w);
  dor_status s = png_image_write_to_memory(&im, bytes, &size, 0, p->pixels, 0, NULL) ? DOR_OK : DOR_FAIL(NOMEM, "%s: %s", path, im.message);
  if (!s) s = dor_io_write(path, bytes, size + put_comment(bytes, size, tag));
  dor_free(bytes);
  return s;
}

typedef struct packer {
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr errors;
  jmp_buf out;
  unsigned char *bytes;          /* libjpeg's own memory */
  unsigned long size;
  char message[JMSG_LENGTH_MAX];
} packer;

static void stop(j_common_ptr c)
{
  packer *k = c->client_data;
  k->errors.format_message(c, k->message);
  longjmp(k->out, 1);
}

static void pack(packer *k, const dor_picture *p, const char *tag)
{
  jpeg_create_compress(&k->c);
  k->c.client_data = k;
  jpeg_mem_dest(&k->c, &k->bytes, &k->size);
  k->c.image_width = (JDIMENSION)p->w, k->c.image_height = (JDIMENSION)p->h;
  k->c.input_components = p->c, k->c.in_color_space = p->c == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&k->c);
  jpeg_set_quality(&k->c, QUALITY, TRUE);
  k->c.comp_info[0].h_samp_factor = k->c.comp_info[0].v_samp_factor = 1; /* colour as sharp as light */
  jpeg_start_compress(&k->c, TRUE);
  if (length(tag)) jpeg_write_marker(&k->c, JPEG_COM, (const JOCTET *)tag, (unsigned)length(tag));
  while (k->c.next_scanline < k->c.image_height) {
    JSAMPROW row = p->pixels + (size_t)k->c.next_scanline * (size_t)p->w * (size_t)p->c;
    jpeg_write_scanlines(&k->c, &row, 1);
  }
  jpeg_finish_compress(&k->c);
}

static dor_status write_jpeg(const char *path, const dor_picture *p, const char *tag)
{
  packer *k = dor_calloc(1, sizeof *k);
  DOR_NEED(k, NOMEM, "%s: a coder", path);
  dor_status s = DOR_OK;
  k->c.err = jpeg_std_error(&k->errors);
  k->errors.error_exit = stop;
  k->c.client_data = k;
  if (setjmp(k->out)) s = DOR_FAIL(NOMEM, "%s: no JPEG: %s", path, k->message);
  else pack(k, p, tag);
  if (!s) s = dor_io_write(path, k->bytes, k->size);
  jpeg_destroy_compress(&k->c);
  free(k->bytes);
  dor_free(k);
  return s;
}

dor_status dor_picture_write(const char *path, const dor_picture *p, const char *tag)
{
  const char *dot = strrchr(path, '.');
  DOR_NEED(dor_picture_name(path), ARG, "%s: pictures are written as .png or .jpg", path);
  return strcasecmp(dot, ".png") ? write_jpeg(path, p, tag) : write_png(path, p, tag);
}
