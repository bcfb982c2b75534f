/* SPDX-License-Identifier: Apache-2.0
 *
 * How well keypoints were found. Object keypoint similarity and the ten figures of
 * COCO exactly as pycocotools makes them (its order of summing, its ties, its
 * rules for what is ignored); CrowdPose's figures as its own tool; and PCK. Plain
 * arrays: whoever has people in memory can ask. */
#ifndef DOR_EVAL_KEYPOINT_H
#define DOR_EVAL_KEYPOINT_H

#include "data/coco.h"
#include "eval/eval.h"

typedef struct dor_kp_truth {  /* annotated people */
  int32_t n, k, n_images;
  const int32_t *image;        /* [n] 0..n_images-1: images in the order of their ids, people of one image in file order */
  const double *joint;         /* [n,K,3] x, y, v: labelled where v > 0 */
  const double *box;           /* [n,4] x, y, width, height */
  const double *area;          /* [n] pixels */
  const uint8_t *crowd;        /* [n] a crowd: ignored, and may be found many times */
  const int32_t *labelled;     /* [n] num_keypoints of the annotation: 0 is ignored */
  const double *sigma;         /* [K] how sharply each joint can be placed */
} dor_kp_truth;

typedef struct dor_kp_found {  /* detections */
  int32_t n;
  const int32_t *image;        /* [n] in any order; equal scores keep this order */
  const double *joint;         /* [n,K,3] x, y, what the detector says of it (not looked at) */
  const double *score;         /* [n] */
} dor_kp_found;

/* [n_images] the place of each image in the order of ids, which the figures' images stand in; in `a`. errors NOMEM */
DOR_MUST dor_status dor_kp_places(dor_arena *a, const dor_coco *c, int32_t **out);
/* From files, in `a`: everything of one category. crowdpose: a person's area is .53 of the box, as that tool has it.
 * errors DATA naming the annotation that has no box where one is needed; NOMEM */
DOR_MUST dor_status dor_kp_truth_of(dor_arena *a, const dor_coco *c, int32_t category, const double *sigma, bool crowdpose, dor_kp_truth *out);
/* [n_images] crowdIndex in the order of dor_kp_truth's images, in `a`; NULL when an image has none. */
DOR_MUST dor_status dor_kp_crowd_of(dor_arena *a, const dor_coco *c, const double **out);
DOR_MUST dor_status dor_kp_found_of(dor_arena *a, const dor_coco *c, const dor_coco_results *r, int32_t category, int32_t k, dor_kp_found *out);

enum { DOR_OKS_THRESHOLDS = 10, DOR_OKS_RECALLS = 101, DOR_OKS_MOST = 20 }; /* .50 .55 ... .95; 0 .01 ... 1; detections of an image */

typedef enum dor_kp_area { DOR_KP_ALL, DOR_KP_MEDIUM, DOR_KP_LARGE, DOR_KP_AREAS } dor_kp_area; /* 32^2 to 96^2 pixels; from 96^2 */

typedef struct dor_kp_figure { /* what to average */
  const char *name;            /* "AP50" */
  dor_kp_area area;
  int32_t threshold;           /* 0: .50 ... 9: .95; -1: the mean of all ten */
  bool recall;                 /* average recall, else average precision */
  const uint8_t *only;         /* [n_images] images that count; NULL: all */
} dor_kp_figure;

enum { DOR_KP_AP = 0, DOR_KP_COCO = 10, DOR_KP_CROWDPOSE = 9, DOR_KP_MOST = 10 }; /* AP's row; rows of each list */
extern const dor_kp_figure dor_kp_coco[DOR_KP_COCO]; /* AP AP50 AP75 AP-M AP-L AR AR50 AR75 AR-M AR-L, as pycocotools prints them */
/* CrowdPose's: AP AP50 AP75 AR AR50 AR75 AP-E AP-M AP-H, the last three over easy, medium and hard images.
 * crowd [n_images] crowdIndex in the order of truth: below .01 is easy, below .85 medium (its tool's limits). In `a`. errors NOMEM */
DOR_MUST dor_status dor_kp_crowdpose(dor_arena *a, int32_t n_images, const double *crowd, dor_kp_figure out[DOR_KP_CROWDPOSE]);

typedef struct dor_kp_rules {  /* whose figures, and which people are judged how */
  bool crowdpose;              /* CrowdPose's: areas are .53 of the box */
  int32_t n;
  dor_kp_figure figure[DOR_KP_MOST];
} dor_kp_rules;
enum { DOR_KP_RULES_AUTO, DOR_KP_RULES_COCO, DOR_KP_RULES_CROWDPOSE };
/* auto: CrowdPose's where every image has a crowdIndex. Masks in `a`. errors DATA: CrowdPose's asked for without one; NOMEM */
DOR_MUST dor_status dor_kp_rules_of(dor_arena *a, const dor_coco *c, int32_t rules, dor_kp_rules *out);

typedef struct dor_kp_matches { /* what became of the detections: the counts that all figures are made from */
  int32_t n_images, n;         /* n: detections that count, at most 20 an image */
  const int32_t *image;        /* [n] best score first, equal ones in the order of images */
  const uint16_t *hit[DOR_KP_AREAS], *ignored[DOR_KP_AREAS]; /* [n] bit t: at threshold t */
  const int32_t *people[DOR_KP_AREAS]; /* [n_images] who count */
} dor_kp_matches;

/* Indices in range and numbers finite? errors RANGE, NUMERIC naming person or detection */
DOR_MUST dor_status dor_kp_check(const dor_kp_truth *t, const dor_kp_found *d);
/* 0..n-1 by image, order kept: list [n]; those of image i begin at first[i] and end at first[i + 1]. first [n_images + 1] */
void dor_kp_by_image(int32_t n, const int32_t *image, int32_t n_images, int32_t *first, int32_t *list);

/* Similarity of one detection to one person, in 0..1. Without labelled joints: the distance to the doubled box. */
double dor_oks(int32_t k, const double *sigma, const double *truth, const double *box, double area, const double *found);

/* Assign detections to people, image by image, in the arena. errors RANGE: an image index; NUMERIC: a score or place is not finite; NOMEM
 * source pycocotools 2.0.8, cocoeval.py; Lin et al., ECCV 2014 */
DOR_MUST dor_status dor_kp_match_all(dor_arena *a, const dor_kp_truth *t, const dor_kp_found *d, dor_kp_matches *out);

/* n figures of the images; NaN where nobody counts (pycocotools prints -1).
 *
 *   times   [n_images] how often each image is drawn (a bootstrap); NULL: once
 *   errors  NOMEM */
DOR_MUST dor_status dor_kp_figures(const dor_kp_matches *m, int32_t n, const dor_kp_figure *figure, const int32_t *times, double *out);

/* Percentile intervals of the figures: images drawn anew, with all that is in them; NaN where all replicates are equal. errors NOMEM */
DOR_MUST dor_status dor_kp_intervals(const dor_kp_matches *m, int32_t n, const dor_kp_figure *figure, int32_t replicates, uint64_t seed, double level,
                                     dor_interval *out);

/* Share of labelled joints found within alpha x the person's reference length, people and detections paired one to one, best
 * similarity first; joints of people who were not found are misses, crowds are left out.
 *
 *   reference  [n] pixels, e.g. the longer side of the box; NaN leaves the person out
 *   hit, all   [K,n_images] counts, in the arena: k/n of each joint, and what a bootstrap over images resamples
 *   source     Yang & Ramanan, TPAMI 2013 */
typedef struct dor_pck {
  int32_t k, n_images;
  int64_t *hit, *all;
} dor_pck;
DOR_MUST dor_status dor_pck_count(dor_arena *a, const dor_kp_truth *t, const dor_kp_found *d, const double *reference, double alpha, dor_pck *out);

#endif
