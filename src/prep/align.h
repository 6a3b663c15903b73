/* SPDX-License-Identifier: BSD-3-Clause */
/* Features of a query brought into the order of a model, by name. */
#ifndef PREP_ALIGN_H
#define PREP_ALIGN_H

#include "data/frame.h"
#include "data/matrix.h"

typedef struct alignment {
    int64_t n_vars;       /* features of the model */
    int64_t n_found;      /* of these, in the query */
    int64_t n_extra;      /* in the query, unknown to the model */
    int64_t *from;        /* [n_vars] column of the query, -1: missing */
    uint8_t *has_feature; /* [n_vars] */
    const char *column;   /* of the query's var that gave the names (borrowed); NULL: its index */
} alignment;

/* Exact names first; if fewer than half are found, once more ignoring case, Ensembl version
 * suffixes
 * ("ENSG0001.5") and the separators . - _ and space (antibody names are spelt many ways). */
SCW_CHECKED scw_status alignment_build(alignment *out, const strings *model_names,
                                       const strings *query_names);
/* The same; where fewer than half are found, the columns of var that identify genes are tried too
 * (data/identity.h): a model of Ensembl ids reads a query of symbols that has gene_ids. */
SCW_CHECKED scw_status alignment_build_var(alignment *out, const strings *model_names,
                                           const frame *query_var);
void alignment_clear(alignment *a);

#endif
