/* SPDX-License-Identifier: BSD-3-Clause */
/* The models there are. How to add one: models/kind.h. */
#include <string.h>

#include "task/clip.h"
#include "task/clue.h"
#include "task/matilda.h"

static const scw_model_kind *const kinds[] = {&matilda_kind, &clue_kind, &clip_kind};

const scw_model_kind *scw_model_kind_at(int k)
{
    return k >= 0 && k < (int)(sizeof kinds / sizeof *kinds) ? kinds[k] : NULL;
}

const scw_model_kind *scw_model_kind_find(const char *name)
{
    for (int k = 0; scw_model_kind_at(k); k++)
        if (strcmp(kinds[k]->name, name) == 0) return kinds[k];
    return NULL;
}
