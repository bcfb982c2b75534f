/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices that this program was linked with. Which those are the Makefile finds out and writes into devices.def; tests, whose
 * CUDA kernels are built for the CPU, have none. */
#include "backend/backend.h"

#define BACKEND(name) extern const dor_backend dor_backend_##name;
#include "devices.def"
#undef BACKEND

extern const dor_backend *const dor_devices[];
const dor_backend *const dor_devices[] = {
#define BACKEND(name) &dor_backend_##name,
#include "devices.def"
#undef BACKEND
    NULL,
};
