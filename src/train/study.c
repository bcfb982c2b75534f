/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a study: each input becomes a source once, arms of one target and split
 * share a roster, and every arm's samples are listed by unit. */
#include "train/study.h"

#include <string.h>

#include "base/mem.h"
#include "train/fleets.h"
#include "train/roster.h"

typedef struct builder { /* of one study */
  dor_study *s;
  dor_arena *a;
  int32_t n_sources;
  struct { const char *text; const dor_source *source; } *source; /* by resolved config */
} builder;

/* ---- sources, one for each input that differs ---- */

static dor_status config_text(dor_arena *a, const char *name, const dor_key *keys, const void *cfg, const char **out)
{
  dor_tree group = {.type = DOR_TREE_GROUP};
  dor_str s = {0};
  DOR_TRY(dor_schema_save(keys, cfg, a, &group));
  dor_str_fmt(&s, "%s\n", name);
  dor_tree_write(&group, &s);
  dor_status status = dor_str_status(&s);
  *out = status ? NULL : dor_arena_str(a, s.s);
  dor_str_release(&s);
  DOR_NEED(status || *out, NOMEM, "no memory for a config");
  return status;
}

static dor_status source_of(builder *b, const dor_input *in, const dor_source **out)
{
  const char *text;
  DOR_TRY(config_text(b->a, in->name, dor_source_keys, &in->source, &text));
  for (int32_t i = 0; i < b->n_sources; i++)
    if (!strcmp(b->source[i].text, text)) return *out = b->source[i].source, DOR_OK;
  dor_source *s = dor_arena_alloc(b->a, sizeof *s);
  DOR_NEED(s, NOMEM, "no memory for input '%s'", in->name);
  DOR_TRY(dor_source_make(b->a, b->s->data, in->name, &in->source, in->tree, s));
  b->source[b->n_sources].text = text;
  b->source[b->n_sources++].source = *out = s;
  return DOR_OK;
}

static bool of_trials(const dor_input *in) { return !strcmp(in->source.from, "silhouettes"); }
static bool of_images(const dor_input *in) { return !strcmp(in->source.from, "images"); }

/* ---- rows of a source by unit ---- */

typedef struct matcher {
  const dor_roster *r;
  const dor_source *s;
  bool by_trial; /* rows must be of the unit's trial or image, not only of its subject */
  int32_t own;   /* clips: the input that this source is, as the roster counts inputs */
  bool pooled;   /* inputs share a net: a clip of one has no rows of the others */
} matcher;

static bool belongs(const matcher *m, int32_t unit, int32_t row)
{
  const dor_roster *r = m->r;
  if (r->input && r->input[unit] == m->own) return row == r->row[unit];
  if (r->input && m->pooled) return false;
  return !m->by_trial || m->s->trial[row] == r->thing[unit];
}

/* Rows of each subject, in order: place[i] .. place[i + 1] in list. */
static void by_subject(const dor_source *s, int32_t n_subjects, int32_t *place, int32_t *list)
{
  for (int32_t i = 0; i < s->n; i++) place[s->subject[i] + 1]++;
  for (int32_t i = 0; i < n_subjects; i++) place[i + 1] += place[i];
  for (int32_t i = 0; i < s->n; i++) list[place[s->subject[i]]++] = i;
  for (int32_t i = n_subjects; i > 0; i--) place[i] = place[i - 1];
  place[0] = 0;
}

static dor_status find_rows(dor_arena *a, const matcher *m, int32_t n_subjects, dor_rows *out)
{
  const dor_roster *r = m->r;
  int32_t *place = dor_arena_alloc(a, ((size_t)n_subjects + 2) * sizeof *place);
  int32_t *list = dor_arena_alloc(a, ((size_t)m->s->n + 1) * sizeof *list);
  out->first = dor_arena_alloc(a, ((size_t)r->n + 1) * sizeof *out->first);
  DOR_NEED(place && list && out->first, NOMEM, "no memory for %d samples", m->s->n);
  by_subject(m->s, n_subjects, place, list);
  for (int pass = 0; pass < 2; pass++) {
    int32_t n = 0;
    for (int32_t u = 0; u < r->n; u++) {
      out->first[u] = n;
      for (int32_t k = place[r->subject[u]]; k < place[r->subject[u] + 1]; k++)
        if (belongs(m, u, list[k])) {
          if (pass) out->row[n] = list[k];
          n++;
        }
    }
    out->first[r->n] = n;
    if (!pass) out->row = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *out->row);
    DOR_NEED(out->row, NOMEM, "no memory for %d samples", n);
  }
  return DOR_OK;
}

static dor_status rows_of(builder *b, const dor_roster *r, const dor_arm *arm, int32_t own, const dor_source *s, dor_rows *out)
{
  dor_per per = r->target->per;
  const dor_input *in = &arm->input[own];
  matcher m = {r, s, (per == DOR_PER_TRIAL && of_trials(in)) || (per == DOR_PER_IMAGE && of_images(in)), own,
               arm->fusion == DOR_FUSION_NONE && arm->n_inputs > 1};
  return find_rows(b->a, &m, b->s->data->n_subjects, out);
}

/* ---- branches ---- */

static dor_status add_input(builder *b, const dor_roster *r, dor_branch *br, const dor_arm *arm, int32_t own)
{
  int32_t k = br->n_inputs;
  DOR_NEED(k < DOR_MAX_SLOTS, CONFIG, "arm '%s' uses more than %d inputs", arm->name, DOR_MAX_SLOTS);
  br->input[k] = &arm->input[own];
  DOR_TRY(source_of(b, br->input[k], &br->source[k]));
  DOR_TRY(rows_of(b, r, arm, own, br->source[k], &br->rows[k]));
  br->n_inputs++;
  return DOR_OK;
}

/* The input with most samples per unit: its samples are the branch's, the rows of the others are repeated. */
static int32_t main_input(const dor_branch *b, int32_t units)
{
  int32_t best = 0;
  for (int32_t k = 1; k < b->n_inputs; k++)
    if (b->rows[k].first[units] > b->rows[best].first[units]) best = k;
  return best;
}

/* Joined (early) and pooled inputs share slot 0, the main one first when joined; otherwise each input has its own slot. */
static void lay_slots(dor_branch *b, dor_fusion fusion, int32_t units)
{
  bool shared = fusion == DOR_FUSION_EARLY || (fusion == DOR_FUSION_NONE && b->n_inputs > 1);
  int32_t lead = fusion == DOR_FUSION_EARLY ? main_input(b, units) : 0;
  for (int32_t k = 0; k < b->n_inputs; k++) {
    int32_t in = k == 0 ? lead : k == lead ? 0 : k;
    int32_t j = shared ? 0 : k, place = shared ? k : 0;
    b->slot[j].source[place] = b->source[in];
    b->slot[j].n_sources = place + 1;
    b->input_of[j][place] = in;
  }
  b->slot[0].pooled = fusion == DOR_FUSION_NONE && b->n_inputs > 1;
  b->n_slots = shared ? 1 : b->n_inputs;
}

static int32_t samples_of_unit(const dor_branch *b, int32_t u, int32_t lead)
{
  int32_t n = 0;
  for (int32_t k = 0; k < b->n_inputs; k++) n += b->slot[0].pooled || k == lead ? b->rows[k].first[u + 1] - b->rows[k].first[u] : 0;
  return n;
}

static void put_sample(const dor_branch *b, const dor_roster *r, int32_t u, int32_t lead, int32_t i, dor_sample *s)
{
  *s = (dor_sample){.subject = r->subject[u], .unit = u, .label = r->value[u], .weight = 1};
  if (b->slot[0].pooled) {
    int32_t k = 0, left = i;
    while (left >= b->rows[k].first[u + 1] - b->rows[k].first[u]) left -= b->rows[k].first[u + 1] - b->rows[k].first[u], k++;
    s->source = k, s->row[0] = b->rows[k].row[b->rows[k].first[u] + left];
    return;
  }
  for (int32_t j = 0; j < b->n_slots; j++) {
    const dor_rows *rows = &b->rows[b->n_slots == 1 ? lead : j];
    int32_t n = rows->first[u + 1] - rows->first[u];
    s->row[j] = rows->row[rows->first[u] + i % n];
  }
}

/* Units that lack one of the inputs have no samples. */
static dor_status list_samples(builder *b, dor_branch *br, const dor_roster *r, const bool *has)
{
  int32_t lead = main_input(br, r->n), n = 0;
  int32_t *first = dor_arena_alloc(b->a, ((size_t)r->n + 1) * sizeof *first);
  DOR_NEED(first, NOMEM, "no memory for %d units", r->n);
  for (int32_t u = 0; u < r->n; u++) first[u] = n, n += has[u] ? samples_of_unit(br, u, lead) : 0;
  first[r->n] = n;
  dor_sample *sample = dor_arena_alloc(b->a, ((size_t)n + 1) * sizeof *sample);
  DOR_NEED(sample, NOMEM, "no memory for %d samples", n);
  for (int32_t u = 0; u < r->n; u++)
    for (int32_t i = first[u]; i < first[u + 1]; i++) put_sample(br, r, u, lead, i - first[u], &sample[i]);
  br->sample = sample, br->first = first, br->n = n;
  return DOR_OK;
}

static dor_status check_kind(const dor_arm *arm, const dor_branch *b)
{
  for (int32_t k = 1; k < b->n_inputs; k++)
    DOR_NEED(arm->fusion != DOR_FUSION_EARLY || (!b->source[k]->image && !b->source[0]->image), CONFIG,
             "arm '%s': fusion \"early\" joins vectors; '%s' and '%s' are not both: say \"joint\" or \"late\"", arm->name, b->input[0]->name,
             b->input[k]->name);
  return DOR_OK;
}

static dor_status make_branches(builder *b, dor_study_arm *sa, const dor_roster *r)
{
  const dor_arm *arm = sa->arm;
  bool late = arm->fusion == DOR_FUSION_LATE;
  sa->n_branches = late ? arm->n_inputs : 1;
  sa->branch = dor_arena_alloc(b->a, (size_t)sa->n_branches * sizeof *sa->branch);
  DOR_NEED(sa->branch, NOMEM, "no memory for arm '%s'", arm->name);
  for (int32_t i = 0; i < arm->n_inputs; i++) DOR_TRY(add_input(b, r, &sa->branch[late ? i : 0], arm, i));
  for (int32_t i = 0; i < sa->n_branches; i++) {
    sa->branch[i].name = late ? arm->input[i].name : "";
    DOR_TRY(check_kind(arm, &sa->branch[i]));
    lay_slots(&sa->branch[i], late ? DOR_FUSION_NONE : arm->fusion, r->n);
  }
  return DOR_OK;
}

/* ---- who has what ---- */

static bool has_rows(const dor_rows *rows, int32_t u) { return rows->first[u + 1] > rows->first[u]; }

/* Every input, or any of them where inputs are pooled. */
static bool has_unit(const dor_study_arm *sa, int32_t u)
{
  for (int32_t i = 0; i < sa->n_branches; i++) {
    const dor_branch *b = &sa->branch[i];
    bool any = false, all = true;
    for (int32_t k = 0; k < b->n_inputs; k++) any = any || has_rows(&b->rows[k], u), all = all && has_rows(&b->rows[k], u);
    if (!(b->slot[0].pooled ? any : all)) return false;
  }
  return true;
}

static dor_status note_has(builder *b, dor_study_arm *sa, const dor_roster *r)
{
  bool *has = dor_arena_alloc(b->a, (size_t)r->n + 1);
  DOR_NEED(has, NOMEM, "no memory for %d units", r->n);
  for (int32_t u = 0; u < r->n; u++) has[u] = has_unit(sa, u);
  sa->has = has;
  return DOR_OK;
}

/* ---- rosters ---- */

static dor_status roster_key(builder *b, const dor_arm *arm, const char **out)
{
  const char *target, *split;
  DOR_TRY(config_text(b->a, arm->split.unit == DOR_UNIT_CLIP ? arm->name : "", dor_target_keys, &arm->target, &target));
  DOR_TRY(config_text(b->a, "", dor_split_keys, &arm->split, &split));
  *out = dor_arena_fmt(b->a, "%s%s", target, split);
  DOR_NEED(*out, NOMEM, "no memory for a config");
  return DOR_OK;
}

/* Branches over all labelled units say who has data; then units without are left out and branches are made again. */
static dor_status leave_out(builder *b, dor_roster *r, const int32_t *roster_of)
{
  const dor_study *s = b->s;
  bool common = s->experiment->compare.subjects == DOR_SUBJECTS_COMMON, *keep = dor_arena_alloc(b->a, (size_t)r->n + 1);
  DOR_NEED(keep, NOMEM, "no memory for %d units", r->n);
  for (int32_t u = 0; u < r->n; u++) keep[u] = common;
  for (int32_t i = 0; i < s->n_arms; i++) {
    if (&s->roster[roster_of[i]] != r) continue;
    DOR_TRY(make_branches(b, &s->arm[i], r));
    for (int32_t u = 0; u < r->n; u++) {
      bool has = has_unit(&s->arm[i], u);
      keep[u] = common ? keep[u] && has : keep[u] || has;
    }
  }
  return dor_roster_keep(b->a, r, keep, common ? "an input is missing" : "every input is missing");
}

static dor_status to_clips(builder *b, dor_roster *r, const int32_t *roster_of)
{
  for (int32_t i = 0; i < b->s->n_arms && r->clips && !r->input; i++) {
    if (&b->s->roster[roster_of[i]] != r) continue;
    const dor_study_arm *sa = &b->s->arm[i];
    DOR_TRY(make_branches(b, &b->s->arm[i], r));
    int32_t lead = main_input(&sa->branch[0], r->n);
    bool pooled = sa->branch[0].slot[0].pooled;
    dor_rows none = {dor_arena_alloc(b->a, ((size_t)r->n + 1) * sizeof(int32_t)), NULL}, rows[DOR_MAX_SLOTS];
    DOR_NEED(none.first, NOMEM, "no memory for %d units", r->n);
    for (int32_t k = 0; k < sa->branch[0].n_inputs; k++) rows[k] = pooled || k == lead ? sa->branch[0].rows[k] : none;
    DOR_TRY(dor_roster_clips(b->a, r, sa->branch[0].n_inputs, rows));
  }
  return DOR_OK;
}

static dor_status make_rosters(builder *b, int32_t *roster_of)
{
  dor_study *s = b->s;
  const char **key = dor_arena_alloc(b->a, (size_t)s->n_arms * sizeof *key);
  DOR_NEED(key, NOMEM, "no memory for %d arms", s->n_arms);
  for (int32_t i = 0; i < s->n_arms; i++) {
    int32_t k = 0;
    DOR_TRY(roster_key(b, s->arm[i].arm, &key[s->n_rosters]));
    while (strcmp(key[k], key[s->n_rosters])) k++;
    if (k == s->n_rosters) DOR_TRY(dor_roster_make(b->a, s->data, s->arm[i].arm, &s->roster[s->n_rosters++]));
    roster_of[i] = k;
  }
  for (int32_t k = 0; k < s->n_rosters; k++) {
    DOR_TRY(leave_out(b, &s->roster[k], roster_of));
    DOR_TRY(to_clips(b, &s->roster[k], roster_of));
    DOR_TRY(dor_roster_split(b->a, &s->roster[k]));
  }
  return DOR_OK;
}

static dor_status make_arms(builder *b)
{
  dor_study *s = b->s;
  int32_t inputs = 0, *roster_of;
  s->n_arms = s->experiment->n_arms;
  for (int32_t i = 0; i < s->n_arms; i++) inputs += s->experiment->arm[i].n_inputs;
  s->arm = dor_arena_alloc(b->a, ((size_t)s->n_arms + 1) * sizeof *s->arm);
  s->roster = dor_arena_alloc(b->a, ((size_t)s->n_arms + 1) * sizeof *s->roster);
  roster_of = dor_arena_alloc(b->a, ((size_t)s->n_arms + 1) * sizeof *roster_of);
  b->source = dor_arena_alloc(b->a, ((size_t)inputs + 1) * sizeof *b->source);
  DOR_NEED(s->arm && s->roster && roster_of && b->source, NOMEM, "no memory for %d arms", s->n_arms);
  for (int32_t i = 0; i < s->n_arms; i++) s->arm[i].arm = &s->experiment->arm[i];
  DOR_TRY(make_rosters(b, roster_of));
  for (int32_t i = 0; i < s->n_arms; i++) {
    dor_study_arm *sa = &s->arm[i];
    sa->roster = &s->roster[roster_of[i]];
    DOR_TRY(make_branches(b, sa, sa->roster));
    DOR_TRY(note_has(b, sa, sa->roster));
    for (int32_t k = 0; k < sa->n_branches; k++) DOR_TRY(list_samples(b, &sa->branch[k], sa->roster, sa->has));
  }
  return DOR_OK;
}

dor_status dor_study_make(dor_study *s, const dor_experiment *e, const dor_dataset *d)
{
  *s = (dor_study){.experiment = e, .data = d};
  builder b = {.s = s, .a = &s->arena};
  dor_status status = make_arms(&b);
  if (status) dor_study_release(s);
  return status;
}

dor_status dor_study_compile(dor_study *s, int32_t arm)
{
  dor_study_arm *sa = &s->arm[arm];
  int32_t n_out = sa->roster->n_classes ? sa->roster->n_classes : 1;
  for (int32_t i = 0; i < sa->n_branches; i++)
    if (!sa->branch[i].net.eval) DOR_TRY(dor_network_build(&sa->branch[i].net, sa->arm, &sa->branch[i], n_out, &s->experiment->cpu, s->experiment->backend));
  return dor_fleets_likeness(sa);
}

void dor_study_release(dor_study *s)
{
  for (int32_t i = 0; i < s->n_arms && s->arm; i++)
    for (int32_t k = 0; k < s->arm[i].n_branches && s->arm[i].branch; k++) dor_network_release(&s->arm[i].branch[k].net);
  dor_arena_release(&s->arena);
  *s = (dor_study){0};
}

/* ---- roles ---- */

static dor_status hold_out_inner(const dor_study_arm *sa, dor_role *role)
{
  const dor_roster *r = sa->roster;
  dor_arena a = {0};
  int32_t n = 0, *rows = dor_arena_alloc(&a, ((size_t)r->n + 1) * sizeof *rows);
  bool *out = dor_arena_alloc(&a, (size_t)r->n + 1);
  dor_status s = rows && out ? DOR_OK : DOR_FAIL(NOMEM, "no memory for %d units", r->n);
  for (int32_t u = 0; u < r->n && !s; u++)
    if (role[u] == DOR_ROLE_TRAIN) rows[n++] = u;
  if (!s) s = dor_split_inner(&a, &r->units, rows, n, 5, (uint64_t)sa->arm->split.seed, out);
  for (int32_t i = 0; i < n && !s; i++)
    if (out[i]) role[rows[i]] = DOR_ROLE_INNER;
  dor_arena_release(&a);
  return s;
}

dor_status dor_study_roles(const dor_study_arm *sa, int32_t repeat, int32_t fold, dor_role *role)
{
  const dor_roster *r = sa->roster;
  int32_t count[4] = {0};
  bool inner = sa->arm->train.stop == DOR_STOP_INNER;
  for (int32_t u = 0; u < r->n; u++)
    role[u] = !sa->has[u] ? DOR_ROLE_NONE : r->split.fold[(size_t)repeat * (size_t)r->n + (size_t)u] == fold ? DOR_ROLE_TEST : DOR_ROLE_TRAIN;
  if (inner) DOR_TRY(hold_out_inner(sa, role));
  for (int32_t u = 0; u < r->n; u++) count[role[u]]++;
  DOR_NEED(count[DOR_ROLE_TRAIN], DATA, "arm '%s', fold %d: nobody is left to train on", sa->arm->name, fold + 1);
  DOR_NEED(count[DOR_ROLE_TEST], DATA, "arm '%s', fold %d: nobody is left to test", sa->arm->name, fold + 1);
  DOR_NEED(!inner || count[DOR_ROLE_INNER], DATA, "arm '%s', fold %d: too few people for an inner split; say train.stop = \"none\"", sa->arm->name, fold + 1);
  return DOR_OK;
}

const char *dor_study_unit_word(const dor_roster *r)
{
  return r->clips ? "clip" : r->target->per == DOR_PER_SUBJECT ? "subject" : r->target->per == DOR_PER_TRIAL ? "trial" : "image";
}
