/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/class_means.h"

#include <math.h>
#include <stdio.h>

scw_status class_means_init(class_means *c, const matilda_config *config)
{
    scw_status st = SCW_OK;
    char name[128];
    bool any = false;

    *c = (class_means){0};
    for (int m = 0; m < config->n_modalities; m++) {
        const int64_t shape[2] = {config->n_classes, config->modality[m].n_components};
        c->mean[m] = -1;
        if (shape[1] == 0) continue;
        (void)snprintf(name, sizeof name, "means.%s", config->modality[m].name);
        TRY(params_add(&c->p, &c->mean[m], name, 2, shape, PARAM_KEEP, 0, 0, false, 0));
        any = true;
    }
    if (!any) goto done;
    c->n = config->n_modalities;
    TRY(params_build(&c->p, 0));
    for (int64_t e = 0; e < c->p.n_values; e++) c->p.value[e] = (real)NAN;
done:
    if (st != SCW_OK) class_means_clear(c);
    return st;
}

void class_means_clear(class_means *c)
{
    params_clear(&c->p);
    *c = (class_means){0};
}
