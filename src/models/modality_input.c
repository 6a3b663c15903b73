/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/modality_input.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "prep/pca.h"

#define CEILING 10.0     /* deviations above the mean */
#define MOST_CELLS 20000 /* that components are found on, evenly taken */
#define SMALL 1e-12      /* a variance below this is none */

void modality_input_clear(modality_input *in)
{
    mem_free(in->loadings);
    mem_free(in->offset);
    mem_free(in->ceiling);
    *in = (modality_input){0};
}

scw_status modality_input_copy(modality_input *out, const modality_input *from)
{
    scw_status st = SCW_OK;

    *out = (modality_input){.n_vars = from->n_vars, .width = from->width, .unit_rows = from->unit_rows};
    TRY(mem_copy(&out->loadings, from->loadings, from->n_vars * from->width));
    TRY(mem_copy(&out->offset, from->offset, from->width));
    TRY(mem_copy(&out->ceiling, from->ceiling, from->n_vars));
done:
    if (st != SCW_OK) modality_input_clear(out);
    return st;
}

/* Mean of each column of y, and one over its deviation: 0 where it never varies. */
static scw_status moments(double *mean, float *scale, const matrix *y)
{
    scw_status st = SCW_OK;
    const double n = (double)y->n_rows;
    double *square = NULL;

    TRY(mem_new(&square, y->n_cols));
    for (int64_t e = 0; e < y->indptr[y->n_rows]; e++)
        mean[y->indices[e]] += (double)y->values[e] / n;
    /* sum (v - m)^2 = sum over the entries of (v - m)^2 - m^2, plus n m^2 */
    for (int64_t j = 0; j < y->n_cols; j++) square[j] = mean[j] * mean[j] * n;
    for (int64_t e = 0; e < y->indptr[y->n_rows]; e++) {
        const double m = mean[y->indices[e]], v = (double)y->values[e] - m;
        square[y->indices[e]] += v * v - m * m;
    }
    for (int64_t j = 0; j < y->n_cols; j++)
        scale[j] = square[j] > SMALL * n ? (float)(1.0 / sqrt(square[j] / n)) : 0.0f;
done:
    mem_free(square);
    return st;
}

static void clip(matrix *y, const float *ceiling)
{
    for (int64_t e = 0; e < y->indptr[y->n_rows]; e++)
        y->values[e] = fminf(y->values[e], ceiling[y->indices[e]]);
}

/* y of the listed rows, thinned evenly. */
static scw_status take(row_block *out, const prepared *p, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t some = n < MOST_CELLS ? n : MOST_CELLS;
    int64_t *thinned = NULL;
    block_reader *y = NULL;

    TRY(mem_new(&thinned, some));
    for (int64_t i = 0; i < some; i++) thinned[i] = rows[i * n / some];
    TRY(prepared_reader(&y, p, thinned, some));
    TRY(block_reader_read(out, y, 0, some));
done:
    block_reader_free(y);
    mem_free(thinned);
    return st;
}

/* L = diag(c) V g with g such that scores have a mean square of 1, and what makes x L of it. */
static void set_map(modality_input *in, const pca *fit, const float *scale, const float *center)
{
    double total = 0.0;

    for (int64_t q = 0; q < fit->k; q++) total += fit->variances[q];
    const double g = in->unit_rows || total <= 0.0 ? 1.0 : sqrt((double)fit->k / total);
    for (int64_t j = 0; j < in->n_vars; j++) {
        const double c = scale ? (double)scale[j] : 1.0, t = center ? (double)center[j] : 0.0;
        for (int64_t q = 0; q < fit->k; q++) {
            const double v = g * fit->components[j * fit->k + q];
            in->loadings[j * in->width + q] = (float)(c * v);
            in->offset[q] += (float)(v * (fit->mean[j] - c * t));
        }
    }
}

/* The features themselves, scaled to a mean square of 1 over all of them. */
static void set_whole(modality_input *in, const double *mean, const float *deviations, bool standardise,
                      const float *center)
{
    double total = 0.0;

    for (int64_t j = 0; j < in->n_vars; j++)
        if (deviations[j] > 0.0f) total += 1.0 / ((double)deviations[j] * (double)deviations[j]);
    const float g = total > 0.0 ? (float)sqrt((double)in->n_vars / total) : 1.0f;
    for (int64_t j = 0; j < in->n_vars; j++) {
        const float scale = standardise ? deviations[j] : g;
        in->loadings[j * in->width + j] = scale;
        in->offset[j] = scale * ((float)mean[j] - (center ? center[j] : 0.0f));
    }
}

static bool is_whole(modality_kind kind, int64_t n_vars, const modality_input_options *options)
{
    return kind == MODALITY_ADT && n_vars <= options->max_dense;
}

int64_t modality_input_width(modality_kind kind, int64_t n_vars, int64_t n,
                             const modality_input_options *options)
{
    if (is_whole(kind, n_vars, options)) return n_vars;
    const int64_t most = n < n_vars ? n : n_vars;
    return options->components < most ? options->components : most;
}

scw_status modality_input_fit(modality_input *out, modality_kind kind, const prepared *p,
                          const transform *prep, const int64_t *rows, int64_t n,
                          const modality_input_options *options)
{
    scw_status st = SCW_OK;
    const int64_t n_vars = prep->n_vars;
    const bool atac = kind == MODALITY_ATAC, unit = atac && options->unit_rows;
    const bool standardise = options->standardise && !atac;
    const bool whole = is_whole(kind, n_vars, options);
    row_block y = {0};
    double *mean = NULL;
    float *scale = NULL;
    pca fit = {0};

    *out = (modality_input){.n_vars = n_vars, .unit_rows = unit};
    out->width = modality_input_width(kind, n_vars, n, options);
    TRY(take(&y, p, rows, n));
    TRY(mem_new(&out->loadings, n_vars * out->width));
    TRY(mem_new(&out->offset, out->width));
    if (!unit) {
        TRY(mem_new(&mean, n_vars));
        TRY(mem_new(&scale, n_vars));
        TRY(mem_new(&out->ceiling, n_vars));
        TRY(moments(mean, scale, &y.x));
        for (int64_t j = 0; j < n_vars; j++)
            out->ceiling[j] = standardise && scale[j] > 0.0f
                                  ? (float)(mean[j] + CEILING / (double)scale[j])
                                  : HUGE_VALF;
        clip(&y.x, out->ceiling);
    }
    if (whole) {
        set_whole(out, mean, scale, standardise, prep->center);
    } else {
        TRY(pca_fit(&fit, &y.x,
                    &(pca_options){.k = out->width, .seed = options->seed, .uncentred = unit,
                                   .col_scale = standardise ? scale : NULL}));
        set_map(out, &fit, standardise ? scale : NULL, prep->center);
    }
done:
    row_block_clear(&y);
    mem_free(mean);
    mem_free(scale);
    pca_clear(&fit);
    if (st != SCW_OK) modality_input_clear(out);
    return st;
}

static void standardise_row(real *v, int64_t n)
{
    double mean = 0.0, square = 0.0;

    for (int64_t q = 0; q < n; q++) mean += (double)v[q] / (double)n;
    for (int64_t q = 0; q < n; q++) square += ((double)v[q] - mean) * ((double)v[q] - mean);
    const double sd = n > 1 ? sqrt(square / (double)(n - 1)) : 0.0;
    for (int64_t q = 0; q < n; q++) v[q] = sd > 0.0 ? (real)(((double)v[q] - mean) / sd) : 0;
}

void modality_input_apply(real *scores, const modality_input *in, const affine_sparse *x)
{
    real *values = (real *)(uintptr_t)x->values; /* gathered for this very use */

    for (int64_t e = 0; in->ceiling && e < x->indptr[x->n_rows]; e++)
        if (values[e] > (real)in->ceiling[x->indices[e]])
            values[e] = (real)in->ceiling[x->indices[e]];
    kernel_affine_forward(x, NULL, in->loadings, in->width, scores);
    for (int64_t i = 0; i < x->n_rows; i++) {
        real *row = scores + i * in->width;
        for (int64_t q = 0; q < in->width; q++) row[q] -= (real)in->offset[q];
        if (in->unit_rows) standardise_row(row, in->width);
    }
}
