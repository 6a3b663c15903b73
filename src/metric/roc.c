/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/roc.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int downwards(const void *a, const void *b)
{
    double x = ((const roc_item *)a)->score, y = ((const roc_item *)b)->score;
    return (x < y) - (x > y);
}

/* What was seen of a list walked from high to low scores, threshold by threshold. */
typedef struct walk {
    double positives, negatives; /* at or above the threshold */
    double wins;                 /* pairs with the positive above, ties half */
    double average;              /* sum of new positives times precision */
} walk;

static void step(walk *w, double positives, double negatives)
{
    w->wins += negatives * (w->positives + 0.5 * positives);
    w->positives += positives;
    w->negatives += negatives;
    if (positives > 0.0)
        w->average += positives * w->positives / (w->positives + w->negatives);
}

void roc_measure(roc *out, roc_item *items, int64_t n, int64_t zero_positive,
                 int64_t zero_negative)
{
    walk w = {0};
    bool zeros_done = zero_positive + zero_negative == 0;

    if (n > 1) qsort(items, (size_t)n, sizeof *items, downwards);
    for (int64_t i = 0; i < n || !zeros_done;) {
        bool zeros = !zeros_done && (i == n || items[i].score <= 0.0);
        double score = zeros ? 0.0 : items[i].score, count[2] = {0.0, 0.0};
        if (zeros) {
            count[0] = (double)zero_negative;
            count[1] = (double)zero_positive;
            zeros_done = true;
        }
        for (; i < n && items[i].score == score; i++) count[items[i].positive != 0] += 1.0;
        step(&w, count[1], count[0]);
    }
    out->auroc = w.positives > 0.0 && w.negatives > 0.0
                     ? w.wins / (w.positives * w.negatives)
                     : NAN;
    out->average = w.positives > 0.0 ? w.average / w.positives : NAN;
}
