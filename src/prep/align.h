/* SPDX-License-Identifier: BSD-3-Clause */
/* Features of a query brought into the order of a model, by name. */
#ifndef PREP_ALIGN_H
#define PREP_ALIGN_H

#include "base/text.h"
#include "data/matrix.h"

typedef struct alignment {
    int64_t n_vars;       /* features of the model */
    int64_t n_found;      /* of these, in the query */
    int64_t n_extra;      /* in the query, unknown to the model */
    int64_t *from;        /* [n_vars] column of the query, -1: missing */
    uint8_t *has_feature; /* [n_vars] */
} alignment;

/* Exact names first; if fewer than half are found, once more ignoring case, Ensembl version
 * suffixes
 * ("ENSG0001.5") and the separators . - _ and space (antibody names are spelt many ways). */
SCW_CHECKED scw_status alignment_build(alignment *out, const strings *model_names,
                                       const strings *query_names);
void alignment_clear(alignment *a);

#endif
