/* SPDX-License-Identifier: BSD-3-Clause */
/* Training batches of the first modality of a file from packed rows, as a fit takes them when the matrix
 * does not fit in memory, timed:
 *
 *   batches_tool FILE [--mem BYTES] [--batches N] [--batch N] [--threads N] [--seed N]
 *
 * One line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "train/source.h"

typedef struct request {
    const char *path;
    int64_t memory, n_batches, batch;
    uint64_t seed;
} request;

static scw_status pack(packed_rows **out, const modality *m)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;
    row_block b = {0};
    bool more;

    TRY(modality_rows(&rows, m));
    TRY(packed_rows_new(out, m->x.n_cols, NULL));
    for (;;) {
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        TRY(packed_rows_add(*out, &b.x));
    }
done:
    row_block_clear(&b);
    block_reader_free(rows);
    return st;
}

static scw_status gather_all(double *seconds, double *slowest, uint64_t *sum, const train_source *s,
                             const request *q)
{
    scw_status st = SCW_OK;
    tape *t = NULL;
    int64_t *order = NULL;
    model_batch batch;

    TRY(tape_new(&t));
    TRY(mem_new(&order, s->n));
    rng_permutation(order, s->n, rng_make_key(q->seed, RNG_SHUFFLE, 0), 0);
    const double begin = clock_wall();
    *slowest = 0.0;
    for (int64_t k = 0; k < q->n_batches && (k + 1) * q->batch <= s->n; k++) {
        const double from = clock_wall();
        tape_reset(t, TAPE_TRAIN);
        if ((k + 2) * q->batch <= s->n) s->ahead(s->self, order + (k + 1) * q->batch, q->batch);
        s->gather(s->self, t, order + k * q->batch, q->batch, &batch);
        TRY(tape_status(t));
        double took = clock_wall() - from;
        if (k > 0 && took > *slowest) *slowest = took;
        seconds[k == 0 ? 0 : 1] = k == 0 ? clock_wall() - begin : clock_wall() - begin - seconds[0];
        /* A fingerprint, so that two runs can be compared. */
        for (int64_t e = 0; e < batch.x[0].indptr[batch.n]; e++)
            *sum = *sum * 31 + (uint64_t)batch.x[0].indices[e];
    }
done:
    mem_free(order);
    tape_free(t);
    return st;
}

static scw_status measure(const request *q)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    packed_rows *packed = NULL;
    block_reader *counts = NULL;
    transform prep = {0};
    cells all = {.n_modalities = 1};
    int64_t *rows = NULL;
    const scw_source source = {.path = q->path};
    const scw_read_options options = {.memory_bytes = q->memory};
    double seconds[2] = {0}, slowest = 0.0, begin = clock_wall();
    uint64_t sum = 0;

    TRY(scw_dataset_open(&d, &source, 1, &options, NULL));
    const modality *m = &d->modalities[0];
    const double opened = clock_wall() - begin;
    TRY(pack(&packed, m));
    const double packing = clock_wall() - begin - opened;
    all.n = packed->n_rows;
    TRY(mem_new(&rows, all.n));
    for (int64_t i = 0; i < all.n; i++) rows[i] = i;
    const row_list list = {&m->x, packed, rows, all.n};
    TRY(row_list_reader(&counts, &list));
    TRY(transform_fit_rows(&prep, counts, &(transform_options){.kind = TRANSFORM_LOG}, NULL));
    TRY(transform_apply_packed(&all.x[0], &prep, &list, NULL, NULL));
    const double fitted = clock_wall() - begin - opened - packing;
    const row_source picked = {.cells = &all, .rows = rows, .n = all.n};
    const train_source batches = row_source_as_source(&picked);
    TRY(gather_all(seconds, &slowest, &sum, &batches, q));
    (void)printf("{\"open_seconds\": %.3f, \"pack_seconds\": %.3f, \"packed_bytes\": %" PRId64
                 ", \"fit_seconds\": %.3f, \"first_batch_seconds\": %.3f, \"batch_ms\": %.3f, "
                 "\"slowest_ms\": %.3f, \"fingerprint\": %" PRIu64 ", \"peak_bytes\": %" PRId64 "}\n",
                 opened, packing, packed->file.size, fitted, seconds[0],
                 q->n_batches > 1 ? 1e3 * seconds[1] / (double)(q->n_batches - 1) : 0.0,
                 1e3 * slowest, sum, peak_rss_bytes());
done:
    cells_clear(&all);
    block_reader_free(counts);
    transform_clear(&prep);
    packed_rows_free(packed);
    scw_dataset_free(d);
    mem_free(rows);
    return st;
}

int main(int argc, char **argv)
{
    request q = {.n_batches = 10, .batch = 64, .seed = 1};

    if (argc < 2) return 2;
    q.path = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const int64_t value = atoll(argv[i + 1]);
        if (strcmp(argv[i], "--mem") == 0) q.memory = value;
        else if (strcmp(argv[i], "--batches") == 0) q.n_batches = value;
        else if (strcmp(argv[i], "--batch") == 0) q.batch = value;
        else if (strcmp(argv[i], "--threads") == 0) threads_set((int)value);
        else if (strcmp(argv[i], "--seed") == 0) q.seed = (uint64_t)value;
        else return 2;
    }
    scw_status st = measure(&q);
    if (st == SCW_OK) return 0;
    (void)fprintf(stderr, "%s: %s\n", scw_status_name(st), scw_error_message());
    return 10 + (int)st;
}
