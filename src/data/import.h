/* SPDX-License-Identifier: Apache-2.0
 *
 * Importers: what users bring, as a dataset. Each fills a dor_dataset; what is
 * common (pseudonyms, the printed summary, writing) is done once, here. Errors
 * name file and line, or the row and field. */
#ifndef DOR_DATA_IMPORT_H
#define DOR_DATA_IMPORT_H

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
/* The config of import csv: its top level, people, labels, one of labels.targets, proms and features. */
extern const dor_key dor_csv_top_keys[], dor_csv_people_keys[], dor_csv_labels_keys[], dor_csv_target_keys[], dor_csv_columns_keys[];

/* Fills `d` (zeroed before, released by the caller also after a failure). Sets *named when its ids name people; then they become pseudonyms. */
typedef dor_status dor_import_fn(dor_dataset *d, const char *src, const dor_import_cfg *c, bool *named);

#define IMPORTER(format, help) dor_import_fn dor_import_##format;
#include "data/importers.def"
#undef IMPORTER

typedef struct dor_importer {
  const char *format, *help;
  dor_import_fn *fill;
} dor_importer;
extern const dor_importer dor_importers[]; /* ends with a row whose format is NULL */

/* Read src, print a summary (dor_note), write `out` unless dry_run; json (may be NULL) gets the summary as one object.
 * errors USAGE: no such format; CONFIG, DATA, IO */
DOR_MUST dor_status dor_import(const char *format, const char *src, const char *out, const dor_import_cfg *c, bool dry_run, dor_str *json);

/* Ids -> keyed hashes. The key and the mapping (row, id, pseudonym) are kept in private files beside the source, mode 0600:
 * SRC.private.key, SRC.private.csv; a key that is there is used again, so later imports give the same pseudonyms. */
DOR_MUST dor_status dor_pseudonymise(dor_dataset *d, const char *src, bool dry_run);

/* People, trials, frames, missing values, classes: a line each. */
void dor_import_summary(const dor_dataset *d, dor_str *out);
/* As one JSON object: file, written, counts, classes, and the SHA-256 of the file (null unless written). */
void dor_import_json(const dor_dataset *d, const char *file, bool written, dor_str *out);

#endif
