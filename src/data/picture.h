/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture file as pixels: PNG by libpng, JPEG by libjpeg-turbo. Size limits
 * come before memory, and a warning of the JPEG decoder is an error: what it
 * warns of is a damaged file, and the rest of it would be invented grey. */
#ifndef DOR_DATA_PICTURE_H
#define DOR_DATA_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { DOR_PICTURE_SIDE = 16384, DOR_PICTURE_PIXELS = 64 << 20, DOR_PICTURE_BYTES = 128 << 20 };

typedef struct dor_picture {
  int32_t h, w, c;
  uint8_t *pixels; /* [h,w,c]; free with dor_free */
  bool synthetic;  /* read: it carries the SYNTHETIC tag, a comment that begins with that word */
} dor_picture;

bool dor_picture_name(const char *path); /* does it end in .png, .jpg or .jpeg? */

/* channels: 1 grey (luma, 0.299 R + 0.587 G + 0.114 B) or 3 RGB, 8 bits each; transparent parts are black; the right way up as a JPEG's EXIF
 * says. CMYK is refused. errors DATA "file: what"; IO, NOTFOUND, NOMEM */
DOR_MUST dor_status dor_picture_read(const char *path, int32_t channels, dor_picture *out);
/* As it is stored, EXIF or not: for annotations that count the stored pixels, as COCO's do. */
DOR_MUST dor_status dor_picture_read_stored(const char *path, int32_t channels, dor_picture *out);

/* pixels [h,w,1|3] as PNG or JPEG (quality 92, colours not thinned out), by the name's end; replaces the file. tag: a comment
 * kept in it ("SYNTHETIC: ...", at most 200 bytes), NULL: none. errors IO, NOMEM, ARG: another end */
DOR_MUST dor_status dor_picture_write(const char *path, const dor_picture *p, const char *tag);

#endif
