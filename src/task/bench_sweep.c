/* SPDX-License-Identifier: BSD-3-Clause */
/* Is the time of a step a line in the non-zeros of a cell and in the number of features, and the
 * same for sets of any size? One of the three is varied, the others stay; a line of least squares
 * goes through the steps of the quickest tenth, which other programs disturb least. A quadratic
 * term would show as a residual. */
#include "task/bench.h"

#include <math.h>

#define SWEEP_BATCH 64
#define MOST_POINTS 6

typedef struct sweep {
    const char *name;
    double cells[MOST_POINTS], genes[MOST_POINTS], density[MOST_POINTS];
    int n, n_full; /* points; with --full */
} sweep;

static const sweep sweeps[] = {
    {"non-zeros",
     {2000, 2000, 2000, 2000, 2000},
     {20000, 20000, 20000, 20000, 20000},
     {0.01, 0.025, 0.05, 0.1, 0.2},
     5,
     5},
    {"features",
     {2000, 2000, 2000, 2000, 2000, 2000},
     {2000, 5000, 10000, 20000, 40000, 100000},
     {0.05, 0.02, 0.01, 0.005, 0.0025, 0.001}, /* 100 non-zeros a cell in all of them */
     5,
     6},
    {"cells",
     {1000, 3000, 10000, 100000, 300000, 1000000},
     {2000, 2000, 2000, 2000, 2000, 2000},
     {0.05, 0.05, 0.05, 0.05, 0.05, 0.05},
     4,
     6},
};

void bench_line(double *a, double *b, double *worst, const double *x, const double *y, int n)
{
    double w = 0.0, wx = 0.0, wy = 0.0, wxx = 0.0, wxy = 0.0;

    for (int k = 0; k < n; k++) {
        double q = 1.0 / (y[k] * y[k]);
        w += q;
        wx += q * x[k];
        wy += q * y[k];
        wxx += q * x[k] * x[k];
        wxy += q * x[k] * y[k];
    }
    *b = (w * wxy - wx * wy) / (w * wxx - wx * wx);
    *a = (wy - *b * wx) / w;
    *worst = 0.0;
    for (int k = 0; k < n; k++)
        *worst = fmax(*worst, fabs(y[k] - *a - *b * x[k]) / y[k]);
}

/* Largest distance from the mean, as a share of it. */
static double unevenness(const double *y, int n)
{
    double mean = 0.0, worst = 0.0;

    for (int k = 0; k < n; k++)
        mean += y[k] / n;
    for (int k = 0; k < n; k++)
        worst = fmax(worst, fabs(y[k] / mean - 1.0));
    return worst;
}

static scw_status measure_point(bench_row *row, bench *b, const sweep *s, int k)
{
    scw_status st = SCW_OK;
    bench_set set = {0};
    bench_model m = {0};

    TRY(bench_set_make(&set, (int64_t)s->cells[k], (int64_t)s->genes[k], s->density[k]));
    TRY(bench_model_init(&m, b, &set.ref, s->name, "compat"));
    TRY(bench_steps(row, b, &m, SWEEP_BATCH));
    row->part = "sweeps";
    TRY(bench_add(b, row));
done:
    bench_model_clear(&m);
    bench_set_clear(&set);
    return st;
}

static scw_status add_line(bench *b, const char *over, const char *of, const double *x,
                           const double *y, int n)
{
    double from, slope, worst;

    if (n < 3) return SCW_OK;
    bench_line(&from, &slope, &worst, x, y, n);
    return bench_append(b, "lines",
                        json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:f}", "over", over, "of", of,
                                  "points", n, "ms_at_zero", from, "ms_a_thousand", 1e3 * slope,
                                  "worst_residual", worst, "spread_about_mean",
                                  unevenness(y, n)));
}

static scw_status run_sweep(bench *b, const sweep *s, int which)
{
    scw_status st = SCW_OK;
    const int n_points = b->request->full ? s->n_full : s->n;
    double x[MOST_POINTS], wall[MOST_POINTS], cpu[MOST_POINTS];
    int n = 0;

    for (int k = 0; k < n_points; k++) {
        bench_row row;
        bool fits;
        TRY(bench_set_fits(&fits, b, s->cells[k], s->genes[k], s->density[k]));
        if (!fits) continue;
        TRY(measure_point(&row, b, s, k));
        x[n] = which == 0 ? row.nnz : which == 1 ? row.features : row.cells;
        wall[n] = 1e3 * row.quickest;
        cpu[n++] = 1e3 * row.cpu;
    }
    TRY(add_line(b, s->name, "quickest tenth", x, wall, n));
    TRY(add_line(b, s->name, "processor time", x, cpu, n));
done:
    return st;
}

scw_status bench_sweeps(bench *b)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < (int)(sizeof sweeps / sizeof *sweeps); k++)
        TRY(run_sweep(b, &sweeps[k], k));
done:
    return st;
}
