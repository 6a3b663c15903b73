/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/file_source.h"

#include <string.h>

#include "base/alloc.h"

#define DEFAULT_BLOCK 512
#define DEFAULT_WINDOW 16

typedef struct loaded {
    matrix counts[MODEL_MAX_MODALITIES];
    uint8_t *present[MODEL_MAX_MODALITIES];
} loaded;

/* Blocks [index * window, ...) of the epoch's order. */
typedef struct window {
    int64_t index; /* -1: none */
    int64_t n_loaded;
    loaded *blocks; /* [window] */
} window;

struct file_source {
    file_source_input in;
    int64_t n_blocks, n_windows;
    block_reader *rows[MODEL_MAX_MODALITIES];
    int64_t *blocks;   /* [n_blocks] of the epoch */
    int64_t *place_of; /* [n_blocks] where a block stands in it */
    int64_t *wanted;   /* [block] rows of a modality */
    window now, next;
    int64_t gathered; /* entries since the window began */
    scw_status st;
    char message[512];
};

void window_order(int64_t *order, int64_t *blocks, int64_t n, int64_t block, int64_t in_window,
                  rng_key key, uint32_t step)
{
    const int64_t n_blocks = (n + block - 1) / block;
    int64_t at = 0;

    rng_permutation(blocks, n_blocks, key, step);
    for (int64_t first = 0; first < n_blocks; first += in_window) {
        const int64_t start = at;
        for (int64_t k = first; k < n_blocks && k < first + in_window; k++)
            for (int64_t i = blocks[k] * block; i < n && i < (blocks[k] + 1) * block; i++)
                order[at++] = i;
        /* Fisher-Yates within the window; element `at` of the whole order addresses the number. */
        const rng_key inner = {key.seed, key.purpose + (1u << 8)};
        for (int64_t i = at - 1; i > start; i--) {
            int64_t j = start + (int64_t)rng_below(inner, step, (uint64_t)i, (uint64_t)(i - start + 1));
            int64_t swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
    }
}

/* ------------------------------------------------------------------ windows */

static void window_clear(window *w, const file_source *s)
{
    for (int64_t k = 0; w->blocks && k < s->in.window; k++)
        for (int m = 0; m < MODEL_MAX_MODALITIES; m++) {
            matrix_clear(&w->blocks[k].counts[m]);
            mem_free(w->blocks[k].present[m]);
            w->blocks[k].present[m] = NULL;
        }
    w->index = -1;
    w->n_loaded = 0;
}

static int64_t block_size(const file_source *s, int64_t block)
{
    int64_t left = s->in.n - block * s->in.block;
    return left < s->in.block ? left : s->in.block;
}

static int64_t blocks_in(const file_source *s, int64_t index)
{
    int64_t left = s->n_blocks - index * s->in.window;
    return left < s->in.window ? left : s->in.window;
}

static scw_status load_block(loaded *to, file_source *s, int64_t block)
{
    scw_status st = SCW_OK;
    const int64_t n = block_size(s, block), first = block * s->in.block;

    for (int m = 0; m < s->in.n_modalities; m++) {
        const int64_t *row_of_obs = s->in.modality[m]->row_of_obs;
        matrix_clear(&to->counts[m]); /* what a failure has left */
        mem_free(to->present[m]);
        TRY(mem_new(&to->present[m], n));
        for (int64_t i = 0; i < n; i++) {
            s->wanted[i] = row_of_obs[s->in.obs[first + i]];
            to->present[m][i] = s->wanted[i] >= 0;
        }
        TRY(block_reader_take(&to->counts[m], s->rows[m], s->wanted, n, INT64_MAX));
    }
done:
    return st;
}

/* The rows of a block that a modality's reader should begin with, if they are a run. */
static void begin_block(file_source *s, int64_t block)
{
    const int64_t n = block_size(s, block), first = block * s->in.block;

    for (int m = 0; m < s->in.n_modalities; m++) {
        const int64_t *row_of_obs = s->in.modality[m]->row_of_obs;
        int64_t low = row_of_obs[s->in.obs[first]], high = row_of_obs[s->in.obs[first + n - 1]];
        if (low < 0 || high < low || high - low >= s->rows[m]->block_rows) continue;
        block_reader_ahead(s->rows[m], low, high - low + 1);
    }
}

/* One more block of a window; the one after it is begun. */
static scw_status load_next(window *w, file_source *s)
{
    scw_status st = SCW_OK;
    int64_t place = w->index * s->in.window + w->n_loaded;

    TRY(load_block(&w->blocks[w->n_loaded], s, s->blocks[place]));
    w->n_loaded++;
    if (place + 1 < s->n_blocks) begin_block(s, s->blocks[place + 1]);
done:
    return st;
}

static scw_status complete(window *w, file_source *s)
{
    scw_status st = SCW_OK;
    while (w->n_loaded < blocks_in(s, w->index)) TRY(load_next(w, s));
done:
    return st;
}

/* Make `index` the current window: by moving on, or, after a jump, from nothing. */
static scw_status enter(file_source *s, int64_t index)
{
    scw_status st = SCW_OK;

    if (s->now.index == index) return SCW_OK;
    window old = s->now;
    window_clear(&old, s);
    if (s->next.index == index) {
        s->now = s->next;
        s->next = old;
    } else {
        s->now = old;
        window_clear(&s->next, s);
        s->now.index = index;
    }
    s->gathered = 0;
    if (index + 1 < s->n_windows) s->next.index = index + 1;
    TRY(complete(&s->now, s));
done:
    return st;
}

/* The next window keeps pace: it is complete when this one is used up. */
static scw_status keep_pace(file_source *s, int64_t n)
{
    scw_status st = SCW_OK;

    s->gathered += n;
    if (s->next.index < 0) return SCW_OK;
    int64_t of = blocks_in(s, s->now.index) * s->in.block, have = blocks_in(s, s->next.index);
    int64_t due = s->gathered * have / of + 1;
    while (s->next.n_loaded < due && s->next.n_loaded < have) TRY(load_next(&s->next, s));
done:
    return st;
}

/* ------------------------------------------------------------------ batches */

/* Where entry e lies: the block in a window, and its row. */
static scw_status locate(const loaded **block, int64_t *row, file_source *s, int64_t e)
{
    scw_status st = SCW_OK;
    int64_t b = e / s->in.block, place = s->place_of[b], index = place / s->in.window;

    if (index != s->now.index && index != s->next.index) TRY(enter(s, index));
    window *w = index == s->now.index ? &s->now : &s->next;
    TRY(complete(w, s));
    *block = &w->blocks[place % s->in.window];
    *row = e % s->in.block;
done:
    return st;
}

static scw_status batch_counts(matrix *out, uint8_t *present, file_source *s, int m,
                               const int64_t *entries, int64_t n)
{
    scw_status st = SCW_OK;
    const loaded *block;
    int64_t row, nnz = 0, n_cols = s->rows[m]->n_cols;

    for (int64_t i = 0; i < n; i++) {
        TRY(locate(&block, &row, s, entries[i]));
        nnz += block->counts[m].indptr[row + 1] - block->counts[m].indptr[row];
    }
    TRY(matrix_init_csr(out, n, n_cols, nnz));
    for (int64_t i = 0; i < n; i++) {
        TRY(locate(&block, &row, s, entries[i]));
        const matrix *x = &block->counts[m];
        const int64_t from = x->indptr[row], count = x->indptr[row + 1] - from;
        const int64_t at = out->indptr[i];
        memcpy(out->indices + at, x->indices + from, (size_t)count * sizeof *x->indices);
        memcpy(out->values + at, x->values + from, (size_t)count * sizeof *x->values);
        out->indptr[i + 1] = at + count;
        present[i] = block->present[m][row];
    }
done:
    return st;
}

static scw_status make_cells(cells *out, file_source *s, const int64_t *entries, int64_t n)
{
    scw_status st = SCW_OK;
    matrix counts = {0};
    uint8_t *present = NULL;

    *out = (cells){.n = n, .n_modalities = s->in.n_modalities};
    /* Of a batch that spans two windows the first entry is in the older one. */
    TRY(enter(s, s->place_of[entries[0] / s->in.block] / s->in.window));
    TRY(mem_new(&present, n));
    for (int m = 0; m < s->in.n_modalities; m++) {
        matrix_clear(&counts);
        TRY(batch_counts(&counts, present, s, m, entries, n));
        TRY(transform_apply(&out->x[m], s->in.prep[m], &counts, NULL, present, false));
    }
    if (s->in.labels) {
        TRY(mem_new(&out->labels, n));
        for (int64_t i = 0; i < n; i++) out->labels[i] = s->in.labels[entries[i]];
    }
    TRY(keep_pace(s, n));
done:
    matrix_clear(&counts);
    mem_free(present);
    return st;
}

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    file_source *s = (file_source *)(uintptr_t)self;
    cells c = {0};
    int64_t *rows = tape_alloc(t, n, sizeof *rows);

    *batch = (model_batch){0};
    if (!rows || n == 0) return;
    s->st = make_cells(&c, s, entries, n);
    if (s->st == SCW_OK) {
        for (int64_t i = 0; i < n; i++) rows[i] = i;
        cells_gather(t, &c, rows, n, batch);
        /* Vectors of columns are the cells' own; what the batch keeps must be the tape's. */
        for (int m = 0; batch->n && m < c.n_modalities; m++) {
            affine_sparse *x = &batch->x[m];
            const prepared *p = &c.x[m];
            real *scale = p->col_scale ? tape_alloc(t, x->n_cols, sizeof *scale) : NULL;
            real *shift = p->col_shift ? tape_alloc(t, x->n_cols, sizeof *shift) : NULL;
            for (int64_t j = 0; scale && j < x->n_cols; j++) scale[j] = (real)p->col_scale[j];
            for (int64_t j = 0; shift && j < x->n_cols; j++) shift[j] = (real)p->col_shift[j];
            x->col_scale = scale;
            x->col_shift = shift;
        }
    } else {
        const char *message = scw_error_message();
        size_t length = strnlen(message, sizeof s->message - 1);
        memcpy(s->message, message, length);
        s->message[length] = '\0';
    }
    cells_clear(&c);
}

static void order(const void *self, int64_t *out, rng_key key, uint32_t epoch)
{
    file_source *s = (file_source *)(uintptr_t)self;

    window_clear(&s->now, s);
    window_clear(&s->next, s);
    window_order(out, s->blocks, s->in.n, s->in.block, s->in.window, key, epoch);
    for (int64_t k = 0; k < s->n_blocks; k++) s->place_of[s->blocks[k]] = k;
}

static scw_status why_empty(const void *self)
{
    return file_source_status((file_source *)(uintptr_t)self);
}

train_source file_source_as_source(file_source *s)
{
    return (train_source){.n = s->in.n, .self = s, .gather = gather, .order = order, .status = why_empty};
}

scw_status file_source_status(const file_source *s)
{
    return s->st == SCW_OK ? SCW_OK : status_fail(s->st, "%s", s->message);
}

/* Sizes do not depend on the memory there is: else the order would, and with it the model. */
static scw_status choose_sizes(file_source_input *in)
{
    scw_status st = SCW_OK;

    if (in->block <= 0) in->block = DEFAULT_BLOCK;
    if (in->window <= 0) in->window = DEFAULT_WINDOW;
    for (int m = 0; m < in->n_modalities; m++) {
        const row_store *s = in->modality[m]->store;
        if (!s) continue;
        double each = (double)s->bytes / (double)(in->modality[m]->x.n_rows + 1);
        double windows = 2.0 * each * (double)in->block * (double)in->window;
        if (windows > (double)s->memory_bytes)
            FAIL(SCW_ENOMEM, "modality '%s': two windows of %lld cells take about %.0f MB, more than "
                 "the %lld MB it has; allow more with --mem", in->modality[m]->name,
                 (long long)(in->block * in->window), windows / 1e6,
                 (long long)(s->memory_bytes / 1000000));
    }
done:
    return st;
}

scw_status file_source_new(file_source **out, const file_source_input *input)
{
    scw_status st = SCW_OK;
    file_source *s = NULL;

    *out = NULL;
    if (input->n < 1) FAIL(SCW_EINVAL, "no cells to train on");
    TRY(mem_new(&s, 1));
    s->in = *input;
    s->now.index = s->next.index = -1;
    for (int m = 0; m < s->in.n_modalities; m++) TRY(modality_rows(&s->rows[m], s->in.modality[m]));
    TRY(choose_sizes(&s->in));
    s->n_blocks = (s->in.n - 1) / s->in.block + 1;
    s->n_windows = (s->n_blocks - 1) / s->in.window + 1;
    TRY(mem_new(&s->blocks, s->n_blocks));
    TRY(mem_new(&s->place_of, s->n_blocks));
    TRY(mem_new(&s->wanted, s->in.block));
    TRY(mem_new(&s->now.blocks, s->in.window));
    TRY(mem_new(&s->next.blocks, s->in.window));
    for (int64_t k = 0; k < s->n_blocks; k++) s->blocks[k] = s->place_of[k] = k;
    *out = s;
    s = NULL;
done:
    file_source_free(s);
    return st;
}

void file_source_free(file_source *s)
{
    if (!s) return;
    window_clear(&s->now, s);
    window_clear(&s->next, s);
    mem_free(s->now.blocks);
    mem_free(s->next.blocks);
    for (int m = 0; m < s->in.n_modalities; m++) block_reader_free(s->rows[m]);
    mem_free(s->blocks);
    mem_free(s->place_of);
    mem_free(s->wanted);
    mem_free(s);
}
