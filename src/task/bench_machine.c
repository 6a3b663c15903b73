/* SPDX-License-Identifier: BSD-3-Clause */
/* What this machine can do: products, memory by the size of what is worked on, decompression. */
#include "task/bench.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "io/h5_decode.h"
#include "io/h5_encode.h"
#include "kernel/kernel.h"

#define BUDGET 0.1 /* seconds for a measurement */
#define CHUNK_BYTES ((int64_t)1 << 20)
#define N_CHUNKS 16
#define COMPRESSION 4 /* the level that h5py and anndata use unless told */

double bench_best(void (*call)(void *self), void *self, double budget)
{
    double best = 1e300;

    call(self);
    const double start = clock_wall();
    do {
        double t0 = clock_wall();
        call(self);
        double t = clock_wall() - t0;
        if (t < best) best = t;
    } while (clock_wall() - start < budget);
    return best;
}

/* Bytes a second over the largest measured size that is no larger: smaller sets are not slower, so
 * the time that follows is one that cannot be beaten. */
static double memory_rate(const bench_limits *l, double working_set)
{
    int k = BENCH_N_SIZES - 1;
    while (k > 0 && l->bytes[k] > working_set)
        k--;
    return l->rate[k];
}

void bench_cost_add(bench_cost *c, const bench_limits *l, double flops, double bytes,
                    double working_set)
{
    double arithmetic = flops / l->fp32, traffic = bytes / memory_rate(l, working_set);

    c->flops += flops;
    c->bytes += bytes;
    c->seconds += arithmetic > traffic ? arithmetic : traffic;
}

/* ---------------------------------------------------------------------------------- products */

/* As a decoder of F genes, the joint encoder and the first layer after a projection ask for them;
 * the square is what textbooks measure. */
static const struct product_kind {
    const char *what;
    bool trans_a, trans_b;
    int64_t m, n, k;
} products[] = {
    {"1536 square", false, false, 1536, 1536, 1536},
    {"decoder 2,000, batch 64", false, true, 64, 2000, 100},
    {"decoder 20,000, batch 64", false, true, 64, 20000, 100},
    {"decoder 20,000, batch 512", false, true, 512, 20000, 100},
    {"its input's gradient, batch 64", false, false, 64, 100, 20000},
    {"its input's gradient, batch 512", false, false, 512, 100, 20000},
    {"its weights' gradient, batch 64", true, false, 20000, 100, 64},
    {"its weights' gradient, batch 512", true, false, 20000, 100, 512},
    {"joint encoder, batch 64", false, true, 64, 100, 215},
    {"joint encoder, batch 512", false, true, 512, 100, 215},
};
#define N_PRODUCTS ((int)(sizeof products / sizeof *products))

typedef struct product {
    const struct product_kind *kind;
    real *a, *b, *c;
    kernel_bf16 *bf16; /* NULL: in fp32 */
    scw_status status;
} product;

static void multiply(void *self)
{
    product *p = self;
    const struct product_kind *q = p->kind;

    if (!p->bf16)
        kernel_gemm(q->trans_a, q->trans_b, q->m, q->n, q->k, p->a, p->b, 0, p->c);
    else if (p->status == SCW_OK)
        p->status = kernel_gemm_bf16(p->bf16, q->trans_a, q->trans_b, q->m, q->n, q->k, p->a, p->b,
                                     0, p->c);
}

static void fill(real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (real)(i % 7) - 3;
}

static scw_status measure_product(bench *b, const struct product_kind *q, kernel_bf16 *bf16)
{
    scw_status st = SCW_OK;
    product p = {.kind = q, .bf16 = bf16};
    const double flops = 2.0 * (double)q->m * (double)q->n * (double)q->k;
    bench_row row = {.part = "products", .what = q->what, .settings = bf16 ? "bf16" : "fp32"};

    TRY(mem_new(&p.a, q->m * q->k));
    TRY(mem_new(&p.b, q->k * q->n));
    TRY(mem_new(&p.c, q->m * q->n));
    fill(p.a, q->m * q->k);
    fill(p.b, q->k * q->n);
    row.seconds = bench_best(multiply, &p, BUDGET);
    TRY(p.status);
    row.cost.flops = flops;
    double *best = bf16 ? &b->limits.bf16 : &b->limits.fp32;
    if (flops / row.seconds > *best) *best = flops / row.seconds;
    TRY(bench_add(b, &row));
done:
    mem_free(p.a);
    mem_free(p.b);
    mem_free(p.c);
    return st;
}

/* In bf16 with the rounding of what is multiplied, as training pays for it; and where the processor has no
 * bf16 too: so slow is --precision bf16 there. */
static scw_status measure_products(bench *b)
{
    scw_status st = SCW_OK;
    kernel_bf16 *bf16 = NULL;

    for (int k = 0; k < N_PRODUCTS; k++)
        TRY(measure_product(b, &products[k], NULL));
    TRY(kernel_bf16_new(&bf16));
    for (int k = 0; k < N_PRODUCTS; k++)
        TRY(measure_product(b, &products[k], bf16));
done:
    kernel_bf16_free(bf16);
    return st;
}

/* ---------------------------------------------------------------------------------- memory */

typedef struct stream {
    int64_t n;
    real *x, *y;
} stream;

/* Two arrays read, one of them written: no line is fetched that is not asked for. */
static void run_stream(void *self)
{
    const stream *s = self;
    kernel_accumulate(s->n, (real)0.5, s->x, s->y);
}

static scw_status measure_memory(bench *b)
{
    static const char *const names[BENCH_N_SIZES] = {"64 KiB", "256 KiB", "1 MiB",  "4 MiB",
                                                     "16 MiB", "64 MiB",  "256 MiB"};
    scw_status st = SCW_OK;
    stream s = {.n = (int64_t)32 << 20};

    TRY(mem_new(&s.x, s.n));
    TRY(mem_new(&s.y, s.n));
    fill(s.x, s.n);
    fill(s.y, s.n);
    for (int k = 0; k < BENCH_N_SIZES; k++) {
        s.n = (int64_t)1 << (13 + 2 * k);
        bench_row row = {.part = "memory", .what = names[k], .settings = "y += s x"};
        row.seconds = bench_best(run_stream, &s, BUDGET);
        row.cost.bytes = 3.0 * (double)sizeof(real) * (double)s.n;
        b->limits.bytes[k] = 2.0 * (double)sizeof(real) * (double)s.n;
        b->limits.rate[k] = row.cost.bytes / row.seconds;
        TRY(bench_add(b, &row));
    }
    /* What is smaller can be done at least as fast; starting threads for it may say otherwise. */
    for (int k = BENCH_N_SIZES - 2; k >= 0; k--)
        if (b->limits.rate[k] < b->limits.rate[k + 1]) b->limits.rate[k] = b->limits.rate[k + 1];
done:
    mem_free(s.x);
    mem_free(s.y);
    return st;
}

/* ---------------------------------------------------------------------------------- decompression
 */

typedef struct inflation {
    uint8_t *packed, *plain; /* one compressed chunk; room for N_CHUNKS plain ones */
    size_t n_packed;
    int n_chunks;
    inflater *of[N_CHUNKS];
} inflation;

static void inflate_all(void *self)
{
    inflation *f = self;

    PARALLEL_FOR_IF(f->n_chunks > 1)
    for (int k = 0; k < f->n_chunks; k++)
        (void)inflate_exactly(f->of[k], f->plain + k * CHUNK_BYTES, (size_t)CHUNK_BYTES, f->packed,
                              f->n_packed);
}

/* Half column numbers of sorted rows, half counts: as a chunk of a file has the one or the other.
 */
static void fill_chunk(uint8_t *out)
{
    const rng_key key = rng_make_key(1, RNG_EXAMPLE, 100);
    const int64_t n = CHUNK_BYTES / 8;
    uint32_t at = 0, word[4];

    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0) rng_block(word, key, 0, (uint64_t)i);
        at = (at + 1 + word[i % 4] % 39) % 20000;
        float count = (float)(1 + __builtin_ctz(word[i % 4] >> 16 | 0x8000u));
        memcpy(out + 4 * i, &at, 4);
        memcpy(out + 4 * (n + i), &count, 4);
    }
}

static scw_status measure_inflation(bench *b)
{
    scw_status st = SCW_OK;
    inflation f = {.n_chunks = N_CHUNKS};
    const int64_t room = (int64_t)deflate_room((size_t)CHUNK_BYTES);

    TRY(mem_new(&f.packed, room));
    TRY(mem_new(&f.plain, N_CHUNKS * CHUNK_BYTES));
    fill_chunk(f.plain);
    f.n_packed = deflate_bytes(f.packed, (size_t)room, f.plain, (size_t)CHUNK_BYTES, COMPRESSION);
    for (int k = 0; k < N_CHUNKS; k++)
        f.of[k] = inflater_new();
    if (f.n_packed == 0 || !f.of[N_CHUNKS - 1]) FAIL(SCW_ENOMEM, "out of memory");
    for (int all = 0; all < 2; all++) {
        f.n_chunks = all ? N_CHUNKS : 1;
        bench_row row = {.part = "decompression",
                         .what = all ? "all threads" : "one thread",
                         .settings = "gzip level 4"};
        row.seconds = bench_best(inflate_all, &f, BUDGET);
        row.cost.bytes = (double)(f.n_chunks * CHUNK_BYTES);
        const double rate = row.cost.bytes / row.seconds;
        if (rate > b->limits.inflate) b->limits.inflate = rate;
        TRY(bench_add(b, &row));
    }
done:
    for (int k = 0; k < N_CHUNKS; k++)
        inflater_free(f.of[k]);
    mem_free(f.packed);
    mem_free(f.plain);
    return st;
}

scw_status bench_machine(bench *b)
{
    scw_status st = SCW_OK;

    TRY(measure_products(b));
    TRY(measure_memory(b));
    TRY(measure_inflation(b));
done:
    return st;
}
