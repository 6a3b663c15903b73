/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/linear_inputs.h"

#include <string.h>

#include "base/alloc.h"

#define COMPONENTS 50
#define DENSE 300 /* protein panels up to this size are used whole */

static bool is_whole(modality_kind kind, int64_t n_vars)
{
    return kind == MODALITY_ADT && n_vars <= DENSE;
}

int64_t linear_inputs_width(modality_kind kind, int64_t n_vars, int64_t n_train)
{
    int64_t width = COMPONENTS;

    if (is_whole(kind, n_vars)) return n_vars;
    if (width > n_vars) width = n_vars;
    return width > n_train ? n_train : width;
}

void linear_inputs_clear(linear_inputs *l)
{
    transform_clear(&l->prep);
    pca_clear(&l->components);
    *l = (linear_inputs){0};
}

scw_status linear_inputs_fit(linear_inputs *out, modality_kind kind, const matrix *counts,
                             double library)
{
    scw_status st = SCW_OK;
    prepared p = {0};
    transform_options options = {.kind = kind == MODALITY_ADT    ? TRANSFORM_CLR
                                         : kind == MODALITY_ATAC ? TRANSFORM_TFIDF
                                                                 : TRANSFORM_LOG,
                                 .target = library};

    *out = (linear_inputs){.whole = is_whole(kind, counts->n_cols),
                           .width = linear_inputs_width(kind, counts->n_cols, counts->n_rows)};
    TRY(transform_fit(&out->prep, counts, &options));
    if (out->whole) goto done;
    TRY(transform_apply(&p, &out->prep, counts, NULL, NULL, false));
    TRY(pca_fit(&out->components, &p.y, &(pca_options){.k = out->width, .seed = 0}));
done:
    prepared_clear(&p);
    if (st != SCW_OK) linear_inputs_clear(out);
    return st;
}

scw_status linear_inputs_apply(float *to, int64_t ld, int64_t at, const linear_inputs *l,
                               const matrix *counts)
{
    scw_status st = SCW_OK;
    prepared p = {0};
    float *scores = NULL;

    TRY(transform_apply(&p, &l->prep, counts, NULL, NULL, false));
    if (l->whole) {
        for (int64_t i = 0; i < p.y.n_rows; i++)
            for (int64_t e = p.y.indptr[i]; e < p.y.indptr[i + 1]; e++)
                to[i * ld + at + p.y.indices[e]] = p.y.values[e];
        goto done;
    }
    TRY(mem_new(&scores, p.y.n_rows * l->width));
    TRY(pca_scores(scores, &l->components, &p.y));
    for (int64_t i = 0; i < p.y.n_rows; i++)
        memcpy(to + i * ld + at, scores + i * l->width, (size_t)l->width * sizeof *to);
done:
    prepared_clear(&p);
    mem_free(scores);
    return st;
}
