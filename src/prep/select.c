/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/select.h"

#include <math.h>
#include <stdlib.h>

/* Hoare's selection with the middle of three as pivot; equal values do not slow it. */
void select_largest(float *v, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;

    while (low < high && k > low && k <= high) {
        float a = v[low], b = v[low + (high - low) / 2], c = v[high];
        float pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        int64_t i = low, j = high;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i > j) break;
            float kept = v[i];
            v[i++] = v[j];
            v[j--] = kept;
        }
        if (k <= j)
            high = j;
        else if (k > i)
            low = i;
        else
            break;
    }
}

int select_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double sorted_quantile(const double *v, int64_t n, double q)
{
    double at = q * (double)(n - 1), below = floor(at);
    int64_t i = (int64_t)below;

    return i + 1 < n ? v[i] + (at - below) * (v[i + 1] - v[i]) : v[n - 1];
}

double select_median(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, select_compare);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}
