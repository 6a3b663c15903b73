/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/lbfgs.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define MAX_HISTORY 32
#define MAX_TRIALS 25        /* of one line search */
#define ENOUGH_DECREASE 1e-4 /* c1 of the Wolfe conditions */
#define ENOUGH_FLATNESS 0.9  /* c2 */

typedef struct search {
    int64_t n;
    lbfgs_function function;
    void *user;
    int history, n_pairs, next; /* pairs are a ring; `next` is written next */
    double *steps, *changes;    /* s, y [history, n] */
    double curvature[MAX_HISTORY]; /* 1 / (s . y) */
    double *x, *gradient;          /* [n] where the search stands */
    double *direction;             /* [n] */
    double *trial_x, *trial_gradient; /* [n] */
    double value, trial_value;
    int64_t evaluations;
} search;

/* Fixed order: eight partial sums, so that the loop vectorises and the result never varies. */
static double dot(const double *a, const double *b, int64_t n)
{
    double part[8] = {0}, sum = 0.0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int64_t e = 0; e < 8; e++) part[e] += a[i + e] * b[i + e];
    for (; i < n; i++) sum += a[i] * b[i];
    for (int e = 0; e < 8; e++) sum += part[e];
    return sum;
}

static double largest(const double *v, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++)
        if (fabs(v[i]) > most) most = fabs(v[i]);
    return most;
}

/* direction = -H gradient through the two-loop recursion. */
static void set_direction(search *s)
{
    double weight[MAX_HISTORY];
    double *d = s->direction;

    for (int64_t i = 0; i < s->n; i++) d[i] = -s->gradient[i];
    for (int p = 0; p < s->n_pairs; p++) { /* newest to oldest */
        int at = (s->next - 1 - p + s->history) % s->history;
        const double *step = s->steps + at * s->n, *change = s->changes + at * s->n;
        weight[at] = s->curvature[at] * dot(step, d, s->n);
        for (int64_t i = 0; i < s->n; i++) d[i] -= weight[at] * change[i];
    }
    if (s->n_pairs > 0) {
        int at = (s->next - 1 + s->history) % s->history;
        const double *change = s->changes + at * s->n;
        double scale = 1.0 / (s->curvature[at] * dot(change, change, s->n));
        for (int64_t i = 0; i < s->n; i++) d[i] *= scale;
    }
    for (int p = s->n_pairs - 1; p >= 0; p--) {
        int at = (s->next - 1 - p + s->history) % s->history;
        const double *step = s->steps + at * s->n, *change = s->changes + at * s->n;
        double back = s->curvature[at] * dot(change, d, s->n);
        for (int64_t i = 0; i < s->n; i++) d[i] += (weight[at] - back) * step[i];
    }
}

/* Keep the pair of the accepted step unless its curvature is not positive, then move there. */
static void accept(search *s)
{
    double *step = s->steps + s->next * s->n, *change = s->changes + s->next * s->n;

    for (int64_t i = 0; i < s->n; i++) {
        step[i] = s->trial_x[i] - s->x[i];
        change[i] = s->trial_gradient[i] - s->gradient[i];
    }
    double bend = dot(step, change, s->n);
    if (bend > 1e-14 * dot(change, change, s->n)) {
        s->curvature[s->next] = 1.0 / bend;
        s->next = (s->next + 1) % s->history;
        if (s->n_pairs < s->history) s->n_pairs++;
    }
    memcpy(s->x, s->trial_x, (size_t)s->n * sizeof *s->x);
    memcpy(s->gradient, s->trial_gradient, (size_t)s->n * sizeof *s->gradient);
    s->value = s->trial_value;
}

/* Value and slope along the direction at step length t. */
static scw_status evaluate(search *s, double t, double *slope)
{
    scw_status st = SCW_OK;

    for (int64_t i = 0; i < s->n; i++) s->trial_x[i] = s->x[i] + t * s->direction[i];
    TRY(s->function(s->user, s->trial_x, &s->trial_value, s->trial_gradient));
    s->evaluations++;
    *slope = dot(s->trial_gradient, s->direction, s->n);
    if (!isfinite(s->trial_value) || !isfinite(*slope)) s->trial_value = INFINITY;
done:
    return st;
}

typedef struct bracket_end {
    double t, value, slope;
} bracket_end;

/* Minimiser of the cubic through both ends, kept away from them; the middle where it is undefined.
 */
static double interpolate(bracket_end low, bracket_end high)
{
    double width = high.t - low.t, middle = low.t + 0.5 * width;
    if (!isfinite(high.value)) return low.t + 0.1 * width;
    double a = low.slope + high.slope - 3.0 * (high.value - low.value) / width;
    double root = a * a - low.slope * high.slope;
    if (!(root >= 0.0)) return middle;
    root = copysign(sqrt(root), width);
    double t = high.t - width * (high.slope + root - a) / (high.slope - low.slope + 2.0 * root);
    double nearest = 0.1 * fabs(width);
    if (!isfinite(t) || fabs(t - low.t) < nearest || fabs(t - high.t) < nearest ||
        (t - low.t) * (t - high.t) > 0.0)
        return middle;
    return t;
}

/* Strong Wolfe conditions. *found is false when no lower point could be found. On success the trial
 * fields hold the accepted point. */
static scw_status line_search(search *s, double t, bool *found)
{
    scw_status st = SCW_OK;
    double slope0 = dot(s->gradient, s->direction, s->n);
    bracket_end low = {0.0, s->value, slope0}, high = {0.0, 0.0, 0.0};
    bool bracketed = false;

    *found = false;
    for (int trial = 0; trial < MAX_TRIALS; trial++) {
        double slope;
        TRY(evaluate(s, t, &slope));
        bracket_end here = {t, s->trial_value, slope};
        if (here.value > s->value + ENOUGH_DECREASE * t * slope0 ||
            (low.t > 0.0 && here.value >= low.value)) {
            high = here;
            bracketed = true;
        } else {
            if (fabs(slope) <= -ENOUGH_FLATNESS * slope0) {
                *found = true;
                return SCW_OK;
            }
            if (bracketed ? slope * (high.t - low.t) >= 0.0 : slope >= 0.0) {
                high = low;
                bracketed = true;
            }
            low = here;
        }
        if (bracketed && fabs(high.t - low.t) < 1e-12 * (low.t + high.t)) break;
        t = bracketed ? interpolate(low, high) : 2.5 * t;
    }
    if (low.t > 0.0 && low.value < s->value) { /* lower, though not flat enough */
        double slope;
        TRY(evaluate(s, low.t, &slope));
        *found = true;
    }
done:
    return st;
}

static scw_status prepare(search *s)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&s->steps, s->history * s->n));
    TRY(mem_new(&s->changes, s->history * s->n));
    TRY(mem_new(&s->gradient, s->n));
    TRY(mem_new(&s->direction, s->n));
    TRY(mem_new(&s->trial_x, s->n));
    TRY(mem_new(&s->trial_gradient, s->n));
done:
    return st;
}

static void search_clear(search *s)
{
    mem_free(s->steps);
    mem_free(s->changes);
    mem_free(s->gradient);
    mem_free(s->direction);
    mem_free(s->trial_x);
    mem_free(s->trial_gradient);
}

scw_status lbfgs_minimise(double *x, int64_t n, lbfgs_function function, void *user,
                          const lbfgs_options *options, lbfgs_report *report)
{
    scw_status st = SCW_OK;
    int history = options->history < 1 ? 1 : options->history;
    search s = {.n = n, .function = function, .user = user, .x = x,
                .history = history > MAX_HISTORY ? MAX_HISTORY : history};

    memset(report, 0, sizeof *report);
    TRY(prepare(&s));
    TRY(function(user, x, &s.value, s.gradient));
    s.evaluations++;
    if (!isfinite(s.value))
        FAIL(SCW_ENUMERIC, "the function to minimise is not finite at the start");
    report->gradient_max = largest(s.gradient, n);
    report->converged = report->gradient_max <= options->gradient_tolerance;
    while (!report->converged && report->iterations < options->max_iterations) {
        bool found;
        double before = s.value;
        set_direction(&s);
        if (!(dot(s.gradient, s.direction, n) <
              0.0)) { /* history spoiled by rounding: start anew */
            s.n_pairs = 0;
            set_direction(&s);
        }
        double first = s.n_pairs ? 1.0 : 1.0 / (1.0 + sqrt(dot(s.gradient, s.gradient, n)));
        TRY(line_search(&s, first, &found));
        if (!found && s.n_pairs == 0) break;
        if (!found) {
            s.n_pairs = 0;
            continue;
        }
        accept(&s);
        report->iterations++;
        report->gradient_max = largest(s.gradient, n);
        double scale = fmax(fmax(fabs(before), fabs(s.value)), 1.0);
        report->converged = report->gradient_max <= options->gradient_tolerance ||
                            before - s.value <= options->value_tolerance * scale;
    }
    report->value = s.value;
    report->evaluations = s.evaluations;
done:
    search_clear(&s);
    return st;
}
