/* SPDX-License-Identifier: Apache-2.0
 *
 * The articulated body. The pelvis and the spine turn as drawn for the person;
 * legs keep the centre of mass over the feet; lengths are shares of the height
 * (Drillis and Contini 1966), masses those of Winter, Biomechanics, table 4.1. */
#include <math.h>

#include "data/synth_body.h"

static const dor_synth_facts *const F = &dor_synth_fact;

/* Lengths as shares of the height. */
static const double ankle_up = 0.039, shank = 0.246, thigh = 0.245, lumbar = 0.105, thorax = 0.168, neck = 0.055, head = 0.060;
static const double upper_arm = 0.186, forearm = 0.146, hand = 0.080, heel_back = 0.035, toe_ahead = 0.105;
static const double s1_up = 0.055, s1_back = 0.018;     /* from the hip, standing */
static const double far_back = 0.012, far_up = 0.004;   /* the far limbs: a stance, and what perspective lifts */

typedef struct posture {         /* absolute angles from the vertical, forward positive */
  double pelvis, knee, ankle;    /* knee: flexion; ankle: lean of the shank */
  double bend[DOR_SYNTH_SPINE - 1]; /* of each segment against the one below; the first against the pelvis */
  double head, arm, elbow, fore; /* arm: absolute, or against the thorax when folded; fore: part of the forearm's length seen */
  bool folded;
} posture;

static double radians(double deg) { return deg * (3.14159265358979323846 / 180); }

/* The end of a segment that leans forward by deg. */
static dor_point along(dor_point from, double length, double deg)
{
  return (dor_point){from.x + length * sin(radians(deg)), from.y + length * cos(radians(deg))};
}

/* How deep, 0..1: minimum jerk down in the first half and up in the second. */
static double depth_at(double phase)
{
  double u = phase < 0.5 ? 2 * phase : 2 - 2 * phase;
  return u * u * u * (10 + u * (6 * u - 15));
}

/* Lumbar flexion by the first t degrees of trunk flexion, before it is scaled to the person's: Esola's bands. */
static double lumbar_of(double t, double band1)
{
  return band1 * fmin(t, 30) + F->band2 * fmin(fmax(t - 30, 0), 30) + F->band3 * fmax(t - 60, 0);
}

typedef struct motion { double pelvis, lumbar, low; } motion; /* turned so far; lower part of the lumbar turn */

static motion move(const dor_synth_person *p, int32_t movement, double depth)
{
  if (movement == DOR_SYNTH_BACKWARD) return (motion){-p->hip_extension * pow(depth, F->hip_lag), -p->extension * depth, p->extension_low};
  const double peak = p->lumbar + p->pelvis, trunk = depth * peak;
  const double turned = p->lumbar * lumbar_of(trunk, p->band1) / lumbar_of(peak, p->band1);
  return (motion){trunk - turned, turned, p->flexion_low};
}

/* Lordosis tilts the sacrum one way and the thorax the other by halves, so that people stand upright. */
static void bend_spine(const dor_synth_person *p, motion m, double thorax_turn, posture *out)
{
  const int32_t half = DOR_SYNTH_LUMBAR / 2;
  for (int32_t i = 0; i < DOR_SYNTH_LUMBAR; i++) {
    const double lordosis = p->lordosis * (i < half ? F->lordosis_low : 1 - F->lordosis_low);
    const double turn = m.lumbar * (i < half ? m.low : 1 - m.low) + (i < half ? 0 : p->upper / 2);
    out->bend[i] = (turn - lordosis) / half;
  }
  for (int32_t i = 0; i < DOR_SYNTH_THORAX; i++)
    out->bend[DOR_SYNTH_LUMBAR + i] = (p->kyphosis + thorax_turn) / DOR_SYNTH_THORAX + (i < half ? p->upper / 2 / half : 0);
  out->bend[0] += p->lordosis / 2 - p->upper / 2;
}

static posture posture_at(const dor_synth_person *p, int32_t movement, double phase)
{
  const double depth = depth_at(phase);
  const motion m = move(p, movement, depth);
  posture out = {.pelvis = m.pelvis, .knee = 2 + p->knee[movement] * depth};
  bend_spine(p, m, p->thorax[movement] * depth, &out);
  out.head = 0.9 * (m.pelvis + m.lumbar) + (p->thorax[movement] + p->neck[movement]) * depth;
  out.folded = movement == DOR_SYNTH_BACKWARD; /* over the chest; forward the arms hang */
  out.arm = p->arm[movement] + (out.folded ? 152 : 184 - 4 * depth), out.elbow = out.folded ? -150 : -12, out.fore = out.folded ? 0.6 : 1;
  return out;
}

static void build_legs(const dor_synth_person *p, const posture *s, dor_synth_body *b)
{
  const double h = p->height_m;
  const dor_point ankle = {p->place_m, ankle_up * h};
  const dor_point knee = along(ankle, shank * p->shank * h, s->ankle), hip = along(knee, thigh * p->thigh * h, s->ankle - s->knee);
  b->joint[DOR_JOINT_right_ankle] = ankle, b->joint[DOR_JOINT_right_knee] = knee, b->joint[DOR_JOINT_right_hip] = hip;
  b->heel = (dor_point){ankle.x - heel_back * h, 0.022 * h};
  b->toe = (dor_point){ankle.x + toe_ahead * h, 0.012 * h};
}

static void build_trunk(const dor_synth_person *p, const posture *s, dor_synth_body *b)
{
  const double h = p->height_m * p->spine;
  dor_point at = along(b->joint[DOR_JOINT_right_hip], s1_up * p->height_m, s->pelvis);
  at = along(at, s1_back * p->height_m, s->pelvis - 90);
  double lean = s->pelvis;
  b->spine[0] = at;
  for (int32_t i = 0; i < DOR_SYNTH_SPINE - 1; i++) {
    lean += s->bend[i];
    at = along(at, h * (i < DOR_SYNTH_LUMBAR ? lumbar / DOR_SYNTH_LUMBAR : thorax / DOR_SYNTH_THORAX), lean);
    b->spine[i + 1] = at;
  }
  b->joint[DOR_JOINT_s1] = b->spine[0], b->joint[DOR_JOINT_t12] = b->spine[DOR_SYNTH_LUMBAR], b->joint[DOR_JOINT_neck] = at;
}

static void build_head(const dor_synth_person *p, const posture *s, dor_synth_body *b)
{
  const double h = p->height_m, lean = s->head;
  const dor_point skull = along(b->joint[DOR_JOINT_neck], neck * h, lean + 18);
  b->head = along(skull, head * h, lean + 8);
  const dor_point ear = along(skull, 0.035 * h, lean + 8), eye = along(along(ear, 0.052 * h, lean + 90), 0.008 * h, lean);
  b->joint[DOR_JOINT_right_ear] = b->joint[DOR_JOINT_left_ear] = ear;
  b->joint[DOR_JOINT_right_eye] = b->joint[DOR_JOINT_left_eye] = eye;
  b->joint[DOR_JOINT_nose] = along(along(ear, 0.072 * h, lean + 90), 0.010 * h, lean + 180);
}

static void build_arms(const dor_synth_person *p, const posture *s, dor_synth_body *b)
{
  const double l = p->height_m * p->arm_length;
  const int32_t level = DOR_SYNTH_SPINE - 3;           /* T3, thereabouts */
  const dor_point a = b->spine[level - 1], c = b->spine[level];
  const double lean = atan2(c.x - a.x, c.y - a.y) / radians(1);
  const double arm = s->arm + (s->folded ? lean : 0);
  const dor_point shoulder = along(c, 0.018 * p->height_m, lean + 90), elbow = along(shoulder, upper_arm * l, arm);
  b->joint[DOR_JOINT_right_shoulder] = shoulder, b->joint[DOR_JOINT_right_elbow] = elbow;
  b->joint[DOR_JOINT_right_wrist] = along(elbow, s->fore * forearm * l, arm + s->elbow);
  b->hand = along(b->joint[DOR_JOINT_right_wrist], s->fore * hand * l, arm + s->elbow * 1.1);
}

static void build_far_side(dor_synth_body *b)
{
  static const int32_t pair[][2] = {{DOR_JOINT_left_shoulder, DOR_JOINT_right_shoulder}, {DOR_JOINT_left_elbow, DOR_JOINT_right_elbow},
                                    {DOR_JOINT_left_wrist, DOR_JOINT_right_wrist}, {DOR_JOINT_left_hip, DOR_JOINT_right_hip},
                                    {DOR_JOINT_left_knee, DOR_JOINT_right_knee}, {DOR_JOINT_left_ankle, DOR_JOINT_right_ankle}};
  for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
    const dor_point near = b->joint[pair[i][1]];
    b->joint[pair[i][0]] = (dor_point){near.x - far_back * b->height_m, near.y + far_up * b->height_m};
  }
}

static double middle(dor_point a, dor_point b, double share) { return a.x + share * (b.x - a.x); }

/* Horizontal place of the centre of mass; shares of the body's mass and where they act (Winter). */
static double mass_centre(const dor_synth_body *b)
{
  const dor_point *j = b->joint, mid = b->spine[DOR_SYNTH_LUMBAR / 2], t12 = b->spine[DOR_SYNTH_LUMBAR];
  const double ahead = 0.03 * b->height_m;             /* the trunk's mass lies before the spine */
  return 0.029 * middle(b->heel, b->toe, 0.5) + 0.093 * middle(j[DOR_JOINT_right_knee], j[DOR_JOINT_right_ankle], 0.433)
    + 0.2 * middle(j[DOR_JOINT_right_hip], j[DOR_JOINT_right_knee], 0.433) + 0.142 * middle(j[DOR_JOINT_right_hip], j[DOR_JOINT_s1], 0.6)
    + 0.139 * (mid.x + ahead) + 0.216 * (middle(t12, j[DOR_JOINT_neck], 0.5) + ahead) + 0.081 * b->head.x
    + 0.056 * middle(j[DOR_JOINT_right_shoulder], j[DOR_JOINT_right_elbow], 0.436)
    + 0.032 * middle(j[DOR_JOINT_right_elbow], j[DOR_JOINT_right_wrist], 0.43) + 0.012 * b->hand.x;
}

static void build(const dor_synth_person *p, const posture *s, dor_synth_body *b)
{
  build_legs(p, s, b);
  build_trunk(p, s, b);
  build_head(p, s, b);
  build_arms(p, s, b);
}

void dor_synth_pose(const dor_synth_person *p, int32_t movement, double phase, dor_synth_body *out)
{
  posture s = posture_at(p, movement, phase);
  *out = (dor_synth_body){.height_m = p->height_m, .girth = sqrt(p->bmi / 25)};
  const double over = p->place_m + 0.03 * p->height_m;  /* a little before the ankle */
  for (int32_t i = 0; i < 6; i++) {                     /* leaning by one degree moves all above the ankle by about leg x mass */
    build(p, &s, out);
    const double lever = radians(0.87 * (shank + 0.9 * thigh) * p->height_m);
    s.ankle -= (mass_centre(out) - over) / lever;
  }
  build_far_side(out);
}

static void shift(dor_point *p, dor_point by) { p->x += by.x, p->y += by.y; }

static dor_point noise(double sd_m, dor_rng *r)
{
  double x = dor_rng_normal(r);
  return (dor_point){sd_m * x, sd_m * dor_rng_normal(r)};
}

void dor_synth_jitter(dor_synth_body *b, double sd_m, dor_rng *r)
{
  const dor_point low = noise(sd_m, r), mid = noise(sd_m, r), top = noise(sd_m, r);
  for (int32_t i = 0; i < DOR_SYNTH_SPINE; i++) {       /* S1, T12 and the neck err; what lies between follows */
    const bool in_lumbar = i < DOR_SYNTH_LUMBAR;
    const double t = in_lumbar ? (double)i / DOR_SYNTH_LUMBAR : (double)(i - DOR_SYNTH_LUMBAR) / DOR_SYNTH_THORAX;
    const dor_point from = in_lumbar ? low : mid, to = in_lumbar ? mid : top;
    shift(&b->spine[i], (dor_point){from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)});
  }
  for (int32_t i = 0; i < DOR_JOINT_neck; i++) shift(&b->joint[i], noise(sd_m, r));
  shift(&b->joint[DOR_JOINT_s1], low), shift(&b->joint[DOR_JOINT_t12], mid), shift(&b->joint[DOR_JOINT_neck], top);
  shift(&b->head, noise(sd_m, r)), shift(&b->hand, noise(sd_m, r)), shift(&b->toe, noise(sd_m, r)), shift(&b->heel, noise(sd_m, r));
}

static double flexion(const dor_synth_body *b, dor_point n)
{
  const dor_point h = b->joint[DOR_JOINT_right_hip], a = b->joint[DOR_JOINT_right_ankle];
  const double up = atan2(n.x - h.x, n.y - h.y), leg = atan2(h.x - a.x, h.y - a.y);
  return (up - leg) / radians(1);
}

double dor_synth_flexion(const dor_synth_body *b) { return flexion(b, b->joint[DOR_JOINT_neck]); }

double dor_synth_flexion_shoulders(const dor_synth_body *b)
{
  const dor_point l = b->joint[DOR_JOINT_left_shoulder], r = b->joint[DOR_JOINT_right_shoulder];
  return flexion(b, (dor_point){(l.x + r.x) / 2, (l.y + r.y) / 2});
}
