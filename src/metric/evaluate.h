/* SPDX-License-Identifier: BSD-3-Clause */
/* Annotation, clustering, integration and pairing figures as the JSON text that scw_evaluate hands out. */
#ifndef METRIC_EVALUATE_H
#define METRIC_EVALUATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "scweave/hooks.h"

/* The other side of pairs: embedding is the first. Labels and batches are codes of the same lists. */
typedef struct evaluate_other {
    const float *y; /* [n, d] with the input's d; rows that are not finite take no part */
    int64_t n;
    const int32_t *truth, *batch; /* [n]; batch NULL as the input's is */
    const int64_t *partner;       /* [input's n] row of y; -1: none */
    bool cosine;                  /* rows of both sides are first scaled to length one */
} evaluate_other;

typedef struct evaluate_input {
    int64_t n;
    const strings *classes;    /* names of the codes below */
    const int32_t *truth;      /* [n]; -1: no label, the cell is left out everywhere */
    const int32_t
        *prediction;        /* [n], or NULL: no annotation figures; -1: no answer, counted wrong */
    const float *embedding; /* [n, d], or NULL: no clustering figures; a row that is not finite (a
                             * cell without an embedding) is left out of the clustering */
    int64_t d;
    uint64_t seed; /* of k-means; k is the number of classes among the cells clustered; of Leiden */
    bool integration;     /* the figures of metric/integration.h, of labelled cells with an embedding */
    const int32_t *batch; /* [n] or NULL; a cell with -1 is then left out of them */
    int32_t n_batches;
    const float *before;  /* [n, d_before] or NULL; the same where it is not finite */
    int64_t d_before;
    const evaluate_other *other; /* NULL: no figures of pairs */
} evaluate_input;

/* SCW_EDATA: no labelled cell, or none that has what is judged. *out: free with mem_free. */
SCW_CHECKED scw_status evaluate_json(char **out, const evaluate_input *input,
                                     const scw_hooks *hooks);

/* ------------------------------------------------------------------ between the parts' files */

/* Takes over `value`, as jansson does; NULL or a refusal means that memory ran out. */
SCW_CHECKED scw_status evaluate_put(json_t *object, const char *key, json_t *value);
SCW_CHECKED scw_status evaluate_put_real(json_t *object, const char *key, double value); /* NaN: null */
SCW_CHECKED scw_status evaluate_put_int(json_t *object, const char *key, int64_t value);
bool evaluate_row_is_finite(const float *row, int64_t d);

/* evaluate_integration.c: members of root */
SCW_CHECKED scw_status evaluate_add_integration(json_t *root, const evaluate_input *in,
                                                const scw_hooks *hooks);
SCW_CHECKED scw_status evaluate_add_pairing(json_t *root, const evaluate_input *in,
                                            const scw_hooks *hooks);

#endif
