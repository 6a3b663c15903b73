/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/classification.h"

#include <string.h>

#include "base/alloc.h"

void classification_clear(classification *c)
{
    mem_free(c->precision);
    mem_free(c->recall);
    mem_free(c->f1);
    mem_free(c->support);
    mem_free(c->predicted);
    memset(c, 0, sizeof *c);
}

static double ratio(double part, double whole)
{
    return whole > 0.0 ? part / whole : 0.0;
}

/* Per-class figures and their means, once support, predicted and hits are counted. */
static void summarise(classification *c, const int64_t *hits)
{
    int32_t n_seen = 0, n_true = 0;
    int64_t correct = 0, largest = 0;
    double sum_f1 = 0.0, sum_recall = 0.0;

    for (int32_t k = 0; k < c->n_classes; k++) {
        double tp = (double)hits[k], support = (double)c->support[k];
        double predicted = (double)c->predicted[k];
        c->precision[k] = ratio(tp, predicted);
        c->recall[k] = ratio(tp, support);
        c->f1[k] = ratio(2.0 * tp, support + predicted);
        correct += hits[k];
        if (c->support[k] > largest) largest = c->support[k];
        if (c->support[k] > 0) n_true++;
        if (c->support[k] > 0 || c->predicted[k] > 0) n_seen++;
        sum_f1 += c->f1[k];
        sum_recall += c->recall[k];
    }
    c->accuracy = ratio((double)correct, (double)c->n);
    c->majority_accuracy = ratio((double)largest, (double)c->n);
    c->macro_f1 = ratio(sum_f1, n_seen);
    c->balanced_accuracy = ratio(sum_recall, n_true);
}

scw_status classification_measure(classification *out, const int32_t *truth,
                                  const int32_t *prediction, int64_t n, int32_t n_classes)
{
    scw_status st = SCW_OK;
    classification c = {.n_classes = n_classes};
    int64_t *hits = NULL;

    memset(out, 0, sizeof *out);
    TRY(mem_new(&hits, n_classes));
    TRY(mem_new(&c.precision, n_classes));
    TRY(mem_new(&c.recall, n_classes));
    TRY(mem_new(&c.f1, n_classes));
    TRY(mem_new(&c.support, n_classes));
    TRY(mem_new(&c.predicted, n_classes));
    for (int64_t i = 0; i < n; i++) {
        if (truth[i] < 0) continue;
        if (truth[i] >= n_classes || prediction[i] >= n_classes)
            FAIL(SCW_EINVAL, "class code %d of cell %lld is not below the number of classes, %d",
                 truth[i] >= n_classes ? truth[i] : prediction[i], (long long)i, n_classes);
        c.n++;
        c.support[truth[i]]++;
        if (prediction[i] < 0) continue;
        c.n_predicted++;
        c.predicted[prediction[i]]++;
        if (prediction[i] == truth[i]) hits[truth[i]]++;
    }
    if (c.n == 0) FAIL(SCW_EDATA, "no cell has a true class: nothing to compare predictions with");
    summarise(&c, hits);
    *out = c;
    memset(&c, 0, sizeof c);
done:
    mem_free(hits);
    classification_clear(&c);
    return st;
}
