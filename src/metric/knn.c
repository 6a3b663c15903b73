/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes by a vote of the nearest neighbours (embed/neighbors.h). */
#include <string.h>

#include "base/alloc.h"
#include "embed/neighbors.h"
#include "metric/baseline.h"

/* row [k]: from near to far; -1 throughout for a query that is not finite. */
static int32_t vote(const int32_t *row, int64_t k, const int32_t *train_y, int64_t *votes,
                    int32_t n_classes)
{
    if (row[0] < 0) return -1;
    int32_t best = train_y[row[0]];

    memset(votes, 0, (size_t)n_classes * sizeof *votes);
    for (int64_t e = 0; e < k; e++) votes[train_y[row[e]]]++;
    for (int64_t e = 1; e < k; e++) { /* from near to far: a tie keeps the nearer class */
        int32_t c = train_y[row[e]];
        if (votes[c] > votes[best]) best = c;
    }
    return best;
}

scw_status knn_predict(int32_t *classes, const float *train, const int32_t *train_y,
                       int64_t n_train, const float *query, int64_t n_query, int64_t p,
                       int32_t n_classes, int64_t k)
{
    scw_status st = SCW_OK;
    uint8_t *hidden = NULL;
    int64_t *votes = NULL, n_labelled = 0;
    neighbors nn = {0};

    if (k < 1) FAIL(SCW_EINVAL, "nearest neighbours: k is %lld, expected 1 or more", (long long)k);
    TRY(mem_new(&hidden, n_train));
    TRY(mem_new(&votes, n_classes));
    for (int64_t i = 0; i < n_train; i++) {
        if (train_y[i] >= n_classes)
            FAIL(SCW_EINVAL, "nearest neighbours: class %d of row %lld, of %d classes", train_y[i],
                 (long long)i, n_classes);
        hidden[i] = train_y[i] < 0;
        n_labelled += !hidden[i];
    }
    if (n_labelled == 0) FAIL(SCW_EDATA, "nearest neighbours: no training row has a class");
    neighbors_search search = {.rows = train, .n_rows = n_train, .d = p, .hidden = hidden,
                               .queries = query, .n_queries = n_query, .k = k};
    TRY(neighbors_find(&nn, &search));
    for (int64_t i = 0; i < n_query; i++)
        classes[i] = nn.k > 0 ? vote(nn.row + i * nn.k, nn.k, train_y, votes, n_classes) : -1;
done:
    neighbors_clear(&nn);
    mem_free(hidden);
    mem_free(votes);
    return st;
}
