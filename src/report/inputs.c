/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run was made from, held against inputs.json: the files themselves lie
 * elsewhere, and only private/ knows where. */
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "report/meta.h"

/* Made data come from their description, which stands in the config; they are no file to check. */
static bool is_file(json_t *inputs, const char *key)
{
  static const char end[] = "_sha256";
  size_t n = strlen(key), m = sizeof end - 1;
  if (n < m || strcmp(key + n - m, end) != 0) return false;
  return strcmp(key, "synth_sha256") != 0 && !(json_object_get(inputs, "synth_sha256") && !strcmp(key, "data_sha256"));
}

static dor_status hold(const char *key, const char *want, const char *path, dor_verified *v)
{
  char hex[DOR_HASH_HEX];
  if (!path || !dor_io_exists(path)) return v->absent++, DOR_OK;
  DOR_TRY(dor_hash_file(path, hex));
  DOR_NEED(want && !strcmp(hex, want), MISMATCH, "%s has changed since the run: it is not the '%s' of inputs.json", path, key);
  v->inputs++;
  return DOR_OK;
}

dor_status dor_inputs_verify(dor_arena *a, const char *folder, dor_verified *v)
{
  json_t *inputs = NULL, *paths = NULL, *want;
  const char *key;
  dor_status s = dor_report_json(a, folder, "inputs.json", false, &inputs);
  if (!s) s = dor_report_json(a, folder, "private/paths.json", false, &paths);
  json_object_foreach(inputs, key, want)
    if (!s && is_file(inputs, key)) s = hold(key, json_string_value(want), json_string_value(json_object_get(paths, key)), v);
  json_decref(inputs);
  json_decref(paths);
  return s;
}
