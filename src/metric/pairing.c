/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/pairing.h"

#include <math.h>

#include "base/alloc.h"
#include "embed/neighbors.h"
#include "metric/roc.h"

const int64_t pairing_tops[PAIRING_TOPS] = {1, 5, 10};

/* One direction: mean share of nearer rows, and hits among the first k, of the queries with a
 * partner. */
typedef struct direction {
    int64_t n;
    double share, top[PAIRING_TOPS];
} direction;

static scw_status measure_direction(direction *out, const neighbors_search *s,
                                    const int64_t *partner)
{
    scw_status st = SCW_OK;
    int64_t *closer = NULL, n_found;

    *out = (direction){0};
    TRY(mem_new(&closer, s->n_queries));
    TRY(neighbors_count_closer(closer, &n_found, s, partner));
    for (int64_t i = 0; i < s->n_queries; i++) {
        if (closer[i] < 0) continue;
        out->n++;
        out->share += (double)closer[i] / (double)n_found;
        for (int k = 0; k < PAIRING_TOPS; k++) out->top[k] += closer[i] < pairing_tops[k];
    }
    if (out->n == 0)
        FAIL(SCW_EDATA, "no cell has an embedding on both sides: there are no pairs to judge");
    out->share /= (double)out->n;
    for (int k = 0; k < PAIRING_TOPS; k++) out->top[k] /= (double)out->n;
done:
    mem_free(closer);
    return st;
}

/* partner of the rows of y; SCW_EINVAL when two rows of x name the same one. */
static scw_status reverse(int64_t **out, const pairing_input *in)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, in->n_y));
    for (int64_t j = 0; j < in->n_y; j++) (*out)[j] = -1;
    for (int64_t i = 0; i < in->n_x; i++) {
        int64_t j = in->partner[i];
        if (j < 0) continue;
        if (j >= in->n_y || (*out)[j] >= 0)
            FAIL(SCW_EINVAL, "row %lld cannot be the partner of row %lld", (long long)j,
                 (long long)i);
        (*out)[j] = i;
    }
done:
    return st;
}

scw_status pairing_measure(pairing *out, const pairing_input *in)
{
    scw_status st = SCW_OK;
    int64_t *back = NULL;
    direction xy, yx;
    neighbors_search to_y = {.rows = in->y, .n_rows = in->n_y, .d = in->d, .queries = in->x,
                             .n_queries = in->n_x, .cosine = in->cosine};
    neighbors_search to_x = {.rows = in->x, .n_rows = in->n_x, .d = in->d, .queries = in->y,
                             .n_queries = in->n_y, .cosine = in->cosine};

    *out = (pairing){0};
    TRY(reverse(&back, in));
    TRY(measure_direction(&xy, &to_y, in->partner));
    TRY(measure_direction(&yx, &to_x, back));
    out->n_pairs = xy.n;
    out->foscttm_xy = xy.share;
    out->foscttm_yx = yx.share;
    out->foscttm = 0.5 * (xy.share + yx.share);
    for (int k = 0; k < PAIRING_TOPS; k++) out->top[k] = 0.5 * (xy.top[k] + yx.top[k]);
done:
    mem_free(back);
    return st;
}

scw_status pairing_finite(uint8_t **out, const float *rows, int64_t n, int64_t d)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, n));
    for (int64_t i = 0; i < n; i++) {
        (*out)[i] = 1;
        for (int64_t j = 0; j < d; j++) (*out)[i] &= isfinite(rows[i * d + j]) != 0;
    }
done:
    return st;
}

static int64_t count(const uint8_t *in, int64_t n)
{
    int64_t sum = 0;

    for (int64_t i = 0; in && i < n; i++) sum += in[i];
    return in ? sum : n;
}

scw_status pairing_measure_match(pairing_match *out, const matrix *p, const int64_t *partner,
                                 pairing_cells cells)
{
    scw_status st = SCW_OK;
    roc_item *items = NULL;
    int64_t n_found = 0;
    roc curve;

    *out = (pairing_match){.n_entries = matrix_nnz(p)};
    TRY(mem_new(&items, out->n_entries));
    for (int64_t i = 0; i < p->n_rows; i++) {
        double sum = 0.0, own = 0.0, best = 0.0;
        int64_t at_best = -1;
        for (int64_t e = p->indptr[i]; e < p->indptr[i + 1]; e++) {
            double v = matrix_value(p, e);
            bool hit = p->indices[e] == partner[i];
            items[e] = (roc_item){v, hit};
            n_found += hit;
            if (!(v > 0.0)) continue;
            sum += v;
            if (hit) own = v;
            if (v > best) best = v, at_best = p->indices[e];
        }
        if (partner[i] < 0 || (cells.x && !cells.x[i]) || (cells.y && !cells.y[partner[i]])) continue;
        out->n_pairs++;
        if (sum > 0.0) out->probability += own / sum;
        out->top1 += at_best == partner[i];
    }
    if (out->n_pairs == 0) FAIL(SCW_EDATA, "no cell has a partner: there are no pairs to judge");
    out->probability /= (double)out->n_pairs;
    out->top1 /= (double)out->n_pairs;
    int64_t zero_positive = out->n_pairs - n_found;
    roc_measure(&curve, items, out->n_entries, zero_positive,
                count(cells.x, p->n_rows) * count(cells.y, p->n_cols) - out->n_entries -
                    zero_positive);
    out->auroc = curve.auroc;
    out->aupr = curve.average;
done:
    mem_free(items);
    return st;
}
