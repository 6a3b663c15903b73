/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/reliability.h"

#include <math.h>

#define LOWEST_INVERSE 0.05 /* of 1 / T */
#define HIGHEST_INVERSE 20.0
#define SEARCH_STEPS 60

double reliability_log_loss(const reliability_set *s, double temperature)
{
    double total = 0.0;

    for (int64_t i = 0; i < s->n; i++) {
        const float *row = s->logits + i * s->n_classes;
        double top = -INFINITY, sum = 0.0;
        for (int64_t c = 0; c < s->n_classes; c++)
            top = fmax(top, (double)row[c]);
        for (int64_t c = 0; c < s->n_classes; c++)
            sum += exp(((double)row[c] - top) / temperature);
        total += log(sum) - ((double)row[s->truth[i]] - top) / temperature;
    }
    return total / (double)s->n;
}

double reliability_brier(const reliability_set *s, double temperature)
{
    double total = 0.0;

    for (int64_t i = 0; i < s->n; i++) {
        const float *row = s->logits + i * s->n_classes;
        double top = -INFINITY, sum = 0.0, squares = 0.0;
        for (int64_t c = 0; c < s->n_classes; c++)
            top = fmax(top, (double)row[c]);
        for (int64_t c = 0; c < s->n_classes; c++) {
            double e = exp(((double)row[c] - top) / temperature);
            sum += e;
            squares += e * e;
        }
        double truth = exp(((double)row[s->truth[i]] - top) / temperature) / sum;
        total += squares / (sum * sum) - 2.0 * truth + 1.0;
    }
    return total / (double)s->n;
}

double reliability_temperature(const reliability_set *s)
{
    /* Golden sections of log(1 / T). */
    const double ratio = 0.6180339887498949;
    double low = log(LOWEST_INVERSE), high = log(HIGHEST_INVERSE);
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double at_a = reliability_brier(s, exp(-a)), at_b = reliability_brier(s, exp(-b));

    for (int k = 0; k < SEARCH_STEPS && high - low > 1e-6; k++) {
        if (at_a < at_b) {
            high = b;
            b = a;
            at_b = at_a;
            a = high - ratio * (high - low);
            at_a = reliability_brier(s, exp(-a));
        } else {
            low = a;
            a = b;
            at_a = at_b;
            b = low + ratio * (high - low);
            at_b = reliability_brier(s, exp(-b));
        }
    }
    return exp(-0.5 * (low + high));
}

double reliability_ece(const double *probability, const uint8_t *right, int64_t n)
{
    double count[RELIABILITY_BINS] = {0}, hits[RELIABILITY_BINS] = {0}, sum[RELIABILITY_BINS] = {0};
    double error = 0.0;

    for (int64_t i = 0; i < n; i++) {
        int b = (int)(probability[i] * RELIABILITY_BINS);
        if (b >= RELIABILITY_BINS) b = RELIABILITY_BINS - 1;
        count[b]++;
        hits[b] += right[i];
        sum[b] += probability[i];
    }
    for (int b = 0; b < RELIABILITY_BINS; b++)
        error += fabs(hits[b] - sum[b]);
    return error / (double)n;
}
