/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum pose-eval: how well were keypoints, or angles, found? */
#include "cli/cli.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/pose_eval.h"

/* ---- what is expected: "AP=.671,RMSE<2"; = to the last digit that is written ---- */

typedef struct expected { char name[32], how; double value, slack; } expected; /* how: = < > */
enum { MOST_EXPECTED = 32 };

static double last_digit(const char *text)
{
  const char *dot = strchr(text, '.');
  return dot ? 0.5 * pow(10, -(double)strspn(dot + 1, "0123456789")) : 0.5;
}

static dor_status parse_expected(const char *list, expected out[MOST_EXPECTED], int32_t *n)
{
  *n = 0;
  while (list && *list) {
    char item[96], *sign;
    size_t length = strcspn(list, ",");
    snprintf(item, sizeof item, "%.*s", (int)length, list);
    sign = strpbrk(item, "=<>");
    DOR_NEED(sign && length < sizeof item && sign - item < (int)sizeof out->name && *n < MOST_EXPECTED, USAGE,
             "--expect wants FIGURE=VALUE,... (or < or >), got '%s'", item);
    expected *e = &out[(*n)++];
    e->how = *sign, *sign = 0;
    snprintf(e->name, sizeof e->name, "%.31s", item);
    DOR_NEED(!dor_parse_real(sign + 1, &e->value), USAGE, "--expect %s wants a number, got '%s'", item, sign + 1);
    e->slack = last_digit(sign + 1) * (1 + 1e-9);
    list += length + (list[length] == ',');
  }
  return DOR_OK;
}

typedef struct named { const char *name; double value; } named;

static dor_status held(const expected *e, double got)
{
  const bool holds = e->how == '<' ? got < e->value : e->how == '>' ? got > e->value : fabs(got - e->value) <= e->slack;
  DOR_NEED(holds, MISMATCH, "%s is %.6g, expected %s%.6g", e->name, got, e->how == '<' ? "less than " : e->how == '>' ? "more than " : "", e->value);
  return DOR_OK;
}

static dor_status hold(const char *list, const named *got, int32_t n_got)
{
  expected e[MOST_EXPECTED];
  const char *names[DOR_KP_MOST + 8];
  int32_t n;
  DOR_TRY(parse_expected(list, e, &n));
  for (int32_t k = 0; k < n_got; k++) names[k] = got[k].name;
  for (int32_t i = 0; i < n; i++) {
    int32_t k = 0;
    while (k < n_got && strcmp(e[i].name, got[k].name)) k++;
    const char *near = k < n_got ? NULL : dor_nearest(e[i].name, names, (size_t)n_got);
    DOR_NEED(k < n_got, USAGE, "--expect: no figure '%s'%s%s%s", e[i].name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    DOR_TRY(held(&e[i], got[k].value));
  }
  return DOR_OK;
}

/* ---- keypoints ---- */

static void put_interval(dor_str *s, dor_interval i, double unit, int digits)
{
  if (isnan(i.lo)) dor_str_fmt(s, "%-17s", "");
  else {
    char text[48];
    snprintf(text, sizeof text, "(%.*f-%.*f)", digits, unit * i.lo, digits, unit * i.hi);
    dor_str_fmt(s, "%-17s", text);
  }
}

static const char *span(const dor_kp_figure *f)
{
  return f->threshold < 0 ? ".50-.95" : f->threshold == 0 ? ".50" : ".75";
}

static const char *whom(const dor_kp_figure *f)
{
  if (f->only) return f->name[3] == 'E' ? "easy images" : f->name[3] == 'M' ? "medium images" : "hard images";
  return f->area == DOR_KP_ALL ? "everybody" : f->area == DOR_KP_MEDIUM ? "32^2 to 96^2 pixels" : "from 96^2 pixels";
}

static void put_figures(const dor_pose_eval *r, const dor_pose_eval_cfg *c, dor_str *s)
{
  dor_str_fmt(s, "%-8s%-8s%-17s%-9s%6s  %s\n", "", "value", isnan(r->interval[0].lo) ? "" : "interval", "OKS", "people", "of");
  for (int32_t f = 0; f < r->n; f++) {
    if (isnan(r->value[f])) dor_str_fmt(s, "%-8s%-8s", r->figure[f].name, "NA");
    else dor_str_fmt(s, "%-8s%-8.3f", r->figure[f].name, r->value[f]);
    put_interval(s, r->interval[f], 1, 3);
    dor_str_fmt(s, "%-9s%6d  %s\n", span(&r->figure[f]), r->counted[f], whom(&r->figure[f]));
  }
  if (!isnan(r->interval[0].lo)) dor_str_fmt(s, "intervals: %g %%, %s, %lld replicates, seed %lld\n", 100 * c->level, r->interval[0].method,
                                             (long long)c->replicates, (long long)c->seed);
}

static void put_share(dor_str *s, const char *name, const dor_pose_share *p)
{
  if (!p->all) {
    dor_str_fmt(s, "%-20s%-8s\n", name, "NA");
    return;
  }
  dor_str_fmt(s, "%-20s%-8.1f", name, 100 * (double)p->hit / (double)p->all);
  put_interval(s, p->interval, 100, 1);
  dor_str_fmt(s, "%lld/%lld\n", (long long)p->hit, (long long)p->all);
}

static void put_pck(const dor_pose_eval *r, const dor_pose_eval_cfg *c, dor_str *s)
{
  char name[32];
  snprintf(name, sizeof name, "PCK@%g", c->pck);
  dor_str_fmt(s, "\njoints found within %g of %s, %%\n", c->pck, c->reference ? "left shoulder to right hip" : "the longer side of the person's box");
  put_share(s, name, &r->all);
  for (int32_t k = 0; k < r->keypoints.k; k++) put_share(s, r->keypoints.joint[k], &r->joint[k]);
}

static json_t *number(double x) { return isnan(x) ? json_null() : json_real(x); }

static json_t *figure_json(const char *name, double value, dor_interval i, int64_t n)
{
  return json_pack("{s:s, s:o, s:o, s:o, s:s, s:I}", "name", name, "value", number(value), "ci_lo", number(i.lo), "ci_hi", number(i.hi), "ci_method", i.method,
                   "n", (json_int_t)n);
}

static json_t *share_json(const char *name, const dor_pose_share *p)
{
  json_t *o = figure_json(name, p->all ? (double)p->hit / (double)p->all : NAN, p->interval, p->all);
  json_object_set_new(o, "k", json_integer((json_int_t)p->hit));
  return o;
}

static json_t *keypoints_json(const dor_pose_eval *r)
{
  json_t *figures = json_array(), *joints = json_array();
  for (int32_t f = 0; f < r->n; f++) json_array_append_new(figures, figure_json(r->figure[f].name, r->value[f], r->interval[f], r->counted[f]));
  if (r->pck) json_array_append_new(figures, share_json("PCK", &r->all));
  for (int32_t k = 0; r->pck && k < r->keypoints.k; k++) json_array_append_new(joints, share_json(r->keypoints.joint[k], &r->joint[k]));
  return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:o}", "rules", r->crowdpose ? "crowdpose" : "coco", "keypoints", r->keypoints.name, "stamp",
                   r->stamp, "images", r->images, "people", r->people, "detections", r->found, "figures", figures, "pck", joints);
}

static dor_status keypoints(dor_cli *c, const dor_pose_eval_cfg *cfg)
{
  dor_pose_eval r;
  dor_str s = {0};
  named got[DOR_KP_MOST + 1];
  DOR_TRY(dor_pose_eval_files(&c->arena, c->arg[0], c->arg[1], cfg, &r));
  if (c->json) dor_out_json(keypoints_json(&r));
  else {
    if (*r.stamp) dor_str_fmt(&s, "%s\n", r.stamp);
    dor_str_fmt(&s, "%d people in %d images, %d detections; %s, %s's rules\n\n", r.people, r.images, r.found, r.keypoints.name,
                r.crowdpose ? "CrowdPose" : "COCO");
    put_figures(&r, cfg, &s);
    if (r.pck) put_pck(&r, cfg, &s);
    dor_out_str(&s);
  }
  for (int32_t f = 0; f < r.n; f++) got[f] = (named){r.figure[f].name, r.value[f]};
  got[r.n] = (named){"PCK", r.pck && r.all.all ? (double)r.all.hit / (double)r.all.all : NAN};
  return hold(c->expect, got, r.n + 1);
}

/* ---- angles ---- */

static void put_agreed(dor_str *s, const char *name, dor_agreed x, const char *unit)
{
  if (isnan(x.value)) dor_str_fmt(s, "%-28s%9s\n", name, "NA");
  else if (isnan(x.interval.lo)) dor_str_fmt(s, "%-28s%9.3f %s\n", name, x.value, unit);
  else dor_str_fmt(s, "%-28s%9.3f %-4s(%.3f to %.3f)\n", name, x.value, unit, x.interval.lo, x.interval.hi);
}

static void put_angles(const dor_angle_eval *r, const dor_pose_eval_cfg *c, dor_str *s)
{
  const dor_agreement *a = &r->agreement;
  if (r->synthetic) dor_str_add(s, "SYNTHETIC\n");
  dor_str_fmt(s, "'%s' against '%s': %lld frames of %d people, %lld without one of the two\n\n", r->estimate, r->truth, (long long)a->n, a->subjects,
              (long long)a->missing);
  put_agreed(s, "RMSE", a->rmse, "deg");
  put_agreed(s, "bias (estimate - truth)", a->bias, "deg");
  put_agreed(s, "lower limit of agreement", a->lower, "deg");
  put_agreed(s, "upper limit of agreement", a->upper, "deg");
  put_agreed(s, "ICC(A,1)", a->icc, "");
  dor_str_fmt(s, "\nlimits: bias -+ 1.96 sd, sd between people %.3f, within %.3f deg\n", a->sd_between, a->sd_within);
  if (!isnan(a->bias.interval.lo)) dor_str_fmt(s, "intervals: %g %%, %s over people, %lld replicates, seed %lld\n", 100 * c->level, a->bias.interval.method,
                                               (long long)c->replicates, (long long)c->seed);
}

static json_t *angles_json(const dor_angle_eval *r)
{
  const dor_agreement *a = &r->agreement;
  const struct { const char *name; dor_agreed x; } row[] = {{"RMSE", a->rmse}, {"bias", a->bias}, {"lower", a->lower}, {"upper", a->upper}, {"ICC", a->icc}};
  json_t *figures = json_array();
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    json_array_append_new(figures, figure_json(row[i].name, row[i].x.value, row[i].x.interval, a->subjects));
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:o, s:o, s:o}", "truth", r->truth, "estimate", r->estimate, "stamp", r->synthetic ? "SYNTHETIC" : "",
                   "frames", (json_int_t)a->n, "missing", (json_int_t)a->missing, "people", a->subjects, "sd_between", number(a->sd_between), "sd_within",
                   number(a->sd_within), "figures", figures);
}

static dor_status angles(dor_cli *c, const dor_pose_eval_cfg *cfg)
{
  dor_angle_eval r;
  dor_str s = {0};
  DOR_TRY(dor_angle_eval_files(&c->arena, c->arg[0], c->arg[1], cfg, &r));
  if (c->json) dor_out_json(angles_json(&r));
  else {
    put_angles(&r, cfg, &s);
    dor_out_str(&s);
  }
  const dor_agreement *a = &r.agreement;
  const named got[] = {{"RMSE", a->rmse.value}, {"bias", a->bias.value}, {"lower", a->lower.value}, {"upper", a->upper.value}, {"ICC", a->icc.value}};
  return hold(c->expect, got, 5);
}

static bool dataset(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot && !strcmp(dot, ".h5");
}

static dor_status run(dor_cli *c)
{
  dor_pose_eval_cfg cfg;
  DOR_TRY(dor_cli_assigned(c, dor_pose_eval_keys, &cfg));
  DOR_TRY(dor_cli_must_exist(c->arg[0]));
  DOR_TRY(dor_cli_must_exist(c->arg[1]));
  DOR_NEED(dataset(c->arg[0]) == dataset(c->arg[1]), USAGE, "%s and %s: two COCO files, or two datasets (.h5)", c->arg[0], c->arg[1]);
  return dataset(c->arg[0]) ? angles(c, &cfg) : keypoints(c, &cfg);
}

const dor_command dor_command_pose_eval = {
    .name = "pose-eval",
    .summary = "how well keypoints, or angles, were found",
    .usage = "TRUTH FOUND [--expect FIGURE=VALUE,...] [key=value ...]",
    .options = "xJq",
    .examples = "  dorsum pose-eval person_keypoints_val2017.json found.json\n"
                "  dorsum pose-eval val.json found.json --expect AP=.671,AR=.720\n"
                "  dorsum pose-eval markers.h5 video.h5 truth=flexion estimate=higherhrnet\n",
    .text = "Two COCO files, annotations and results: COCO's ten figures as pycocotools makes them (CrowdPose's nine where the images have a\n"
            "crowdIndex) and PCK, with intervals over images. Two datasets: RMSE, bias, limits of agreement and ICC(A,1) of their angles (deg),\n"
            "frames of a person together, with intervals over people. --expect: exit code 4 when a figure differs in the digits given, or is not\n"
            "below (RMSE<2) or above (AP>.9; in quotes) a bound.\n"
            "Keys: category, rules, sigmas, pck, reference, truth, estimate, replicates, level, seed (dorsum help config).\n",
    .least = 2,
    .most = 2,
    .run = run};
