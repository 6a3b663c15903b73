/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of features by prefix or by list: mt=MT-;ribo=RPS,RPL;mine=@genes.txt */
#ifndef TASK_FEATURE_SETS_H
#define TASK_FEATURE_SETS_H

#include "base/text.h"

typedef struct feature_set {
    char *name;
    uint8_t *member; /* [n] */
    int64_t n_members;
} feature_set;

typedef struct feature_sets {
    feature_set *at;
    int n;
} feature_sets;

/* Which of the names belong to each set. Prefixes ignore case, because mouse genes are written so;
 * lists do not. SCW_EINVAL: the text cannot be read. */
SCW_CHECKED scw_status feature_sets_read(feature_sets *out, const char *text, const strings *names);
void feature_sets_clear(feature_sets *s);

#endif
