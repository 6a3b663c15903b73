/* SPDX-License-Identifier: BSD-3-Clause */
/* Training batches of the first modality of a file through the windows of train/file_source.h, timed:
 *
 *   batches_tool FILE [--mem BYTES] [--batches N] [--batch N] [--threads N] [--window BLOCKS] [--seed N]
 *
 * One line of JSON. The transform is fitted on a window's worth of cells spread over the file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "train/file_source.h"

typedef struct request {
    const char *path;
    int64_t memory, n_batches, batch, window;
    uint64_t seed;
} request;

/* The transform of log counts, from `n` cells spread evenly in runs of 64. */
static scw_status fit_transform(transform *t, const modality *m, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL, all = m->x.n_rows, runs;
    matrix counts = {0};

    if (n > all) n = all / 64 * 64;
    runs = n / 64;
    TRY(mem_new(&rows, n));
    for (int64_t k = 0; k < runs; k++)
        for (int64_t i = 0; i < 64; i++)
            rows[k * 64 + i] = (int64_t)((double)(all - 64) * (double)k / (double)runs) + i;
    TRY(modality_take(&counts, m, rows, n));
    TRY(transform_fit(t, &counts, &(transform_options){.kind = TRANSFORM_LOG}));
done:
    matrix_clear(&counts);
    mem_free(rows);
    return st;
}

static scw_status gather_all(double *seconds, double *slowest, uint64_t *sum, file_source *s,
                             const request *q)
{
    scw_status st = SCW_OK;
    train_source source = file_source_as_source(s);
    tape *t = NULL;
    int64_t *order = NULL;
    model_batch batch;

    TRY(tape_new(&t));
    TRY(mem_new(&order, source.n));
    const double begin = clock_wall();
    *slowest = 0.0;
    source.order(source.self, order, rng_make_key(q->seed, RNG_SHUFFLE, 0), 0);
    for (int64_t k = 0; k < q->n_batches && (k + 1) * q->batch <= source.n; k++) {
        const double from = clock_wall();
        tape_reset(t, TAPE_TRAIN);
        source.gather(source.self, t, order + k * q->batch, q->batch, &batch);
        if (batch.n == 0) TRY(source.status(source.self));
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
    file_source *s = NULL;
    transform prep = {0};
    int64_t *obs = NULL;
    const scw_source source = {.path = q->path};
    const scw_read_options options = {.memory_bytes = q->memory};
    double seconds[2] = {0}, slowest = 0.0, begin = clock_wall();
    uint64_t sum = 0;

    TRY(scw_dataset_open(&d, &source, 1, &options, NULL));
    const double opened = clock_wall() - begin;
    TRY(fit_transform(&prep, &d->modalities[0], 8192));
    const double fitted = clock_wall() - begin - opened;
    TRY(mem_new(&obs, d->n_obs));
    int64_t n = 0;
    for (int64_t i = 0; i < d->n_obs; i++)
        if (d->modalities[0].row_of_obs[i] >= 0) obs[n++] = i;
    const file_source_input input = {.n = n, .obs = obs, .n_modalities = 1,
                                     .modality = {&d->modalities[0]}, .prep = {&prep},
                                     .window = q->window, .seed = q->seed};
    TRY(file_source_new(&s, &input));
    TRY(gather_all(seconds, &slowest, &sum, s, q));
    (void)printf("{\"open_seconds\": %.3f, \"fit_seconds\": %.3f, \"first_batch_seconds\": %.3f, "
                 "\"batch_ms\": %.3f, \"slowest_ms\": %.3f, \"fingerprint\": %" PRIu64
                 ", \"peak_bytes\": %" PRId64 "}\n",
                 opened, fitted, seconds[0],
                 q->n_batches > 1 ? 1e3 * seconds[1] / (double)(q->n_batches - 1) : 0.0,
                 1e3 * slowest, sum, peak_rss_bytes());
done:
    file_source_free(s);
    transform_clear(&prep);
    scw_dataset_free(d);
    mem_free(obs);
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
        else if (strcmp(argv[i], "--window") == 0) q.window = value;
        else if (strcmp(argv[i], "--seed") == 0) q.seed = (uint64_t)value;
        else return 2;
    }
    scw_status st = measure(&q);
    if (st == SCW_OK) return 0;
    (void)fprintf(stderr, "%s: %s\n", scw_status_name(st), scw_error_message());
    return 10 + (int)st;
}
