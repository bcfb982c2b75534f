/* SPDX-License-Identifier: Apache-2.0
 *
 * --device: a name becomes a backend that is ready to be used. */
#include <string.h>

#include "backend/backend.h"
#include "cli/cli.h"

static dor_status no_device(const char *name, bool look)
{
  return DOR_FAIL(USAGE, "no device '%s'; there are auto, cpu, cuda, cuda:N%s", name, look ? " and null" : "");
}

static dor_status open_cuda(const char *name, bool look, const dor_backend **out)
{
  int64_t index = 0;
  if (name[4] && (name[4] != ':' || dor_parse_int(name + 5, &index) || index < 0 || index > 1023)) return no_device(name, look);
  *out = dor_backend_find("cuda");
  DOR_NEED(*out, UNSUPPORTED, "this dorsum was built without CUDA (docs/guide/gpu.md); --device cpu");
  return (*out)->open((int32_t)index);
}

dor_status dor_cli_device(const dor_cli *c, bool look, const dor_backend **out)
{
  const char *name = c->device ? c->device : "auto";
  if (look && !c->device) name = "cpu"; /* what is only looked at needs no device */
  *out = &dor_backend_cpu;
  if (!strcmp(name, "cpu")) return DOR_OK;
  if (look && !strcmp(name, "null")) return *out = dor_backend_find("null"), DOR_OK;
  if (!strncmp(name, "cuda", 4)) return open_cuda(name, look, out);
  if (strcmp(name, "auto")) return no_device(name, look);
  const dor_backend *cuda = dor_backend_find("cuda");
  if (cuda && !cuda->open(0)) *out = cuda;
  return DOR_OK;
}
