/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/paired_set.h"

#include "base/alloc.h"

void paired_set_clear(paired_set *s)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        mem_free(s->input[k]);
        mem_free(s->present[k]);
    }
    *s = (paired_set){0};
}
