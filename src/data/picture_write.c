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

#include "base/io.h"
#include "base/mem.h"
#include "data/picture.h"

enum { QUALITY = 92 };

static dor_status write_png(const char *path, const dor_picture *p)
{
  png_image im = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)p->w, .height = (png_uint_32)p->h};
  im.format = p->c == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(im);
  char *bytes = dor_calloc(1, size);
  DOR_NEED(bytes, NOMEM, "%s: %d x %d pixels", path, p->h, p->w);
  dor_status s = png_image_write_to_memory(&im, bytes, &size, 0, p->pixels, 0, NULL) ? DOR_OK : DOR_FAIL(NOMEM, "%s: %s", path, im.message);
  if (!s) s = dor_io_write(path, bytes, size);
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

static void pack(packer *k, const dor_picture *p)
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
  while (k->c.next_scanline < k->c.image_height) {
    JSAMPROW row = p->pixels + (size_t)k->c.next_scanline * (size_t)p->w * (size_t)p->c;
    jpeg_write_scanlines(&k->c, &row, 1);
  }
  jpeg_finish_compress(&k->c);
}

static dor_status write_jpeg(const char *path, const dor_picture *p)
{
  packer *k = dor_calloc(1, sizeof *k);
  DOR_NEED(k, NOMEM, "%s: a coder", path);
  dor_status s = DOR_OK;
  k->c.err = jpeg_std_error(&k->errors);
  k->errors.error_exit = stop;
  k->c.client_data = k;
  if (setjmp(k->out)) s = DOR_FAIL(NOMEM, "%s: no JPEG: %s", path, k->message);
  else pack(k, p);
  if (!s) s = dor_io_write(path, k->bytes, k->size);
  jpeg_destroy_compress(&k->c);
  free(k->bytes);
  dor_free(k);
  return s;
}

dor_status dor_picture_write(const char *path, const dor_picture *p)
{
  const char *dot = strrchr(path, '.');
  DOR_NEED(dor_picture_name(path), ARG, "%s: pictures are written as .png or .jpg", path);
  return strcasecmp(dot, ".png") ? write_jpeg(path, p) : write_png(path, p);
}
