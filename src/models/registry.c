/* SPDX-License-Identifier: BSD-3-Clause */
/* The models there are. How to add one: write its network and options beside matilda.c, its
 * training plan in src/train, and add a row here. */
#include <string.h>

#include "models/matilda_options.h"
#include "scweave/model.h"

static const scw_model_kind kinds[] = {
    {"matilda", "annotate, embed and simulate cells of several modalities with one network",
     matilda_option_table, sizeof(matilda_options), "compat", matilda_options_preset},
};

const scw_model_kind *scw_model_kind_at(int k)
{
    return k >= 0 && k < (int)(sizeof kinds / sizeof *kinds) ? &kinds[k] : NULL;
}

const scw_model_kind *scw_model_kind_find(const char *name)
{
    for (int k = 0; scw_model_kind_at(k); k++)
        if (strcmp(kinds[k].name, name) == 0) return &kinds[k];
    return NULL;
}
