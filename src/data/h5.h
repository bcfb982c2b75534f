/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reader and the writer of dataset files share: the version, the limits
 * that the writer keeps and the reader enforces, and libhdf5's error text. */
#ifndef DOR_DATA_H5_H
#define DOR_DATA_H5_H

#include <hdf5.h>

#include "base/status.h"

enum {
  DOR_H5_VERSION = 1,
  DOR_H5_RANK = 8,               /* dimensions of a dataset */
  DOR_H5_DEPTH = 16,             /* groups inside groups */
  DOR_H5_OBJECTS = 100000,
  DOR_H5_TEXT = 1024,            /* bytes of a fixed-length string */
  DOR_H5_ATTRIBUTE = 64 * 1024,  /* bytes of an attribute */
  DOR_H5_RATIO = 1000            /* declared bytes over stored bytes, above 64 MiB */
};

/* From now on libhdf5 loads no plugins and prints nothing: the innermost message of its last failure on this thread is kept. */
void dor_h5_quiet(void);
const char *dor_h5_text(void);

/* A name for a file in memory, new each time: libhdf5 takes two with one name for the same file, also when a damaged one would not close. */
const char *dor_h5_name(char out[64]);

/* Walk everything reachable from the root and refuse what a dataset may not hold (reliability.md 4.4), before any
 * of it is read. `name` is the file's, for messages. errors DATA "name: /path: what" */
DOR_MUST dor_status dor_h5_guard(hid_t file, const char *name, size_t max_bytes);

#endif
