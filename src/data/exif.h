/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thing wanted of EXIF: which way up a camera held its picture. The block
 * is foreign bytes, so every offset is compared with its length before it is used. */
#ifndef DOR_DATA_EXIF_H
#define DOR_DATA_EXIF_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* *out: 1 to 8 of a JPEG's APP1 segment (n bytes after its length); 1 when it is no EXIF or does not say.
 * errors DATA "name: EXIF: what": an EXIF block whose directory lies outside it, or an orientation that is none of the eight */
DOR_MUST dor_status dor_exif_orientation(const char *name, const uint8_t *segment, size_t n, int *out);

#endif
