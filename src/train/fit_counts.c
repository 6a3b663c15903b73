/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/fit_counts.h"

#include <math.h>

#include "base/alloc.h"
#include "models/batch_columns.h"

/* Frozen latents and raw counts. */
typedef struct count_source {
    const matilda_model *model;
    const reference *ref;
    const int64_t *rows; /* [n] of the reference */
    real *latent;        /* [n, n_in] with the batch's columns */
    int64_t n;
} count_source;

static const real *presence(tape *t, const reference_modality *x, const int64_t *rows, int64_t n)
{
    real *present = tape_alloc(t, n, sizeof *present);

    for (int64_t i = 0; present && i < n; i++) present[i] = x->present[rows[i]];
    return present;
}

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    const count_source *s = self;
    const int64_t d = s->model->counts.n_in;
    int64_t *rows = tape_alloc(t, n, sizeof *rows);
    real *latent = tape_alloc(t, n * d, sizeof *latent);

    *batch = (model_batch){0};
    if (!rows || !latent) return;
    for (int64_t i = 0; i < n; i++) {
        rows[i] = s->rows[entries[i]];
        for (int64_t q = 0; q < d; q++) latent[i * d + q] = s->latent[entries[i] * d + q];
    }
    for (int k = 0; k < s->ref->n_modalities; k++) {
        const reference_modality *x = &s->ref->modality[k];
        const row_list listed = reference_rows(x, rows, n);
        if (!cells_gather_counts(t, &listed, &batch->x[k])) return;
        batch->x[k].row_weight = presence(t, x, rows, n);
        if (!batch->x[k].row_weight) return;
    }
    batch->latent = latent;
    batch->n_modalities = s->ref->n_modalities;
    batch->n = n;
}

static count_kind kind_for(likelihood_choice choice, modality_kind kind)
{
    if (choice == LIKELIHOOD_GAUSSIAN) return COUNT_NONE;
    if (choice == LIKELIHOOD_AUTO)
        return kind == MODALITY_ATAC ? COUNT_BERNOULLI : COUNT_NB;
    return choice == LIKELIHOOD_NB ? COUNT_NB : COUNT_BERNOULLI;
}

static scw_status add_heads(matilda_model *m)
{
    count_head_options heads[MODEL_MAX_MODALITIES];

    for (int k = 0; k < m->base.n_modalities; k++)
        heads[k] = (count_head_options){
            .name = m->base.modality[k].name,
            .kind = kind_for((likelihood_choice)m->options.likelihood, m->base.modality[k].kind),
            .n_vars = m->base.modality[k].features.n};
    return count_heads_init(&m->counts, heads, m->base.n_modalities,
                            m->options.z_dim + model_n_batches(&m->base));
}

/* Biases that give each feature its share, or its frequency; the mean depth. */
static scw_status start_head(matilda_model *m, int k, const count_source *s)
{
    scw_status st = SCW_OK;
    const count_head *h = &m->counts.head[k];
    const row_list listed = reference_rows(&s->ref->modality[k], s->rows, s->n);
    double *sum = NULL, total = 0.0, depth = 0.0, cells_present = 0.0;
    block_reader *rows = NULL;
    row_block b = {0};
    bool more;

    TRY(mem_new(&sum, h->n_vars));
    TRY(row_list_reader(&rows, &listed));
    for (;;) {
        const matrix *y = &b.x;
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        for (int64_t i = 0; i < y->n_rows; i++) {
            depth += count_depth(h->kind, y, i);
            cells_present += s->ref->modality[k].present[s->rows[b.from + i]];
        }
        for (int64_t e = 0; e < y->indptr[y->n_rows]; e++)
            sum[y->indices[e]] +=
                h->kind == COUNT_BERNOULLI ? (double)(y->values[e] > 0) : (double)y->values[e];
    }
    for (int64_t j = 0; j < h->n_vars; j++) total += sum[j] + 0.5;
    real *bias = params_value(&m->counts.p, h->bias);
    for (int64_t j = 0; j < h->n_vars; j++) {
        double p = h->kind == COUNT_NB ? (sum[j] + 0.5) / total
                                       : (sum[j] + 0.5) / (cells_present + 1.0);
        bias[j] = (real)(h->kind == COUNT_NB ? log(p) : log(p / (1.0 - p)));
    }
    *params_value(&m->counts.p, h->depth) =
        (real)(depth > 0.0 ? depth / fmax(1.0, cells_present) : 1.0);
done:
    row_block_clear(&b);
    block_reader_free(rows);
    mem_free(sum);
    return st;
}

static scw_status gather_source(count_source *s, const cells *c, const int64_t *rows,
                                const int64_t *train)
{
    scw_status st = SCW_OK;
    const int64_t d = s->model->options.z_dim, width = s->model->counts.n_in;
    float *mean = NULL;
    int64_t *listed = NULL;

    TRY(mem_new(&mean, s->n * d));
    TRY(mem_new(&listed, s->n));
    TRY(mem_new(&s->latent, s->n * width));
    TRY(matilda_infer_as(s->model, MATILDA_AS_NETWORK, c, train, s->n, NULL, mean));
    for (int64_t i = 0; i < s->n; i++) {
        real *to = s->latent + i * width;
        listed[i] = rows[train[i]];
        for (int64_t q = 0; q < d; q++) to[q] = (real)mean[i * d + q];
        if (width > d) batch_columns(to + d, width, c->known_batch + train[i], 1, width - d);
    }
    s->rows = listed;
    listed = NULL;
done:
    mem_free(mean);
    mem_free(listed);
    return st;
}

static scw_status run(matilda_model *m, const count_source *s, uint64_t seed, fit_state *state,
                      const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const matilda_options *o = &m->options;
    trainer t = {0};
    network net = count_heads_network(&m->counts);
    train_options options = {.seed = seed,
                             .batch_size = o->batch_size,
                             .optimizer = optimizer_defaults(OPTIMIZER_ADAMW)};
    int64_t per_epoch = (s->n + o->batch_size - 1) / o->batch_size;
    train_phase phase = {.name = "count decoders",
                         .source = {.n = s->n, .self = s, .gather = gather},
                         .n_epochs = (o->count_steps + per_epoch - 1) / per_epoch,
                         .lr = o->count_lr};

    options.optimizer.weight_decay[0] = o->count_decay;
    TRY(trainer_init(&t, &net, &options, phase.n_epochs, NULL, hooks));
    TRY(fit_state_attach(state, &t, "the count decoders"));
    TRY(trainer_run(&t, &phase, false));
    json_t *row = json_pack("{s:I, s:f, s:f}", "n_steps", (json_int_t)t.at.step, "first_loss",
                            t.history[0].total, "last_loss", t.history[t.at.n_history - 1].total);
    if (!row || json_object_set_new(m->base.record, "counts", row) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the training record");
done:
    fit_state_detach(state);
    trainer_clear(&t);
    return st;
}

scw_status fit_counts(matilda_model *m, const cells *c, const reference *ref, const int64_t *rows,
                      const int64_t *train, int64_t n_train, uint64_t seed, fit_state *state,
                      const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    count_source s = {.model = m, .ref = ref, .n = n_train};

    if (m->options.likelihood == LIKELIHOOD_GAUSSIAN) return SCW_OK;
    TRY(add_heads(m));
    TRY(gather_source(&s, c, rows, train));
    for (int k = 0; k < m->base.n_modalities; k++)
        TRY(start_head(m, k, &s));
    TRY(run(m, &s, seed, state, hooks));
done:
    mem_free((void *)(uintptr_t)s.rows);
    mem_free(s.latent);
    return st;
}
