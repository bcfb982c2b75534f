/* SPDX-License-Identifier: Apache-2.0 */
#include "train/device.h"

#include "base/log.h"

dor_format dor_device_format(const dor_experiment *e) { return dor_backend_format(e->backend, (dor_format)e->top.precision); }

static dor_status check_precision(const dor_experiment *e, const char *name)
{
  const dor_format asked = (dor_format)e->top.precision;
  dor_str s = {0};
  for (dor_format f = DOR_FORMAT_FP32; f <= DOR_FORMAT_FP16; f++)
    if (dor_backend_takes(e->backend, f) && dor_backend_format(e->backend, f) == f) dor_str_fmt(&s, "%s%s", s.n ? ", " : "", dor_format_name(f));
  dor_status status = dor_str_status(&s);
  if (!status && !dor_backend_takes(e->backend, asked))
    status = DOR_FAIL(CONFIG, "%s: precision = \"%s\" is not to be had on %s, which has %s", e->precision_where, dor_format_name(asked), name, s.s);
  dor_str_release(&s);
  return status;
}

dor_status dor_device_ready(const dor_experiment *e)
{
  const char *name = e->backend ? e->backend->name : dor_backend_cpu.name;
  const dor_format asked = (dor_format)e->top.precision, format = dor_device_format(e);
  DOR_TRY(check_precision(e, name));
  if (format != asked) dor_note("precision = \"%s\": %s has none; it computes in %s", dor_format_name(asked), name, dor_format_name(format));
  if (e->backend && e->backend->tune)
    e->backend->tune(&(dor_tuning){.deterministic = e->top.deterministic, .autotune = e->cuda.autotune, .workspace = (size_t)e->cuda.workspace_mb << 20,
                                   .cache = *e->cuda.plan_cache ? e->cuda.plan_cache : NULL});
  return DOR_OK;
}

void dor_device_keys(const dor_experiment *e, dor_str *out)
{
  const dor_format format = dor_device_format(e);
  if (format != DOR_FORMAT_FP32) dor_str_fmt(out, "precision %s ", dor_format_name(format));
  if (!e->backend || !e->backend->tune) return;
  if (!e->top.deterministic) dor_str_add(out, "deterministic 0 ");
  if (e->cuda.autotune) dor_str_add(out, "autotune 1 ");
  if (e->cuda.workspace_mb) dor_str_fmt(out, "workspace_mb %lld ", (long long)e->cuda.workspace_mb);
}
