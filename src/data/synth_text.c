/* SPDX-License-Identifier: Apache-2.0
 *
 * What the synthetic cohort assumes, for people: help, docs and the file beside a cohort. */
#include <math.h>

#include "data/synth_body.h"

static const char *const assumptions[] = {
  "No published table gives degrees for flexion against extension pattern, or for MI against MCI, in a forward or backward bend: every gap between"
  " classes is assumed (ASSUMED below), scaled by d, and only its direction has a source. Report accuracy against d, never one accuracy as a finding.",
  "Classes shift means; the mixture of MI and MCI keeps mean and SD of lumbar and pelvic flexion at every d. Pattern and MI/MCI are independent."
  " Shares are kept by systematic sampling along the order of people.",
  "MI and MCI differ in the forward bend and in tempo, not in the backward bend; FP and EP differ in standing, in the backward bend, and in the order"
  " of lumbar spine and hip in the forward bend.",
  "The rater errs at random, each target by itself (flip), whatever the person looks like. The tables hold the rater's labels; the truth of the"
  " classes is not stored.",
  "One bend each way; its depth does not vary between repetitions. Down and up take equal time, each at minimum jerk; phase is linear in time, so fps ="
  " frames / duration. The delay between lumbar spine and pelvis is not modelled, but for the backward bend's hip (hip_lag).",
  "The trunk turns by pelvis and lumbar spine as drawn; knees, thorax, neck and arms add small turns that no class shares. The ankles lean so that the"
  " centre of mass stays over the feet. Arms hang in the forward bend and are folded over the chest in the backward bend.",
  "Body lengths are shares of the height (Drillis and Contini 1966) and masses those of Winter (Biomechanics); the outline's thickness is drawn by"
  " eye and grows to the front with the square root of BMI / 25. No clothes, hair or background.",
  "The camera is level, side on, far away (no perspective), sees the right side and does not move. Segmentation errs by noise_px at the landmarks,"
  " anew in each frame; keypoints and angles are exact.",
  "Questionnaire totals are normal, rounded and cut to their range, correlated with each other and with motion (fear with the lumbar spine, pain with"
  " the hip), and all but unrelated to class (d_proms). They are missing at random.",
};

typedef enum kind { PUBLISHED, DERIVED, ASSUMED } kind;

static const struct fact {
  const char *name;
  double value;
  const char *unit;
  kind kind;
  const char *source;
} facts[] = {
#define FACT(name, value, unit, kind, source) {#name, value, unit, kind, source},
#include "data/synth_facts.def"
#undef FACT
};

void dor_synth_assumptions(dor_str *out)
{
  static const char *const kinds[] = {"published", "derived", "assumed"};
  dor_str_add(out, "# What the synthetic cohort assumes\n\nIts people are drawn from a model. They are no patients, and nothing found in them is a"
                   " finding.\n\n");
  for (size_t i = 0; i < sizeof assumptions / sizeof *assumptions; i++) dor_str_fmt(out, "%zu. %s\n", i + 1, assumptions[i]);
  dor_str_add(out, "\n| number | value | unit | kind | source |\n| --- | --- | --- | --- | --- |\n");
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    dor_str_fmt(out, "| %s | ", facts[i].name);
    dor_str_real(out, round(1e4 * facts[i].value) / 1e4);
    dor_str_fmt(out, " | %s | %s | %s |\n", facts[i].unit, kinds[facts[i].kind], facts[i].source);
  }
}
