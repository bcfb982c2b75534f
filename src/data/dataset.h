/* SPDX-License-Identifier: Apache-2.0
 *
 * A dataset in memory: what a dorsum HDF5 file (version 1) holds. Subjects carry
 * pseudonyms only. Numbers that are missing are NaN, texts that are missing "",
 * indices that are missing -1: never 0. Frames of all trials lie end to end;
 * first[] and count[] find a trial. */
#ifndef DOR_DATA_DATASET_H
#define DOR_DATA_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/status.h"

typedef enum dor_target_kind { DOR_TARGET_CLASS, DOR_TARGET_ORDERED, DOR_TARGET_VALUE } dor_target_kind;
typedef enum dor_per { DOR_PER_SUBJECT, DOR_PER_TRIAL, DOR_PER_IMAGE } dor_per;

typedef struct dor_target {
  const char *name;
  dor_target_kind kind;
  dor_per per;
  int32_t n, n_names;          /* labelled things; class names */
  const char *const *names;    /* class names, in index order */
  const float *value;          /* [n] class index or number; NaN: not labelled */
} dor_target;

typedef struct dor_items {     /* columns of a table */
  int32_t n;
  const char *const *name, *const *unit;
  const float *min, *max;      /* NaN: not stated; may be NULL */
} dor_items;

typedef struct dor_table {     /* /proms (one row per subject) and /tables/NAME */
  const char *name;
  int32_t n;
  dor_items items;
  const int32_t *subject;      /* [n] */
  const float *values;         /* [n, items.n] */
} dor_table;

typedef struct dor_frames {    /* /silhouettes/NAME, /images/NAME */
  const char *name;
  int32_t n, h, w, c;
  const uint8_t *data;         /* [n,h,w,c]; silhouettes: 255 = person, c = 1 */
  const int32_t *first, *count; /* [trials]; NULL for images */
  const float *phase;          /* [n] of silhouettes: 0 upright .. .5 deepest .. 1 upright; may be NULL */
  const int32_t *subject;      /* [n] of images */
  const char *const *view;     /* [n] of images; may be NULL */
} dor_frames;

typedef struct dor_series {    /* /keypoints/NAME [n,k,a], /angles/NAME [n] */
  const char *name, *axes;     /* "x y conf" ; angles: NULL */
  int32_t n, k, a;
  const float *data;
  const int32_t *first, *count; /* [trials] */
  const char *const *joint;    /* [k] */
  const int32_t *parent;       /* [k], -1 at the root; may be NULL */
  const char *definition, *unit; /* angles */
  const double *time_s;        /* [n] of keypoints: from the start of the trial's video, increasing; NULL: not kept */
  const uint8_t *state;        /* [n,k] of keypoints: 0 not seen, 1 filled between two sightings, 2 seen; NULL: not kept */
} dor_series;

typedef struct dor_dataset {
  dor_arena arena;
  const char *name, *license, *created_by;
  char source_sha256[DOR_HASH_HEX], sha256[DOR_HASH_HEX]; /* of the source; of this file's bytes */
  bool synthetic;
  const char *stamp;           /* of the weights that found what is in it: "SYNTHETIC QUICK"; NULL or "": none */

  int32_t n_subjects;
  const char *const *id;       /* pseudonyms */
  const float *age;            /* years; NULL: no such column */
  const char *const *sex, *const *site; /* NULL: no such column */
  const int32_t *group;        /* folds keep a group whole and intervals resample it; NULL: each subject its own */

  int32_t n_targets;
  const dor_target *target;
  dor_table proms;             /* items.n == 0: none */

  int32_t n_trials;
  const int32_t *trial_subject;
  const char *const *movement, *const *side; /* "forward", ... ; camera side or "" */
  const float *fps, *width, *height;

  int32_t n_silhouettes, n_images, n_keypoints, n_angles, n_tables;
  const dor_frames *silhouettes, *images;
  const dor_series *keypoints, *angles;
  const dor_table *tables;
} dor_dataset;

/* Read and check a file (reliability.md 4.4: hard links only, allowed classes and filters, sizes checked).
 * errors DATA "file: /path/in/file: what", IO */
DOR_MUST dor_status dor_dataset_read(dor_dataset *d, const char *path);
/* Write: built in memory by libhdf5's core driver, then one atomic write of ours. Same dataset, same bytes. Sets d->sha256. */
DOR_MUST dor_status dor_dataset_write(dor_dataset *d, const char *path);
void dor_dataset_release(dor_dataset *d);

/* May so many things of so many bytes be made here? A dataset is built whole in memory, and packed there beside itself: a quarter of the
 * machine's memory is the bound. errors NOMEM with both figures and the advice */
DOR_MUST dor_status dor_dataset_room(uint64_t things, uint64_t bytes_each, const char *what, const char *advice);

/* Is it usable? Shapes, indices in range, finite where it must be, ids unique. errors DATA naming subject row and field */
DOR_MUST dor_status dor_dataset_validate(const dor_dataset *d);

const dor_target *dor_dataset_target(const dor_dataset *d, const char *name);

#endif
