/* SPDX-License-Identifier: Apache-2.0 */
#include "weights/record.h"

#include <string.h>

static const char *const keys[] = {
#define X(key, says) #key,
    DOR_WEIGHTS_RECORD(X)
#undef X
};
enum { KEYS = sizeof keys / sizeof *keys };

_Static_assert(sizeof(dor_weights_record) == KEYS * sizeof(char *) && KEYS < (int)DOR_WEIGHTS_META, "a record is a text for each key");

void dor_weights_record_of(const dor_tensors *t, dor_weights_record *r)
{
  const char *text[KEYS];
  for (int i = 0; i < KEYS; i++) text[i] = dor_tensors_meta(t, keys[i]);
  memcpy(r, text, sizeof text);
}

int32_t dor_weights_record_meta(const dor_weights_record *r, dor_meta out[DOR_WEIGHTS_META])
{
  const char *text[KEYS];
  int32_t n = 0;
  memcpy(text, r, sizeof text);
  out[n++] = (dor_meta){"format", "dorsum"};
  for (int i = 0; i < KEYS; i++)
    if (text[i] && *text[i]) out[n++] = (dor_meta){keys[i], text[i]};
  return n;
}

static bool said(const char *text) { return text && *text; }

bool dor_weights_known(const dor_weights_record *r) { return said(r->data) || said(r->data_sha256); }
bool dor_weights_synthetic(const dor_weights_record *r) { return r->stamp && strstr(r->stamp, "SYNTHETIC"); }

bool dor_weights_leaks(const dor_weights_record *r) { return r->stamp && strstr(r->stamp, "LEAKS"); }
bool dor_weights_saw(const dor_weights_record *r, const char *sha256) { return r->seen && strstr(r->seen, sha256); }

void dor_weights_record_line(const dor_weights_record *r, dor_str *out)
{
  if (!dor_weights_known(r)) {
    dor_str_add(out, "of unknown origin: no record of what they were trained on");
    return;
  }
  dor_str_add(out, "trained on ");
  if (said(r->trained_on)) dor_str_fmt(out, "%s %s%s", r->trained_on, said(r->unit) ? r->unit : "sample", strcmp(r->trained_on, "1") ? "s" : "");
  if (said(r->data)) dor_str_fmt(out, "%s%s", said(r->trained_on) ? " of " : "", r->data);
  else if (!said(r->trained_on)) dor_str_fmt(out, "data %.12s", r->data_sha256);
  if (said(r->experiment)) dor_str_fmt(out, ", experiment %s", r->experiment);
  if (said(r->arm)) dor_str_fmt(out, ", arm %s", r->arm);
  if (said(r->began_with)) dor_str_fmt(out, ", begun with weights %s", r->began_with);
  if (said(r->stamp)) dor_str_fmt(out, "; %s", r->stamp);
}
