/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO annotations (the official JSON layout) and results in memory. The reader
 * is strict: what it cannot place is an error that names file and entry, for
 * instance "val.json: annotations[12] (id 345): no image has id 7". Numbers stay
 * double and in file order, so that masks and scores come out as pycocotools'. */
#ifndef DOR_DATA_COCO_H
#define DOR_DATA_COCO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct dor_coco_category {
  int64_t id;
  const char *name;             /* "person" */
  int32_t k;                    /* keypoints; 0: it has none */
  const char *const *joint;     /* [k] "left_eye" */
  int32_t n_bones;              /* skeleton; 0: not given */
  const int32_t (*bone)[2];     /* [n_bones] pairs of joints, from 0 (files count from 1) */
} dor_coco_category;

typedef struct dor_coco_image {
  int64_t id;
  const char *file;             /* relative to the picture folder; never absolute, never up */
  int32_t h, w;                 /* as the file says */
  double crowd_index;           /* CrowdPose's crowdIndex, 0..1; NaN: not given */
  int32_t first, count;         /* its annotations: dor_coco.of_image[first .. first + count) */
} dor_coco_image;

typedef struct dor_polygon { int32_t n; const double *xy; } dor_polygon; /* [n,2] corners, pixels */

typedef struct dor_segment {    /* polygons or runs; neither where the file gives none */
  int32_t n_polygons, n_runs;
  const dor_polygon *polygon;
  const uint32_t *run;          /* lengths, 0s and 1s in turn, 0s first, down the columns; they sum to the image's h * w */
} dor_segment;

typedef struct dor_coco_annotation {
  int64_t id;
  int32_t image, category;      /* indices */
  const double *keypoint;       /* [k,3] x, y, visibility 0 (not labelled) 1 (hidden) 2; NULL where the category has none */
  int32_t n_labelled;           /* num_keypoints of the file, else counted */
  double area;                  /* NaN: not given (CrowdPose) */
  double bbox[4];               /* x y w h; NaN: not given */
  bool crowd;
  dor_segment segment;
} dor_coco_annotation;

typedef struct dor_coco {
  dor_arena arena;
  const char *path;             /* for messages */
  bool synthetic;               /* info.synthetic of the file: true stamps what is made from it */
  const char *about, *license;  /* info.description; names of the licences, "; " between them; "" */
  int32_t n_categories, n_images, n_annotations;
  const dor_coco_category *category;
  const dor_coco_image *image;          /* in file order */
  const dor_coco_annotation *annotation; /* in file order */
  const int32_t *of_image;      /* [n_annotations] sorted by image, then in file order */
} dor_coco; /* zero-initialised is releasable */

enum { DOR_COCO_JOINTS = 256, DOR_COCO_BYTES = 1 << 30 };

/* errors DATA "file: annotations[12] (id 345): what" (or file:line and byte where it is no JSON), IO, NOTFOUND, NOMEM */
DOR_MUST dor_status dor_coco_read(dor_coco *c, const char *path);
DOR_MUST dor_status dor_coco_parse(dor_coco *c, const char *name, const char *text, size_t size); /* `name` for messages */
void dor_coco_release(dor_coco *c);

int32_t dor_coco_find_image(const dor_coco *c, int64_t id);       /* -1: there is none */
/* The category that is meant: by name, or with NULL the only one that has keypoints. errors DATA naming those there are */
DOR_MUST dor_status dor_coco_person(const dor_coco *c, const char *name, int32_t *category);
/* Is the picture of every image that has an annotation in `folder`? errors NOTFOUND naming image and file, and how many are missing */
DOR_MUST dor_status dor_coco_check_pictures(const dor_coco *c, const char *folder);

typedef struct dor_coco_result { /* a detection */
  int32_t image, category;      /* indices into the ground truth */
  const double *keypoint;       /* [k,3] x, y, and what the detector says of it */
  double score;
  double area, bbox[4];         /* of the box around all k points, as pycocotools' loadRes makes them */
} dor_coco_result;

typedef struct dor_coco_results {
  dor_arena arena;
  int32_t n;
  const dor_coco_result *at;    /* in file order */
  const char *stamp;            /* "SYNTHETIC LEAKS QUICK": what of it stands in some entry's "stamp"; "" */
} dor_coco_results; /* zero-initialised is releasable */

/* [{"image_id", "category_id", "keypoints": [3 k numbers], "score"}, ...], and "stamp" where dorsum wrote it.
 * errors DATA "file: [3]: no image of gt.json has id 7", IO, NOTFOUND */
DOR_MUST dor_status dor_coco_results_read(dor_coco_results *r, const char *path, const dor_coco *truth);
DOR_MUST dor_status dor_coco_results_parse(dor_coco_results *r, const char *name, const char *text, size_t size, const dor_coco *truth);
void dor_coco_results_release(dor_coco_results *r);

/* ---- masks (polygon.c, rle.c): 1 is put where the shape covers, what stands there stays; mask [h,w], row after row ---- */

/* pycocotools' rule: the outline drawn at five times the size, a pixel inside where its centre is. errors NOMEM */
DOR_MUST dor_status dor_polygon_paint(const dor_polygon *p, int32_t h, int32_t w, uint8_t *mask);
/* run [n] sums to h * w */
void dor_rle_paint(int32_t n, const uint32_t *run, int32_t h, int32_t w, uint8_t *mask);
/* COCO's compressed text -> lengths in `a`. errors DATA: a character that cannot be, a negative length, a sum other than h * w; NOMEM */
DOR_MUST dor_status dor_rle_decode(dor_arena *a, const char *text, int32_t h, int32_t w, const uint32_t **run, int32_t *n);
DOR_MUST dor_status dor_segment_paint(const dor_segment *s, int32_t h, int32_t w, uint8_t *mask);

/* What the loss is not asked about: crowds, and people without a labelled keypoint. mask [h,w] of the image: 1 there, else 0. errors NOMEM */
DOR_MUST dor_status dor_coco_ignored(const dor_coco *c, int32_t image, uint8_t *mask);

#endif
