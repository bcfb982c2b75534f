/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum describe of a weight file. */
#ifndef DOR_CLI_DESCRIBE_WEIGHTS_H
#define DOR_CLI_DESCRIBE_WEIGHTS_H

#include "cli/cli.h"

DOR_MUST dor_status dor_describe_weights(const dor_cli *c, const char *path);

#endif
