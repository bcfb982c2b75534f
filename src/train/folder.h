/* SPDX-License-Identifier: Apache-2.0
 *
 * The run folder: which one, locked for this process, with the files that say
 * what is run. Nothing outside private/ knows its number or path. */
#ifndef DOR_TRAIN_FOLDER_H
#define DOR_TRAIN_FOLDER_H

#include <jansson.h>

#include "train/lock.h"
#include "train/run.h"

typedef struct dor_folder {
  char path[4096];
  bool done;                    /* it was finished before: nothing to do */
  bool fresh;                   /* made by this call */
  dor_lock lock;
} dor_folder;

/* `identity`: hash of what the data are, so that an equal config over other data is another run.
 * errors CONFIG: --out holds another run, naming the keys that differ; BUSY; IO */
DOR_MUST dor_status dor_folder_open(dor_folder *f, const dor_experiment *e, const dor_run_options *o, const char *identity);
void dor_folder_close(dor_folder *f);
/* Close one that nothing came of, and remove it if it was made by this call. */
void dor_folder_drop(dor_folder *f);

/* The hash of a synthetic cohort is known only when it was made: put it into inputs.json, which begins with that of its description.
 * Nothing is done where the data are a file. */
DOR_MUST dor_status dor_folder_data(const char *folder, const char *sha256);

/* Write a file of the folder unless it stands there with these very bytes. */
DOR_MUST dor_status dor_folder_put(const char *folder, const char *name, const dor_str *text);
/* The same for a JSON document, which is released here; NULL: there was no memory to make it. */
DOR_MUST dor_status dor_folder_put_json(const char *folder, const char *name, json_t *root);

/* Other runs of the same experiment, newest first: where finished cells may be taken from. */
DOR_MUST dor_status dor_folder_others(dor_arena *a, const dor_folder *f, const dor_experiment *e, const dor_run_options *o, const char *const **paths,
                                      int32_t *n);

#endif
