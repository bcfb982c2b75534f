/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of models, made from models.def. */
#include "nn/nn.h"

#include <string.h>

const dor_model *const dor_models[] = {
#define MODEL(name, ...) &dor_model_##name,
#include "nn/models.def"
#undef MODEL
    NULL};

const dor_model *dor_model_find(const char *name)
{
  for (const dor_model *const *m = dor_models; *m; m++)
    if (!strcmp((*m)->name, name)) return *m;
  return NULL;
}
