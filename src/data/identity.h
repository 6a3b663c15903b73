/* SPDX-License-Identifier: BSD-3-Clause */
/* Which feature of one set is which of another: by name, or by an identifier in a column of var. */
#ifndef DATA_IDENTITY_H
#define DATA_IDENTITY_H

#include "data/frame.h"

typedef struct features_how {
    const char *wanted, *there; /* columns that were compared; NULL: the names. Borrowed */
    int64_t n_found;
} features_how;

/* at[j]: row in `there` of feature j of `wanted`, -1: absent; no row twice. Names decide where half of
 * the smaller set has a partner; else all pairs of the names and of columns known to identify genes
 * (gene_ids, gene_name, ...) are tried, Ensembl ids without their version, and the best is taken. */
SCW_CHECKED scw_status features_match(int64_t *at, features_how *how, const frame *wanted,
                                      const frame *there);

#endif
