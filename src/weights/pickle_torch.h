/* SPDX-License-Identifier: Apache-2.0
 *
 * The few classes that a pickle of weights may name, and what becomes of calling
 * them: a dictionary, a view of a storage, a storage; and two whose objects are
 * passed over. */
#ifndef DOR_WEIGHTS_PICKLE_TORCH_H
#define DOR_WEIGHTS_PICKLE_TORCH_H

#include "weights/pickle.h"

/* errors DATA: a class that is not allowed, by name */
DOR_MUST dor_status dor_pickle_class(const dor_pickle *p, const char *module, const char *name, dor_pickle_value *out);
/* class(args): OrderedDict, _rebuild_tensor_v2, _rebuild_parameter */
DOR_MUST dor_status dor_pickle_call(dor_pickle *p, const dor_pickle_value *class, const dor_pickle_value *args, dor_pickle_value *out);
/* An object of the class without arguments: only of the authors' loss scalers, for which an empty dictionary stands; its state is
 * read like any value and left out (op_build). Nothing of the class is known or run. */
DOR_MUST dor_status dor_pickle_object(dor_pickle *p, const dor_pickle_value *class, const dor_pickle_value *args, dor_pickle_value *out);
/* ("storage", class, key, location, numel) and in legacy files a sixth that is None */
DOR_MUST dor_status dor_pickle_persistent(dor_pickle *p, const dor_pickle_value *id, dor_pickle_value *out);

#endif
