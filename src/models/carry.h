/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters of a fitted network as the start of another of the same kind, by name.
 *
 * The two may differ in what has entries of its own in them, batches say. Those that both know stand
 * first, in the same order, and keep their values; a new one starts at the mean of those known. */
#ifndef MODELS_CARRY_H
#define MODELS_CARRY_H

#include "engine/params.h"

/* Parameters that may have grown: their names begin with `prefix` and end with `suffix`. One that the
 * fitted network lacks altogether keeps its initial values. */
typedef struct carry_rule {
    const char *prefix, *suffix;
    int axis;      /* along which they grow, 0 or 1 */
    int64_t known; /* the last so many entries of that axis, in the fitted one, are alike; new ones start
                    * at their mean, at zero where there are none */
} carry_rule;

/* SCW_EINVAL: a parameter is missing, or of a shape that no rule explains; the message names it. */
SCW_CHECKED scw_status carry_params(params *to, const params *from, const carry_rule *rules, int n);

#endif
