/* SPDX-License-Identifier: Apache-2.0
 *
 * A study: an experiment and its dataset as all cells see them, made once and
 * read by every worker. Units are what is decided about (people, trials, images
 * or clips); a roster is the units of one target and split with their folds; a
 * branch is what one network trains on: its inputs, and their samples by unit. */
#ifndef DOR_TRAIN_STUDY_H
#define DOR_TRAIN_STUDY_H

#include "base/hash.h"
#include "data/loader.h"
#include "data/split.h"
#include "train/experiment.h"
#include "train/network.h"

/* Choices of the .def files, in order. */
enum { DOR_STOP_NONE, DOR_STOP_INNER };                        /* train.stop */
enum { DOR_LAST_FILL, DOR_LAST_DROP };                         /* train.last */
enum { DOR_CLASS_WEIGHT_NONE, DOR_CLASS_WEIGHT_BALANCED };     /* train.class_weight */
enum { DOR_POOL_AUTO, DOR_POOL_MEAN_LOGIT, DOR_POOL_MEAN_PROB }; /* score.pool */
enum { DOR_SUBJECTS_COMMON, DOR_SUBJECTS_OWN };                /* compare.subjects */

typedef struct dor_roster {
  const dor_arm *arm;         /* the first that has it */
  const dor_target *target;
  bool clips;                 /* split.unit = clip: people and groups ignored */
  int32_t n, n_classes;       /* units analysed; classes, 0: values */
  const char *const *class_name; /* of two: the positive one last */
  const int32_t *subject;     /* [n] */
  const int32_t *thing;       /* [n] index of the labelled thing (subject, trial or image) */
  const int32_t *input, *row; /* [n] clips: the unit is this row of this input of the arm; else NULL */
  const float *value;         /* [n] class index after the choice of classes, or number */
  dor_units units;
  dor_split split;
  const char **fate;          /* [target->n] why a thing is not analysed; NULL: it is */
} dor_roster;

typedef struct dor_rows {     /* which rows of a source belong to a unit: row[first[u] .. first[u + 1]) */
  int32_t *first, *row;
} dor_rows;

typedef struct dor_branch {
  const char *name;           /* of the input, when branches are trained one by one (late); else "" */
  int32_t n_inputs;
  const dor_input *input[DOR_MAX_SLOTS];
  const dor_source *source[DOR_MAX_SLOTS];
  dor_rows rows[DOR_MAX_SLOTS];
  int32_t n_slots;
  dor_slot slot[DOR_MAX_SLOTS];       /* without scalers: those are fitted in each cell */
  int32_t input_of[DOR_MAX_SLOTS][DOR_MAX_SLOTS]; /* the branch's input behind a slot's k-th source */
  int32_t n;
  const dor_sample *sample;   /* [n] by unit */
  const int32_t *first;       /* [units + 1] */
  dor_network net;
} dor_branch;

typedef struct dor_study_arm {
  const dor_arm *arm;
  const dor_roster *roster;
  const bool *has;            /* [roster->n] every input has samples of the unit */
  int32_t n_branches;
  dor_branch *branch;
  char likeness[DOR_HASH_HEX]; /* of a compiled arm whose cells train in fleets: those of arms where it is equal share them; else "" */
} dor_study_arm;

typedef struct dor_study {
  dor_arena arena;
  const dor_experiment *experiment;
  const dor_dataset *data;
  int32_t n_arms, n_rosters;
  dor_study_arm *arm;
  dor_roster *roster;         /* [0] is the experiment's own: baselines and flow.csv are about it */
} dor_study; /* zero-initialised is releasable */

/* Sources, units, folds and samples; no network yet. errors CONFIG, DATA */
DOR_MUST dor_status dor_study_make(dor_study *s, const dor_experiment *e, const dor_dataset *d);
/* Compile the programs of one arm. errors CONFIG, SHAPE, UNSUPPORTED */
DOR_MUST dor_status dor_study_compile(dor_study *s, int32_t arm);
void dor_study_release(dor_study *s);

/* Who is what in a cell. */
typedef enum dor_role { DOR_ROLE_NONE, DOR_ROLE_TRAIN, DOR_ROLE_INNER, DOR_ROLE_TEST } dor_role;
/* role [roster->n]; inner only when the arm stops by an inner split. errors DATA: nobody to train on or to test */
DOR_MUST dor_status dor_study_roles(const dor_study_arm *arm, int32_t repeat, int32_t fold, dor_role *role);

const char *dor_study_unit_word(const dor_roster *r); /* "subject", "trial", "image", "clip" */

#endif
