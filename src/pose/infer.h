/* SPDX-License-Identifier: Apache-2.0
 *
 * A pose network at work: pictures in, people out, in the pictures' own pixels.
 * Programs are bound once for each size of input and kept; pictures of one call
 * may have any sizes, those that lead to one size of input are run together.
 * Used by `dorsum pose`, by video, and by validation during training. */
#ifndef DOR_POSE_INFER_H
#define DOR_POSE_INFER_H

#include "backend/store.h"
#include "data/keypoints.h"
#include "data/picture.h"
#include "nn/nn.h"
#include "pose/group.h"

typedef struct dor_finder dor_finder;

typedef struct dor_finder_model { /* a network in somebody else's memory */
  const dor_backend *backend;  /* NULL: the CPU */
  const dor_model *model;      /* gives maps: coarse [h,w,2K], fine [2h,2w,K] */
  const void *cfg;             /* its settings */
  dor_params *params;          /* the table; programs that are built here find their parameters in it */
  dor_blocks blocks;           /* PARAM and STATE: read at each run, so they may change in between */
  const dor_keypoints *keypoints;
  dor_format precision;        /* of activations */
} dor_finder_model;

/* Weights from a file (.safetensors, .pth). The network's width and number of joints are those of its tensors; keypoints by
 * c->keypoints, else by the file's record, else by their number (17 coco17, 14 crowdpose14). c is copied, its scales too; backend NULL: the CPU.
 * errors DATA naming file and tensor; CONFIG; NOTFOUND, IO, NOMEM */
DOR_MUST dor_status dor_finder_open(dor_finder **out, const char *weights, const dor_pose_cfg *c, const dor_backend *backend);

/* Over a model that is being trained: everything in *m is borrowed and must outlive the net. errors CONFIG, NOMEM */
DOR_MUST dor_status dor_finder_over(dor_finder **out, const dor_finder_model *m, const dor_pose_cfg *c);
void dor_finder_close(dor_finder *net); /* NULL is fine */

typedef struct dor_finder_facts {
  const dor_keypoints *keypoints;
  int32_t size, threads;       /* short side of the input; threads in use */
  int64_t n_params;
  const char *stamp;           /* "SYNTHETIC QUICK" or what of SYNTHETIC, LEAKS, QUICK the weights bear: so does what is made with them; "" */
  const char *record;          /* a line on what they were trained on; "" for dor_finder_over */
  const char *path, *sha256;   /* of the file; "" likewise */
} dor_finder_facts;
const dor_finder_facts *dor_finder_about(const dor_finder *net);

typedef struct dor_finder_times { /* seconds so far */
  double build_s, net_s, aggregate_s, group_s; /* programs; warp and network; maps; people */
  int64_t pictures;
} dor_finder_times;
const dor_finder_times *dor_finder_time(const dor_finder *net);

/* Memory that programs have planned so far, bytes. */
size_t dor_finder_bytes(const dor_finder *net);

/* Find the people in n pictures. Not for two threads at once.
 *
 *   picture  [n] RGB; a picture none is in gives n = 0
 *   people   [n] in `a`: x, y in pixels of the picture as OpenCV counts them, people in the order in which they were found
 *   errors   DATA: a picture that cannot be laid into the input; NUMERIC: maps that are not finite; NOMEM */
DOR_MUST dor_status dor_finder_run(dor_finder *net, int32_t n, const dor_picture *picture, dor_arena *a, dor_people *people);

/* The maps of the picture that was looked at last, until the next run: for tests and for those who draw heat maps. */
const dor_maps *dor_finder_maps(const dor_finder *f);

#endif
