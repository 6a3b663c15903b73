/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/clustering.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

void contingency_clear(contingency *t)
{
    mem_free(t->counts);
    mem_free(t->row_sums);
    mem_free(t->col_sums);
    memset(t, 0, sizeof *t);
}

/* Position of each code that occurs, by order of code: *position [largest code + 1], -1 if unused.
 */
static scw_status compact(int64_t **position, int64_t *n_used, const int32_t *codes,
                          const int32_t *others, int64_t n)
{
    scw_status st = SCW_OK;
    int32_t largest = -1;

    *n_used = 0;
    for (int64_t i = 0; i < n; i++)
        if (codes[i] > largest) largest = codes[i];
    TRY(mem_new(position, (int64_t)largest + 1));
    for (int64_t i = 0; i < n; i++)
        if (codes[i] >= 0 && others[i] >= 0) (*position)[codes[i]] = 1;
    for (int64_t c = 0; c <= largest; c++) (*position)[c] = (*position)[c] ? (*n_used)++ : -1;
done:
    return st;
}

scw_status contingency_build(contingency *out, const int32_t *classes, const int32_t *clusters,
                             int64_t n)
{
    scw_status st = SCW_OK;
    contingency t = {0};
    int64_t *row = NULL, *col = NULL, size;

    memset(out, 0, sizeof *out);
    TRY(compact(&row, &t.n_rows, classes, clusters, n));
    TRY(compact(&col, &t.n_cols, clusters, classes, n));
    if (!checked_mul(&size, t.n_rows, t.n_cols))
        FAIL(SCW_EDATA, "too many groups: %lld classes by %lld clusters", (long long)t.n_rows,
             (long long)t.n_cols);
    TRY(mem_new(&t.counts, size));
    TRY(mem_new(&t.row_sums, t.n_rows));
    TRY(mem_new(&t.col_sums, t.n_cols));
    for (int64_t i = 0; i < n; i++) {
        if (classes[i] < 0 || clusters[i] < 0) continue;
        int64_t r = row[classes[i]], c = col[clusters[i]];
        t.counts[r * t.n_cols + c]++;
        t.row_sums[r]++;
        t.col_sums[c]++;
        t.n++;
    }
    *out = t;
    memset(&t, 0, sizeof t);
done:
    mem_free(row);
    mem_free(col);
    contingency_clear(&t);
    return st;
}

/* In double: the number of pairs of a million cells is exact, and no count overflows. */
static double pairs(int64_t n)
{
    return 0.5 * (double)n * (double)(n - 1);
}

static double sum_pairs(const int64_t *counts, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += pairs(counts[i]);
    return sum;
}

static double entropy(const int64_t *counts, int64_t n, double total)
{
    double h = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double share = (double)counts[i] / total;
        if (share > 0.0) h -= share * log(share);
    }
    return h;
}

static double mutual_information(const contingency *t)
{
    double total = (double)t->n, sum = 0.0;
    for (int64_t r = 0; r < t->n_rows; r++) {
        for (int64_t c = 0; c < t->n_cols; c++) {
            double joint = (double)t->counts[r * t->n_cols + c];
            if (joint <= 0.0) continue;
            double expected = (double)t->row_sums[r] * (double)t->col_sums[c];
            sum += joint / total * log(joint * total / expected);
        }
    }
    return sum > 0.0 ? sum : 0.0;
}

static double ratio_or(double part, double whole, double otherwise)
{
    return whole > 0.0 ? part / whole : otherwise;
}

scw_status clustering_measure(clustering *out, const int32_t *classes, const int32_t *clusters,
                              int64_t n)
{
    scw_status st = SCW_OK;
    contingency t = {0};

    memset(out, 0, sizeof *out);
    TRY(contingency_build(&t, classes, clusters, n));
    if (t.n == 0) FAIL(SCW_EDATA, "no cell has both a class and a cluster: nothing to compare");

    double together = sum_pairs(t.counts, t.n_rows * t.n_cols);
    double in_class = sum_pairs(t.row_sums, t.n_rows), in_cluster = sum_pairs(t.col_sums, t.n_cols);
    double all = pairs(t.n), mean = 0.5 * (in_class + in_cluster);
    double expected = ratio_or(in_class * in_cluster, all, 0.0);
    double h_class = entropy(t.row_sums, t.n_rows, (double)t.n);
    double h_cluster = entropy(t.col_sums, t.n_cols, (double)t.n);
    bool no_pairs = mean == 0.0;

    out->n = t.n;
    out->rand = ratio_or(all - (in_class + in_cluster - 2.0 * together), all, 1.0);
    /* mean == expected: both partitions are all singletons or both one group, hence equal */
    out->ari = mean == expected ? 1.0 : (together - expected) / (mean - expected);
    out->fm = ratio_or(together, sqrt(in_class * in_cluster), no_pairs ? 1.0 : 0.0);
    out->jaccard = ratio_or(together, in_class + in_cluster - together, 1.0);
    out->nmi = t.n_rows == 1 && t.n_cols == 1
                   ? 1.0
                   : 2.0 * mutual_information(&t) / (h_class + h_cluster);
done:
    contingency_clear(&t);
    return st;
}
