/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the synthetic cohort: a person as numbers, their body at a moment of a
 * bend, and its outline as pixels. Sagittal plane, metres, x forward, y up,
 * angles in degrees, forward positive. For synth*.c and their tests. */
#ifndef DOR_DATA_SYNTH_BODY_H
#define DOR_DATA_SYNTH_BODY_H

#include "base/rng.h"
#include "data/synth.h"

typedef struct dor_synth_facts {
#define FACT(name, ...) double name;
#include "data/synth_facts.def"
#undef FACT
} dor_synth_facts;
extern const dor_synth_facts dor_synth_fact;

enum { DOR_SYNTH_FORWARD, DOR_SYNTH_BACKWARD, DOR_SYNTH_MOVEMENTS };

enum {
#define JOINT(name, parent) DOR_JOINT_##name,
#include "data/synth_joints.def"
#undef JOINT
  DOR_SYNTH_JOINTS
};

typedef struct dor_synth_person {
  bool ep, mci, rated_ep, rated_mci;           /* the truth, and what the rater says */
  bool female;
  double age, bmi, height_m;
  double lumbar, pelvis;                       /* peak of the forward bend */
  double lordosis, extension, upper;           /* standing; peak of the backward bend; upper lumbar flexion throughout */
  double flexion_low, extension_low;           /* lower lumbar part of the lumbar motion */
  double band1;                                /* lumbar part of the first 30 degrees */
  double hip_extension, kyphosis;
  double thorax[DOR_SYNTH_MOVEMENTS], neck[DOR_SYNTH_MOVEMENTS], knee[DOR_SYNTH_MOVEMENTS], arm[DOR_SYNTH_MOVEMENTS];
  double duration_s[DOR_SYNTH_MOVEMENTS];
  double odi, tsk11, nrs;                      /* NaN: missing */
  double shank, thigh, spine, arm_length;      /* lengths over their share of the height */
  double scale, place_m;                       /* camera */
} dor_synth_person;

/* Person k of a cohort. */
void dor_synth_draw(const dor_synth_cfg *c, int32_t k, dor_synth_person *out);

typedef struct dor_point { double x, y; } dor_point;

enum { DOR_SYNTH_LUMBAR = 6, DOR_SYNTH_THORAX = 8, DOR_SYNTH_SPINE = DOR_SYNTH_LUMBAR + DOR_SYNTH_THORAX + 1 };

typedef struct dor_synth_body {
  double height_m, girth;                      /* girth: 1 at a BMI of 25 */
  dor_point joint[DOR_SYNTH_JOINTS];
  dor_point spine[DOR_SYNTH_SPINE];            /* S1 .. T12 .. base of the neck */
  dor_point heel, toe, head, hand;             /* of the near side */
} dor_synth_body;

/* The body at a phase (0 upright, .5 deepest, 1 upright), standing so that its centre of mass is over the feet. */
void dor_synth_pose(const dor_synth_person *p, int32_t movement, double phase, dor_synth_body *out);
/* Move the landmarks as a segmentation would: SD sd_m. */
void dor_synth_jitter(dor_synth_body *b, double sd_m, dor_rng *r);
/* Forward flexion: 180 - the angle at the hip between neck and ankle, negative when the neck is behind. */
double dor_synth_flexion(const dor_synth_body *b);
double dor_synth_flexion_shoulders(const dor_synth_body *b); /* the same with the middle of the shoulders for the neck */

typedef struct dor_synth_camera { double px_per_m, x0, y0; } dor_synth_camera; /* picture x = x0 + s x, y = y0 - s y */
dor_synth_camera dor_synth_view(const dor_synth_person *p, int32_t side_px);
/* out [side,side]: 255 = person; grey at the edge, as from resizing a larger mask. */
void dor_synth_raster(const dor_synth_body *b, dor_synth_camera c, int32_t side, uint8_t *out);

/* ---- pictures ---- */

typedef enum dor_synth_ink { DOR_INK_SKIN, DOR_INK_HAIR, DOR_INK_SHIRT, DOR_INK_TROUSERS, DOR_INK_SHOE, DOR_INKS } dor_synth_ink;
typedef struct dor_synth_paint_of { float rgb[3], stripe[3], stripes; } dor_synth_paint_of; /* 0..255; stripes 0: plain */

typedef struct dor_synth_look {  /* what a person wears, and the room they are filmed in */
  dor_synth_paint_of ink[DOR_INKS];
  double sleeve, leg;            /* how far they reach: 0 none, 1 to the elbow or knee, 2 to the wrist or ankle */
} dor_synth_look;

/* Clothes of person k: theirs alone, in every trial. */
void dor_synth_dress(const dor_synth_cfg *c, int32_t k, dor_synth_look *out);
/* The empty room of person k, rgb [side,side,3]: wall, floor, furniture. */
void dor_synth_room(const dor_synth_cfg *c, int32_t k, int32_t side, uint8_t *rgb);
/* Paint the dressed person over it. */
void dor_synth_paint(const dor_synth_body *b, dor_synth_camera camera, const dor_synth_look *look, int32_t side, uint8_t *rgb);
/* The noise of a sensor, SD about `sd` of 255, anew for each `where`. rgb [n] */
void dor_synth_grain(const dor_synth_cfg *c, uint64_t where, double sd, size_t n, uint8_t *rgb);

#endif
