/* SPDX-License-Identifier: BSD-3-Clause */
/* Annotation and clustering figures as the JSON text that scw_evaluate hands out. */
#ifndef METRIC_EVALUATE_H
#define METRIC_EVALUATE_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct evaluate_input {
    int64_t n;
    const strings *classes;    /* names of the codes below */
    const int32_t *truth;      /* [n]; -1: no label, the cell is left out everywhere */
    const int32_t
        *prediction;        /* [n], or NULL: no annotation figures; -1: no answer, counted wrong */
    const float *embedding; /* [n, d], or NULL: no clustering figures; a row that is not finite (a
                             * cell without an embedding) is left out of the clustering */
    int64_t d;
    uint64_t seed; /* of k-means; k is the number of classes among the cells clustered */
} evaluate_input;

/* SCW_EDATA: no labelled cell, or none that has an embedding. *out: free with mem_free. */
SCW_CHECKED scw_status evaluate_json(char **out, const evaluate_input *input);

#endif
