/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is in the synthetic cohort: classes, motion, questionnaires. Every kind of
 * number has its own random stream for each person, so that one more draw, or one
 * more person, changes no other. */
#include <math.h>

#include "base/hash.h"
#include "data/synth_body.h"

const dor_synth_facts dor_synth_fact = {
#define FACT(name, value, ...) .name = value,
#include "data/synth_facts.def"
#undef FACT
};

static const dor_synth_facts *const F = &dor_synth_fact;

static dor_rng stream(const dor_synth_cfg *c, const char *purpose, int32_t k)
{
  return dor_rng_stream((uint64_t)c->seed, dor_hash_name(purpose), (uint64_t)k);
}

static double normal(dor_rng *r, double mean, double sd, double lo, double hi) { return fmin(fmax(mean + sd * dor_rng_normal(r), lo), hi); }

/* Systematic sampling: any run of people has the share within one person, and person k needs nobody else's draw. */
static bool belongs(const dor_synth_cfg *c, const char *purpose, int32_t k, double share)
{
  dor_rng r = stream(c, purpose, -1);
  double start = dor_rng_real(&r);
  return floor(start + (k + 1) * share) > floor(start + k * share);
}

static void draw_classes(const dor_synth_cfg *c, int32_t k, dor_synth_person *p)
{
  p->mci = !belongs(c, "synth/mi", k, F->share_mi);
  p->ep = !belongs(c, "synth/fp", k, F->share_fp);
  dor_rng r = stream(c, "synth/rater", k);
  p->rated_ep = p->ep != (dor_rng_real(&r) < c->flip);
  p->rated_mci = p->mci != (dor_rng_real(&r) < c->flip);
}

static void draw_build(const dor_synth_cfg *c, int32_t k, dor_synth_person *p)
{
  dor_rng r = stream(c, "synth/build", k);
  p->female = dor_rng_real(&r) < F->share_female;
  p->age = floor(normal(&r, F->age_mean, F->age_sd, 18, 75));
  p->bmi = normal(&r, F->bmi_mean, F->bmi_sd, 17, 42);
  p->height_m = normal(&r, p->female ? F->height_female : F->height_male, F->height_sd, 1.4, 2.0);
  double *length[] = {&p->shank, &p->thigh, &p->spine, &p->arm_length};
  for (size_t i = 0; i < 4; i++) *length[i] = normal(&r, 1, F->proportion_sd, 0.9, 1.1);
  p->scale = normal(&r, 1, F->camera_sd, 0.94, 1.04);
  p->place_m = normal(&r, 0, F->place_sd, -0.1, 0.1);
}

/* Five standard normals that correlate as the facts say: lumbar, pelvis, odi, tsk11, nrs. */
enum { LUMBAR, PELVIS, ODI, TSK, NRS, LATENTS };

static void correlate(const dor_rng *from, double z[LATENTS])
{
  const double r[LATENTS][LATENTS] = {
    [PELVIS] = {[LUMBAR] = F->lumbar_pelvis_r},
    [TSK] = {[LUMBAR] = F->r_lumbar_tsk, [ODI] = F->r_tsk_odi},
    [NRS] = {[PELVIS] = F->r_pelvis_nrs, [ODI] = F->r_odi_nrs, [TSK] = F->r_tsk_nrs},
  };
  double l[LATENTS][LATENTS] = {{0}}, e[LATENTS];
  dor_rng rng = *from;
  for (int32_t i = 0; i < LATENTS; i++) { /* Cholesky */
    double rest = 1;
    for (int32_t j = 0; j < i; j++) {
      double s = r[i][j];
      for (int32_t k = 0; k < j; k++) s -= l[i][k] * l[j][k];
      l[i][j] = s / l[j][j], rest -= l[i][j] * l[i][j];
    }
    l[i][i] = sqrt(rest), e[i] = dor_rng_normal(&rng), z[i] = 0;
    for (int32_t j = 0; j <= i; j++) z[i] += l[i][j] * e[j];
  }
}

/* Two classes whose mixture keeps mean and SD whatever the gap: the SD within is what the gap leaves. */
static double mixed(double mean, double sd, double gap, double share_upper, bool upper, double z)
{
  double within = sqrt(sd * sd - share_upper * (1 - share_upper) * gap * gap);
  return mean + (upper ? 1 - share_upper : -share_upper) * gap + within * z;
}

static void draw_forward(const dor_synth_cfg *c, const double z[LATENTS], dor_synth_person *p)
{
  const double share_mci = 1 - F->share_mi, ratio = F->band1 / (1 - F->band1) * (1 + c->d * (p->ep ? F->band1_ep : F->band1_fp));
  p->lumbar = fmin(fmax(mixed(F->lumbar_mean, F->lumbar_sd, c->d * F->lumbar_gap, share_mci, p->mci, z[LUMBAR]), 5), 90);
  p->pelvis = fmin(fmax(mixed(F->pelvis_mean, F->pelvis_sd, c->d * F->pelvis_gap, share_mci, p->mci, z[PELVIS]), 5), 110);
  p->band1 = ratio / (1 + ratio);
}

static void draw_backward(const dor_synth_cfg *c, int32_t k, dor_synth_person *p)
{
  dor_rng r = stream(c, "synth/spine", k);
  const double half = p->ep ? c->d / 2 : -c->d / 2;
  p->lordosis = normal(&r, F->lordosis_mean + half * F->lordosis_gap, F->lordosis_sd, 5, 80);
  p->extension = normal(&r, F->extension_mean + c->d * F->extension_sd * (p->ep ? F->extension_ep : F->extension_fp), F->extension_sd, 2, 75);
  p->extension_low = normal(&r, F->extension_low + (p->ep ? c->d * F->extension_low_gap : 0), F->extension_low_sd, 0.3, 1);
  p->flexion_low = normal(&r, F->flexion_low, F->flexion_low_sd, 0.2, 0.9);
  p->upper = normal(&r, p->ep ? 0 : c->d * F->upper_gap, F->upper_sd, -15, 20);
  p->hip_extension = normal(&r, F->hip_extension, F->hip_extension_sd, 2, 40);
  p->kyphosis = normal(&r, F->kyphosis, F->kyphosis_sd, 20, 65);
}

/* Tempo, and what tells nobody anything. */
static void draw_habits(const dor_synth_cfg *c, int32_t k, dor_synth_person *p)
{
  dor_rng r = stream(c, "synth/habit", k);
  const double mean_s = F->share_mi * F->duration_mi + (1 - F->share_mi) * F->duration_mci;
  const double slow_s = (p->mci ? F->duration_mci : F->duration_mi) - mean_s;
  const double thorax[] = {F->thorax_forward, -F->thorax_backward}, neck[] = {0, -F->neck_backward}, knee[] = {F->knee_forward, F->knee_backward};
  for (int32_t m = 0; m < DOR_SYNTH_MOVEMENTS; m++) {
    p->duration_s[m] = normal(&r, mean_s + c->d * slow_s, p->mci ? F->duration_mci_sd : F->duration_mi_sd, 1, 8);
    p->thorax[m] = thorax[m] + F->nuisance_sd * dor_rng_normal(&r);
    p->neck[m] = neck[m] + F->nuisance_sd * dor_rng_normal(&r);
    p->knee[m] = normal(&r, knee[m], F->nuisance_sd, 0, 40);
    p->arm[m] = F->nuisance_sd * dor_rng_normal(&r);
  }
}

/* A whole number of `step`s within lo..hi, or missing. */
static double total(dor_rng *r, double share_missing, double x, double step, double lo, double hi)
{
  return dor_rng_real(r) < share_missing ? (double)NAN : fmin(fmax(step * floor(x / step + 0.5), lo), hi);
}

static void draw_proms(const dor_synth_cfg *c, int32_t k, const double z[LATENTS], dor_synth_person *p)
{
  dor_rng r = stream(c, "synth/missing", k);
  const double shift = c->d_proms / 2 * ((p->ep ? 1 : -1) + (p->mci ? 1 : -1));
  p->odi = total(&r, c->missing, F->odi_mean + F->odi_sd * (z[ODI] + shift), 2, 0, 100);
  p->tsk11 = total(&r, c->missing, F->tsk11_mean + F->tsk11_sd * (z[TSK] + shift), 1, 11, 44);
  p->nrs = total(&r, c->missing, F->nrs_mean + F->nrs_sd * (z[NRS] + shift), 1, 0, 10);
}

void dor_synth_draw(const dor_synth_cfg *c, int32_t k, dor_synth_person *out)
{
  const dor_rng latents = stream(c, "synth/latent", k);
  double z[LATENTS];
  *out = (dor_synth_person){0};
  draw_classes(c, k, out);
  draw_build(c, k, out);
  correlate(&latents, z);
  draw_forward(c, z, out);
  draw_backward(c, k, out);
  draw_habits(c, k, out);
  draw_proms(c, k, z, out);
}
