/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the report about integration and about pairs. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "embed/match.h"
#include "metric/baseline.h"
#include "metric/classification.h"
#include "metric/evaluate.h"
#include "metric/integration.h"
#include "metric/pairing.h"

#define TRANSFER_NEIGHBORS 15

/* ------------------------------------------------------------------------- integration */

static scw_status put_integration(json_t *part, const integration *r)
{
    const struct {
        const char *name;
        double value;
    } figures[] = {{"asw_label", r->asw_label},
                   {"clisi", r->clisi},
                   {"graph_connectivity", r->connectivity},
                   {"leiden_nmi", r->leiden_nmi},
                   {"leiden_ari", r->leiden_ari},
                   {"leiden_resolution", r->leiden_resolution},
                   {"isolated_label_f1", r->isolated_f1},
                   {"isolated_label_asw", r->isolated_asw},
                   {"asw_batch", r->asw_batch},
                   {"bras", r->bras},
                   {"ilisi", r->ilisi},
                   {"cilisi", r->cilisi},
                   {"kbet", r->kbet},
                   {"pcr", r->pcr},
                   {"pcr_before", r->pcr_before},
                   {"pcr_score", r->pcr_score}};
    scw_status st = SCW_OK;

    TRY(evaluate_put_int(part, "n", r->n));
    TRY(evaluate_put_int(part, "n_labels", r->n_labels));
    TRY(evaluate_put_int(part, "n_batches", r->n_batches));
    TRY(evaluate_put_int(part, "n_isolated_labels", r->n_isolated));
    for (size_t k = 0; k < sizeof figures / sizeof *figures; k++)
        TRY(evaluate_put_real(part, figures[k].name, figures[k].value));
done:
    return st;
}

/* The cells that are judged, as integration_input wants them. */
typedef struct gathered {
    float *x, *before;
    int32_t *label, *batch;
    integration_input in;
} gathered;

static void gathered_clear(gathered *g)
{
    mem_free(g->x);
    mem_free(g->before);
    mem_free(g->label);
    mem_free(g->batch);
}

static scw_status gathered_init(gathered *g, int64_t room, const evaluate_input *in, bool before)
{
    scw_status st = SCW_OK;

    g->in = (integration_input){.d = in->d, .n_labels = (int32_t)in->classes->n,
                                .seed = in->seed};
    TRY(mem_new(&g->x, room * in->d));
    TRY(mem_new(&g->label, room));
    TRY(mem_new(&g->batch, room));
    if (before) TRY(mem_new(&g->before, room * in->d_before));
    g->in.x = g->x;
    g->in.label = g->label;
    if (before) {
        g->in.before = g->before;
        g->in.d_before = in->d_before;
    }
done:
    return st;
}

static void take(gathered *g, const float *row, int32_t label, int32_t batch)
{
    if (g->in.d > 0)
        memcpy(g->x + g->in.n * g->in.d, row, (size_t)g->in.d * sizeof *g->x);
    g->label[g->in.n] = label;
    g->batch[g->in.n++] = batch;
}

scw_status evaluate_add_integration(json_t *root, const evaluate_input *in, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    gathered g = {0};
    integration figures;
    json_t *part = json_object();

    if (!part) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(gathered_init(&g, in->n, in, in->before != NULL));
    for (int64_t i = 0; i < in->n; i++) {
        const float *before = in->before ? in->before + i * in->d_before : NULL;
        if (in->truth[i] < 0 || (in->batch && in->batch[i] < 0) ||
            !evaluate_row_is_finite(in->embedding + i * in->d, in->d) ||
            (before && !evaluate_row_is_finite(before, in->d_before)))
            continue;
        if (before && in->d_before > 0)
            memcpy(g.before + g.in.n * in->d_before, before,
                   (size_t)in->d_before * sizeof *before);
        take(&g, in->embedding + i * in->d, in->truth[i], in->batch ? in->batch[i] : 0);
    }
    if (in->batch) {
        g.in.batch = g.batch;
        g.in.n_batches = in->n_batches;
    }
    TRY(integration_measure(&figures, &g.in, hooks));
    TRY(put_integration(part, &figures));
    TRY(evaluate_put(root, "integration", json_incref(part)));
done:
    gathered_clear(&g);
    json_decref(part);
    return st;
}

/* ----------------------------------------------------------------------------- pairing */

/* Rows of length one; a row of zeros stays. */
static scw_status scaled(float **out, const float *x, int64_t n, int64_t d, bool cosine)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, n * d));
    for (int64_t i = 0; i < n; i++) {
        double square = 0.0;
        for (int64_t j = 0; j < d; j++) square += (double)x[i * d + j] * (double)x[i * d + j];
        double scale = cosine && square > 0.0 ? 1.0 / sqrt(square) : 1.0;
        for (int64_t j = 0; j < d; j++) (*out)[i * d + j] = (float)((double)x[i * d + j] * scale);
    }
done:
    return st;
}

static scw_status put_pairing(json_t *part, const pairing *p)
{
    static const char *const names[PAIRING_TOPS] = {"top1", "top5", "top10"};
    scw_status st = SCW_OK;

    TRY(evaluate_put_int(part, "n_pairs", p->n_pairs));
    TRY(evaluate_put_real(part, "foscttm", p->foscttm));
    TRY(evaluate_put_real(part, "foscttm_to", p->foscttm_xy));
    TRY(evaluate_put_real(part, "foscttm_back", p->foscttm_yx));
    for (int k = 0; k < PAIRING_TOPS; k++) TRY(evaluate_put_real(part, names[k], p->top[k]));
done:
    return st;
}

/* Of the competition's matching: shared nearest neighbours with k = 1, within batches if they are told
 * apart. */
static scw_status put_match(json_t *part, const evaluate_input *in, const float *x, const float *y,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const evaluate_other *other = in->other;
    match_input both = {.x = x, .y = y, .n_x = in->n, .n_y = other->n, .d = in->d,
                        .batch_x = in->batch, .batch_y = other->batch,
                        .n_batches = in->n_batches};
    scw_match_options o;
    matrix p = {0};
    uint8_t *has_x = NULL, *has_y = NULL;
    pairing_match m;

    TRY(scw_options_init(scw_match_option_table(), &o));
    o.metric = SCW_DISTANCE_EUCLIDEAN; /* rows have length one where the cosine was asked for */
    TRY(match_rows(&p, &both, &o, hooks));
    TRY(pairing_finite(&has_x, x, in->n, in->d));
    TRY(pairing_finite(&has_y, y, other->n, in->d));
    TRY(pairing_measure_match(&m, &p, other->partner, (pairing_cells){has_x, has_y}));
    TRY(evaluate_put_real(part, "match_probability", m.probability));
    TRY(evaluate_put_real(part, "match_auroc", m.auroc));
    TRY(evaluate_put_real(part, "match_aupr", m.aupr));
done:
    matrix_clear(&p);
    mem_free(has_x);
    mem_free(has_y);
    return st;
}

/* Labels of the finite rows of one side from their neighbours on the other. */
static scw_status put_transfer(json_t *part, const char *key, const evaluate_input *in,
                               const float *from, const int32_t *known, int64_t n_from,
                               const float *to, const int32_t *truth, int64_t n_to)
{
    scw_status st = SCW_OK;
    int32_t *said = NULL, *asked = NULL, *taught = NULL;
    json_t *figures = json_object();
    classification c = {0};

    if (!figures) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(mem_new(&said, n_to));
    TRY(mem_new(&asked, n_to));
    TRY(mem_new(&taught, n_from));
    for (int64_t i = 0; i < n_from; i++)
        taught[i] = evaluate_row_is_finite(from + i * in->d, in->d) ? known[i] : -1;
    for (int64_t i = 0; i < n_to; i++)
        asked[i] = evaluate_row_is_finite(to + i * in->d, in->d) ? truth[i] : -1;
    TRY(knn_predict(said, from, taught, n_from, to, n_to, in->d, (int32_t)in->classes->n,
                    TRANSFER_NEIGHBORS));
    TRY(classification_measure(&c, asked, said, n_to, (int32_t)in->classes->n));
    TRY(evaluate_put_int(figures, "n", c.n));
    TRY(evaluate_put_real(figures, "accuracy", c.accuracy));
    TRY(evaluate_put_real(figures, "macro_f1", c.macro_f1));
    TRY(evaluate_put_real(figures, "majority_accuracy", c.majority_accuracy));
    TRY(evaluate_put(part, key, json_incref(figures)));
done:
    classification_clear(&c);
    json_decref(figures);
    mem_free(said);
    mem_free(asked);
    mem_free(taught);
    return st;
}

/* Both sides as one set of cells whose batch is the side. */
static scw_status put_mixing(json_t *part, const evaluate_input *in, const float *x, const float *y,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const evaluate_other *other = in->other;
    gathered g = {0};
    integration figures;
    json_t *mixing = json_object();

    if (!mixing) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(gathered_init(&g, in->n + other->n, in, false));
    for (int64_t i = 0; i < in->n; i++)
        if (in->truth[i] >= 0 && evaluate_row_is_finite(x + i * in->d, in->d))
            take(&g, x + i * in->d, in->truth[i], 0);
    for (int64_t i = 0; i < other->n; i++)
        if (other->truth[i] >= 0 && evaluate_row_is_finite(y + i * in->d, in->d))
            take(&g, y + i * in->d, other->truth[i], 1);
    g.in.batch = g.batch;
    g.in.n_batches = 2;
    TRY(integration_measure(&figures, &g.in, hooks));
    TRY(put_integration(mixing, &figures));
    TRY(evaluate_put(part, "mixing", json_incref(mixing)));
done:
    gathered_clear(&g);
    json_decref(mixing);
    return st;
}

scw_status evaluate_add_pairing(json_t *root, const evaluate_input *in, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const evaluate_other *other = in->other;
    float *x = NULL, *y = NULL;
    json_t *part = json_object();
    int64_t n_partners = 0;

    if (!part) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(scaled(&x, in->embedding, in->n, in->d, other->cosine));
    TRY(scaled(&y, other->y, other->n, in->d, other->cosine));
    for (int64_t i = 0; i < in->n; i++) n_partners += other->partner[i] >= 0;
    if (n_partners > 0) { /* without, types and mixing alone are judged */
        pairing p;
        pairing_input pairs = {.x = x, .y = y, .n_x = in->n, .n_y = other->n, .d = in->d,
                               .partner = other->partner};
        TRY(pairing_measure(&p, &pairs));
        TRY(put_pairing(part, &p));
        TRY(put_match(part, in, x, y, hooks));
    } else {
        TRY(evaluate_put_int(part, "n_pairs", 0));
    }
    TRY(put_transfer(part, "transfer_to", in, x, in->truth, in->n, y, other->truth, other->n));
    TRY(put_transfer(part, "transfer_back", in, y, other->truth, other->n, x, in->truth, in->n));
    TRY(put_mixing(part, in, x, y, hooks));
    TRY(evaluate_put(root, "pairing", json_incref(part)));
done:
    mem_free(x);
    mem_free(y);
    json_decref(part);
    return st;
}
