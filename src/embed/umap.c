/* SPDX-License-Identifier: BSD-3-Clause */
/* UMAP of rows in memory: neighbours, weights, curve, start, layout. */
#include "embed/umap.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "embed/graph.h"

#define CURVE_POINTS 300
#define CURVE_STEPS 200
#define MANY_CELLS 10000 /* beyond, fewer epochs suffice: each cell meets as many others */

/* ------------------------------------------------------------------ curve */

/* Sum of squares at (a, b), with the normal equations of a Gauss-Newton step when `normal` is
 * given: {J_a.J_a, J_a.J_b, J_b.J_b, J_a.r, J_b.r}, r = wanted - model. */
static double curve_error(double a, double b, double min_dist, double spread, double *normal)
{
    double sum = 0.0;

    if (normal) memset(normal, 0, 5 * sizeof *normal);
    for (int p = 0; p < CURVE_POINTS; p++) {
        double x = 3.0 * spread * p / (CURVE_POINTS - 1);
        double wanted = x < min_dist ? 1.0 : exp(-(x - min_dist) / spread);
        double power = x > 0.0 ? pow(x, 2.0 * b) : 0.0, model = 1.0 / (1.0 + a * power);
        double r = wanted - model;
        sum += r * r;
        if (!normal || !(x > 0.0)) continue;
        double by_a = -model * model * power, by_b = -model * model * a * power * 2.0 * log(x);
        normal[0] += by_a * by_a;
        normal[1] += by_a * by_b;
        normal[2] += by_b * by_b;
        normal[3] += by_a * r;
        normal[4] += by_b * r;
    }
    return sum;
}

/* Levenberg-Marquardt from a = b = 1, in log a and log b: both stay positive. */
scw_status umap_fit_curve(double *a, double *b, double min_dist, double spread)
{
    double m[5], u = 0.0, v = 0.0, damping = 1e-3;
    double error = curve_error(1.0, 1.0, min_dist, spread, NULL);

    for (int step = 0; step < CURVE_STEPS && damping < 1e12; step++) {
        *a = exp(u);
        *b = exp(v);
        (void)curve_error(*a, *b, min_dist, spread, m);
        double aa = m[0] * *a * *a * (1.0 + damping), bb = m[2] * *b * *b * (1.0 + damping);
        double ab = m[1] * *a * *b, ra = m[3] * *a, rb = m[4] * *b;
        double determinant = aa * bb - ab * ab;
        if (!(determinant > 0.0)) break;
        double du = (bb * ra - ab * rb) / determinant, dv = (aa * rb - ab * ra) / determinant;
        double next = curve_error(exp(u + du), exp(v + dv), min_dist, spread, NULL);
        if (next < error) {
            u += du;
            v += dv;
            damping /= 10.0;
            if (error - next < 1e-14 * error) break;
            error = next;
        } else {
            damping *= 10.0;
        }
    }
    *a = exp(u);
    *b = exp(v);
    if (!isfinite(*a) || !isfinite(*b) || !isfinite(error))
        return status_fail(SCW_ENUMERIC, "UMAP: no curve fits min-dist %g and spread %g", min_dist,
                           spread);
    return SCW_OK;
}

/* ------------------------------------------------------------------ all of it */

static scw_status start(float *y, const cell_graph *c, const scw_umap_options *o,
                        const scw_hooks *hooks)
{
    int kind = o->start;

    if (kind == SCW_UMAP_SPECTRAL && c->n_pieces > 1) {
        log_info(hooks,
                 "the graph is in %lld pieces, which have no common spectral start: starting "
                 "from principal components",
                 (long long)c->n_pieces);
        kind = SCW_UMAP_PCA;
    }
    return kind == SCW_UMAP_PCA ? umap_start_pca(y, c->rows, c->n, c->d, (uint64_t)o->seed, hooks)
                                : umap_start_spectral(y, &c->graph, (uint64_t)o->seed, hooks);
}

static scw_status lay_out(float *y, const cell_graph *c, const scw_umap_options *o,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    umap_layout how = {.epochs = o->epochs, .negatives = o->negatives, .seed = (uint64_t)o->seed};
    double began = clock_wall();

    if (how.epochs == 0) how.epochs = c->n <= MANY_CELLS ? 500 : 200;
    TRY(umap_fit_curve(&how.a, &how.b, o->min_dist, o->spread));
    log_detail(hooks, "curve: a %.4f, b %.4f", how.a, how.b);
    TRY(start(y, c, o, hooks));
    log_detail(hooks, "start: %.2f s", clock_wall() - began);
    began = clock_wall();
    TRY(umap_move(y, &c->graph, &how, hooks));
    log_detail(hooks, "layout: %lld epochs, %.2f s", (long long)how.epochs, clock_wall() - began);
done:
    return st;
}

scw_status scw_umap(float *out, const float *x, int64_t n, int64_t d,
                    const scw_umap_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_umap_options o;
    cell_graph c = {0};
    float *y = NULL;

    TRY(scw_options_init(scw_umap_option_table(), &o));
    if (options) o = *options;
    TRY(graph_check_options(scw_umap_option_table(), &o));
    TRY(cell_graph_build(&c, x, n, d, &o.graph, hooks));
    TRY(mem_new(&y, UMAP_DIM * c.n));
    if (c.n > 1) TRY(lay_out(y, &c, &o, hooks));
    for (int64_t e = 0; e < UMAP_DIM * n; e++)
        out[e] = NAN;
    for (int64_t i = 0; i < c.n; i++)
        memcpy(out + UMAP_DIM * c.from[i], y + UMAP_DIM * i, UMAP_DIM * sizeof *out);
done:
    mem_free(y);
    cell_graph_clear(&c);
    return st;
}
