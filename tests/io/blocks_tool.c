/* SPDX-License-Identifier: BSD-3-Clause */
/* Block readers as a program:
 *
 *   blocks_tool read FILE ELEMENT [options]    the matrix on stdout: n_rows, n_cols, nnz as int64;
 *                                              indptr int64, indices int32, values float64
 *   blocks_tool sweep FILE ELEMENT [options]   the same with the 1st, 2nd, ... allocation failing
 *   blocks_tool time FILE ELEMENT [options]    rows a second, as JSON
 *
 * --exact, --memory BYTES, --folder DIR, --rows N (a block), --threads N,
 * --order forward|backward|apart (single rows, far apart, then all forward), --tenx (a Cell Ranger group).
 * Exit code 0, or 10 + the status with its message on stderr. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "io/file_blocks.h"

typedef struct request {
    const char *command, *path, *element, *order;
    int64_t rows;
    bool tenx;
    block_options options;
} request;

typedef struct held {
    hid_t file, group;
    compressed_vectors v;
} held;

static void held_close(held *h)
{
    h5_close(&h->v.indptr);
    h5_close(&h->v.indices);
    h5_close(&h->v.data);
    h5_close(&h->group);
    h5_close(&h->file);
}

static scw_status open_tenx(block_reader **out, held *h, const request *q)
{
    scw_status st = SCW_OK;
    hid_t shape = 0;
    int64_t dims[2];

    TRY(h5_file_open(&h->file, q->path));
    TRY(h5_open_group(&h->group, h->file, q->element));
    TRY(h5_open(&shape, h->group, "shape"));
    TRY(h5_read_i64(dims, shape, 2));
    h->v.n_major = dims[1];
    h->v.n_minor = dims[0];
    TRY(h5_open(&h->v.indptr, h->group, "indptr"));
    TRY(h5_open(&h->v.indices, h->group, "indices"));
    TRY(h5_open(&h->v.data, h->group, "data"));
    TRY(block_reader_of_vectors(out, &h->v, &q->options));
done:
    h5_close(&shape);
    return st;
}

static scw_status collect(row_block *all, const row_block *b, int64_t n_rows)
{
    scw_status st = SCW_OK;
    int64_t have = all->x.n_rows, at = have ? all->x.indptr[have] : 0;
    const int64_t n = b->x.n_rows, nnz = b->x.indptr[n];

    TRY(row_block_reserve(all, n_rows, at + nnz, true));
    all->x.indptr[0] = 0;
    for (int64_t i = 1; i <= n; i++) all->x.indptr[have + i] = at + b->x.indptr[i];
    for (int64_t k = 0; k < nnz; k++) {
        all->x.indices[at + k] = b->x.indices[k];
        all->exact[at + k] = b->exact ? b->exact[k] : (double)b->x.values[k];
    }
    all->x.n_rows += n;
done:
    return st;
}

/* A few single rows from all over, so that what follows cannot rely on the order. */
static scw_status read_apart(row_block *b, block_reader *r)
{
    scw_status st = SCW_OK;

    for (int64_t k = 0; k < 7 && r->n_rows > 0; k++) {
        TRY(block_reader_read(b, r, (k * 7919) % r->n_rows, 1));
        if (k % 2) block_reader_ahead(r, (k * 31) % r->n_rows, 1);
    }
    row_block_clear(b);
done:
    return st;
}

static scw_status read_backward(row_block *all, block_reader *r)
{
    scw_status st = SCW_OK;
    row_block *parts = NULL;
    int64_t n = r->n_rows > 0 ? (r->n_rows - 1) / r->block_rows + 1 : 0;

    TRY(mem_new(&parts, n));
    for (int64_t k = n; k-- > 0;) {
        int64_t from = k * r->block_rows, left = r->n_rows - from;
        TRY(block_reader_read(&parts[k], r, from, left < r->block_rows ? left : r->block_rows));
    }
    for (int64_t k = 0; k < n; k++) TRY(collect(all, &parts[k], r->n_rows));
done:
    for (int64_t k = 0; parts && k < n; k++) row_block_clear(&parts[k]);
    mem_free(parts);
    return st;
}

static scw_status read_all(row_block *all, int64_t *n_cols, const request *q)
{
    scw_status st = SCW_OK;
    h5_session session;
    block_reader *r = NULL;
    row_block b = {0};
    held h = {0};
    bool more = true;

    h5_session_begin(&session);
    if (q->tenx)
        TRY(open_tenx(&r, &h, q));
    else
        TRY(block_reader_open(&r, q->path, q->element, -1, -1, &q->options));
    if (q->rows > 0) r->block_rows = q->rows;
    *n_cols = r->n_cols;
    TRY(row_block_reserve(all, r->n_rows, 0, true));
    all->x.indptr[0] = 0;
    if (strcmp(q->order, "apart") == 0) TRY(read_apart(&b, r));
    if (strcmp(q->order, "backward") == 0) {
        TRY(read_backward(all, r));
        goto done;
    }
    for (;;) {
        TRY(block_reader_next(&b, r, &more));
        if (!more) break;
        TRY(collect(all, &b, r->n_rows));
    }
done:
    row_block_clear(&b);
    block_reader_free(r);
    held_close(&h);
    h5_session_end(&session);
    return st;
}

static scw_status write_matrix(const request *q)
{
    scw_status st = SCW_OK;
    row_block all = {0};
    int64_t n_cols = 0;

    TRY(read_all(&all, &n_cols, q));
    const int64_t head[3] = {all.x.n_rows, n_cols, all.x.indptr[all.x.n_rows]};
    if (fwrite(head, sizeof *head, 3, stdout) != 3 ||
        fwrite(all.x.indptr, sizeof(int64_t), (size_t)head[0] + 1, stdout) != (size_t)head[0] + 1 ||
        fwrite(all.x.indices, sizeof(int32_t), (size_t)head[2], stdout) != (size_t)head[2] ||
        fwrite(all.exact, sizeof(double), (size_t)head[2], stdout) != (size_t)head[2])
        FAIL(SCW_EIO, "stdout: cannot write");
done:
    row_block_clear(&all);
    return st;
}

static scw_status sweep(const request *q)
{
    scw_status st = SCW_OK;
    int64_t at = 1;

    for (;; at++) {
        row_block all = {0};
        int64_t n_cols;
        (void)mem_fail_at(at);
        scw_status got = read_all(&all, &n_cols, q);
        bool reached = mem_fail_at(0) >= at;
        row_block_clear(&all);
        if (got == SCW_OK && !reached) break;
        /* What was only begun ahead is done again, so that a failure there may go unseen. */
        if (got != SCW_OK && got != SCW_ENOMEM)
            FAIL(SCW_EINTERNAL, "allocation %lld: code %d (%s)", (long long)at, (int)got,
                 scw_error_message());
    }
    (void)printf("%lld allocations\n", (long long)at - 1);
done:
    (void)mem_fail_at(0);
    return st;
}

/* A consumer that touches every value once. */
static scw_status measure(const request *q)
{
    scw_status st = SCW_OK;
    block_reader *r = NULL;
    row_block b = {0};
    bool more = true;
    double sum = 0.0;
    int64_t nnz = 0, blocks = 0;
    const double begin = clock_wall(), begin_cpu = clock_cpu();

    TRY(block_reader_open(&r, q->path, q->element, -1, -1, &q->options));
    if (q->rows > 0) r->block_rows = q->rows;
    for (;; blocks++) {
        TRY(block_reader_next(&b, r, &more));
        if (!more) break;
        int64_t n = b.x.indptr[b.x.n_rows];
        for (int64_t k = 0; k < n; k++) sum += b.exact ? b.exact[k] : (double)b.x.values[k];
        nnz += n;
    }
    const double wall = clock_wall() - begin;
    (void)printf("{\"rows\": %" PRId64 ", \"nnz\": %" PRId64 ", \"blocks\": %" PRId64
                 ", \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"rows_per_second\": %.0f, "
                 "\"sum\": %.17g, \"peak_bytes\": %" PRId64 "}\n",
                 r->n_rows, nnz, blocks, wall, clock_cpu() - begin_cpu, (double)r->n_rows / wall,
                 sum, peak_rss_bytes());
done:
    row_block_clear(&b);
    block_reader_free(r);
    return st;
}

int main(int argc, char **argv)
{
    request q = {.order = "forward"};

    if (argc < 4) return 2;
    q.command = argv[1];
    q.path = argv[2];
    q.element = argv[3];
    for (int i = 4; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(word, "--exact") == 0) q.options.exact = true;
        else if (strcmp(word, "--tenx") == 0) q.tenx = true;
        else if (strcmp(word, "--memory") == 0) q.options.memory_bytes = atoll(value), i++;
        else if (strcmp(word, "--folder") == 0) q.options.folder = value, i++;
        else if (strcmp(word, "--rows") == 0) q.rows = atoll(value), i++;
        else if (strcmp(word, "--threads") == 0) threads_set(atoi(value)), i++;
        else if (strcmp(word, "--order") == 0) q.order = value, i++;
        else return 2;
    }
    scw_status st = strcmp(q.command, "read") == 0    ? write_matrix(&q)
                    : strcmp(q.command, "sweep") == 0 ? sweep(&q)
                    : strcmp(q.command, "time") == 0  ? measure(&q)
                                                      : SCW_EINVAL;
    if (st == SCW_OK) return 0;
    (void)fprintf(stderr, "%s: %s\n", scw_status_name(st), scw_error_message());
    return 10 + (int)st;
}
