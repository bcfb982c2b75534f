/* SPDX-License-Identifier: Apache-2.0
 *
 * Importers: what users bring, as a dataset. Each fills a dor_dataset; what is
 * common (pseudonyms, the printed summary, writing) is done once, here. Errors
 * name file and line, or the row and field. */
#ifndef DOR_DATA_IMPORT_H
#define DOR_DATA_IMPORT_H

#include "base/csv.h"
#include "base/intern.h"
#include "base/schema.h"
#include "base/str.h"
#include "data/dataset.h"

typedef struct dor_import_cfg {
#include "base/keys_fields.h"
#include "data/import.def"
#include "base/keys_end.h"
} dor_import_cfg;
extern const dor_key dor_import_keys[];
/* The config of import csv: its top level, people, labels, one of labels.targets, proms and features, videos. */
extern const dor_key dor_csv_top_keys[], dor_csv_people_keys[], dor_csv_labels_keys[], dor_csv_target_keys[], dor_csv_columns_keys[], dor_csv_videos_keys[];

/* Fills `d` (zeroed before, released by the caller also after a failure). Sets *named when its ids name people; then they become pseudonyms. */
typedef dor_status dor_import_fn(dor_dataset *d, const char *src, const dor_import_cfg *c, bool *named);

#define IMPORTER(format, keys, help) dor_import_fn dor_import_##format;
#include "data/importers.def"
#undef IMPORTER

typedef struct dor_importer {
  const char *format, *keys, *help; /* keys: those of dor_import_keys that it uses, with a space between */
  dor_import_fn *fill;
} dor_importer;
extern const dor_importer dor_importers[]; /* ends with a row whose format is NULL */

/* Does this importer use all of these "key=value"? A key that it would pass over is a mistake. errors USAGE: no such format, or the key
 * and those that it uses */
DOR_MUST dor_status dor_import_takes(const char *format, const char *const assign[], int32_t n_assign);

/* Read src, print a summary (dor_note), write `out` unless dry_run; json (may be NULL) gets the summary as one object.
 * errors USAGE: no such format; CONFIG, DATA, IO */
DOR_MUST dor_status dor_import(const char *format, const char *src, const char *out, const dor_import_cfg *c, bool dry_run, dor_str *json);

/* A cell that names a person, a group or a class: not empty unless `may_be_empty`, no blank at either end (it would be two names of one),
 * at most 1024 bytes. errors DATA "file:line: column ...", without the cell's text */
DOR_MUST dor_status dor_import_name(const dor_csv *t, int32_t row, int32_t col, bool may_be_empty);

typedef struct dor_recording { /* a row of a manifest */
  const char *path, *file;     /* where the video lies; its own name */
  const char *movement, *side; /* "" where not given */
  int32_t subject;
} dor_recording;

typedef struct dor_recordings {
  int32_t n;
  const dor_recording *at;     /* [n] in the manifest's order */
  bool keypoints, angles;      /* what is to be kept of them */
} dor_recordings;

/* Who is in which video, by a cohort's config (its tables are taken too) or a manifest alone (.csv). `d` as for dor_import_fn.
 * errors CONFIG, DATA with file:line */
DOR_MUST dor_status dor_import_recordings(dor_dataset *d, const char *src, dor_recordings *out, bool *named);

/* Ids -> keyed hashes. The key and the mapping (row, id, pseudonym) are kept in private files beside the source, mode 0600:
 * SRC.private.key, SRC.private.csv; a key that is there is used again, so later imports give the same pseudonyms. */
DOR_MUST dor_status dor_pseudonymise(dor_dataset *d, const char *src, bool dry_run);

/* People, trials, frames, missing values, classes: a line each. */
void dor_import_summary(const dor_dataset *d, dor_str *out);
/* As one JSON object: file, written, counts, classes, and the SHA-256 of the file (null unless written). */
void dor_import_json(const dor_dataset *d, const char *file, bool written, dor_str *out);

#endif
