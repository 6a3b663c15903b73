/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/clue_source.h"

#include <string.h>

#include "base/alloc.h"

/* Streams of the random numbers that compose a batch. */
enum { STREAM_STAND_IN = 0, STREAM_DROP = MODEL_MAX_MODALITIES, STREAM_WHICH };

/* -------------------------------------------------------------------------------- the batch */

static scw_status list_having(clue_source *s, int k, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&s->having[k], n));
    for (int64_t i = 0; i < n; i++)
        if (s->cells->present[k][rows[i]]) s->having[k][s->n_having[k]++] = rows[i];
done:
    return st;
}

scw_status clue_source_init(clue_source *s, const paired_set *of, const int64_t *rows, int64_t n,
                            const int64_t *spare, int64_t n_spare, uint64_t seed, double dropout)
{
    scw_status st = SCW_OK;

    *s = (clue_source){.cells = of, .rows = rows, .n = n, .seed = seed, .dropout = dropout};
    for (int k = 0; k < of->n_modalities; k++) {
        TRY(list_having(s, k, rows, n));
        if (s->n_having[k] > 0) continue;
        mem_free(s->having[k]);
        s->having[k] = NULL;
        TRY(list_having(s, k, spare, n_spare));
        if (s->n_having[k] == 0) FAIL(SCW_EDATA, "no cell has modality %d of the model", k);
    }
done:
    if (st != SCW_OK) clue_source_clear(s);
    return st;
}

void clue_source_clear(clue_source *s)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) mem_free(s->having[k]);
    *s = (clue_source){0};
}

/* The modality of a cell that this step takes away; -1: none. */
static int dropped(const clue_source *s, uint32_t step, int64_t row)
{
    const paired_set *c = s->cells;
    const rng_key drop = rng_make_key(s->seed, RNG_STAND_IN, STREAM_DROP);
    int has[MODEL_MAX_MODALITIES], n = 0;

    for (int k = 0; k < c->n_modalities; k++)
        if (c->present[k][row]) has[n++] = k;
    if (n < 2 || rng_uniform(drop, step, (uint64_t)row) >= s->dropout) return -1;
    const rng_key which = rng_make_key(s->seed, RNG_STAND_IN, STREAM_WHICH);
    return has[rng_below(which, step, (uint64_t)row, (uint64_t)n)];
}

/* The cells of slot k [n], and whether they are the batch's own. */
static void choose(int64_t *chosen, real *present, const clue_source *s, const int64_t *entries,
                   int64_t n, int k)
{
    const uint32_t step = (uint32_t)s->rows[entries[0]];
    const rng_key key = rng_make_key(s->seed, RNG_STAND_IN, (uint32_t)(STREAM_STAND_IN + k));

    for (int64_t i = 0; i < n; i++) {
        const int64_t row = s->rows[entries[i]];
        bool own = s->cells->present[k][row] != 0;
        if (own && s->dropout > 0.0) own = dropped(s, step, row) != k;
        present[i] = own;
        chosen[i] = own ? row
                        : s->having[k][rng_below(key, step, (uint64_t)row, (uint64_t)s->n_having[k])];
    }
}

static const int32_t *codes_of(tape *t, const int32_t *codes, const int64_t *rows, int64_t n)
{
    int32_t *out = codes ? tape_alloc(t, n, sizeof *out) : NULL;

    for (int64_t i = 0; out && i < n; i++) out[i] = codes[rows[i]];
    return out;
}

static bool gather_slot(clue_slot *slot, const clue_source *s, tape *t, const int64_t *entries,
                        int64_t n, int k)
{
    const paired_set *c = s->cells;
    const float *from = s->unit ? s->unit[k] : c->input[k];
    const int64_t width = s->unit ? s->unit_width : c->width[k];
    int64_t *chosen = tape_alloc(t, n, sizeof *chosen), *listed = tape_alloc(t, n, sizeof *listed);
    real *present = tape_alloc(t, n, sizeof *present);
    real *dense = tape_alloc(t, n * width, sizeof *dense);

    if (!chosen || !listed || !present || !dense) return false;
    choose(chosen, present, s, entries, n, k);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < width; j++) dense[i * width + j] = (real)from[chosen[i] * width + j];
        listed[i] = c->counts[k].rows[chosen[i]];
    }
    const row_list counts = {c->counts[k].x, c->counts[k].packed, listed, n};
    if (!cells_gather_counts(t, &counts, &slot->counts)) return false;
    *(s->unit ? &slot->unit : &slot->dense) = dense;
    slot->present = present;
    slot->batch = codes_of(t, c->batch, chosen, n);
    slot->labels = codes_of(t, c->labels, chosen, n);
    return (slot->batch || !c->batch) && (slot->labels || !c->labels);
}

void clue_source_gather(clue_batch *out, const clue_source *s, tape *t, const int64_t *entries,
                        int64_t n)
{
    *out = (clue_batch){0};
    for (int k = 0; k < s->cells->n_modalities; k++)
        if (!gather_slot(&out->slot[k], s, t, entries, n, k)) return;
    out->n = n;
}

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    const clue_source *s = self;
    clue_batch *more = tape_alloc(t, 1, sizeof *more);

    *batch = (model_batch){0};
    if (!more) return;
    clue_source_gather(more, s, t, entries, n);
    *batch = (model_batch){.n = more->n, .n_modalities = s->cells->n_modalities, .more = more};
    for (int k = 0; k < batch->n_modalities; k++) batch->x[k] = more->slot[k].counts;
}

static void ahead(const void *self, const int64_t *entries, int64_t n)
{
    const clue_source *s = self;

    for (int k = 0; k < s->cells->n_modalities; k++) {
        const row_list *l = &s->cells->counts[k];
        for (int64_t i = 0; l->packed && i < n; i++)
            packed_rows_ahead(l->packed, &l->rows[s->rows[entries[i]]], 1);
    }
}

train_source clue_source_as_source(const clue_source *s)
{
    return (train_source){.n = s->n, .self = s, .gather = gather, .ahead = ahead};
}

/* ------------------------------------------------------------------------------ two players */

/* The batch with the noise of its step. */
static clue_batch at_step(const clue_learner *l, const model_batch *batch, uint32_t step)
{
    clue_batch b = *(const clue_batch *)batch->more;

    b.noise = clue_noise(&l->schedule, 1 + (int64_t)step / l->steps_per_epoch);
    return b;
}

static void embed(const clue_net *net, const nn_pass *pass, const model_batch *batch,
                  model_outputs *out)
{
    clue_outputs *more = tape_alloc(pass->t, 1, sizeof *more);

    *out = (model_outputs){.more = more};
    if (more) clue_forward(net, pass, batch->more, more);
}

static void network_forward(const void *self, const nn_pass *pass, const model_batch *batch,
                            bool decode, model_outputs *out)
{
    (void)decode;
    embed(((const clue_learner *)self)->net, pass, batch, out);
}

static void network_loss(const void *self, const nn_pass *pass, const model_batch *batch,
                         const model_outputs *out, model_losses *losses)
{
    const clue_learner *l = self;
    const clue_batch b = at_step(l, batch, pass->step);
    params *frozen = tape_alloc(pass->t, 1, sizeof *frozen);
    clue_pass both = {.vae = *pass, .adversary = *pass};

    *losses = (model_losses){0};
    if (!frozen || !out->more) return;
    *frozen = clue_frozen(&l->net->adversary);
    both.adversary.p = frozen;
    clue_loss(l->net, &both, &b, out->more, losses);
}

static void rival_forward(const void *self, const nn_pass *pass, const model_batch *batch,
                          bool decode, model_outputs *out)
{
    const clue_learner *l = self;
    params *frozen = tape_alloc(pass->t, 1, sizeof *frozen);
    nn_pass own = *pass;

    (void)decode;
    *out = (model_outputs){0};
    if (!frozen) return;
    *frozen = clue_frozen(&l->net->p);
    own.p = frozen;
    embed(l->net, &own, batch, out);
}

static void rival_loss(const void *self, const nn_pass *pass, const model_batch *batch,
                       const model_outputs *out, model_losses *losses)
{
    const clue_learner *l = self;
    const clue_batch b = at_step(l, batch, pass->step);
    const clue_pass both = {.vae = *pass, .adversary = *pass};

    *losses = (model_losses){0};
    if (!out->more) return;
    losses->name[0] = "discriminator";
    losses->part[0] = losses->total = clue_adversary_loss(l->net, &both, &b, out->more);
    losses->n = 1;
}

network clue_as_network(const clue_learner *l)
{
    return (network){(void *)(uintptr_t)l, &l->net->p, network_forward, network_loss};
}

network clue_as_rival(const clue_learner *l)
{
    return (network){(void *)(uintptr_t)l, &l->net->adversary, rival_forward, rival_loss};
}
