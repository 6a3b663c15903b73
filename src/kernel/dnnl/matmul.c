/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of bf16 with fp32 sums: matmul primitives, cut among the threads as in split.h. A primitive, and
 * the memory it works in, is made when a shape is first met; a step of training meets a few dozen.
 *
 * oneDNN fixes the number of threads when it makes a primitive, and some of its kernels leave work undone
 * when fewer run it: each part is made and run for one thread. Signals wait, see sgemm.c. */
#include <dnnl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/dnnl/dnnl.h"
#include "kernel/split.h"

#define MOST_SHAPES 256 /* then all are forgotten: so many are made, but not ever more are held */
#define SCRATCH_ALIGN 64

typedef struct matmul_part {
    gemm_cut cut;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, scratchpad;
    dnnl_stream_t stream;
    char *scratch; /* of the scratchpad */
    bool failed;
} matmul_part;

typedef struct matmul_shape {
    bool trans_a, trans_b, add;
    int64_t m, n, k;
    int threads;
    int64_t n_parts; /* 0: the shape is declined */
    matmul_part *part;
} matmul_shape;

struct onednn_bf16 {
    dnnl_engine_t engine;
    matmul_shape shape[MOST_SHAPES];
    int64_t n;
};

bool onednn_bf16_is_native(void)
{
    const unsigned bf16 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return ((unsigned)dnnl_get_effective_cpu_isa() & bf16) == bf16;
}

scw_status onednn_bf16_new(onednn_bf16 **out)
{
    scw_status st = mem_new(out, 1);

    if (st == SCW_OK && dnnl_engine_create(&(*out)->engine, dnnl_cpu, 0) != dnnl_success) {
        mem_free(*out);
        *out = NULL;
        st = status_fail(SCW_ENOMEM, "oneDNN has no engine for this processor");
    }
    return st;
}

static void part_clear(matmul_part *p)
{
    const dnnl_memory_t memory[] = {p->a, p->b, p->c, p->scratchpad};

    if (p->primitive) (void)dnnl_primitive_destroy(p->primitive);
    for (int k = 0; k < 4; k++)
        if (memory[k]) (void)dnnl_memory_destroy(memory[k]);
    if (p->stream) (void)dnnl_stream_destroy(p->stream);
    mem_free(p->scratch);
    *p = (matmul_part){0};
}

static void shape_clear(matmul_shape *s)
{
    for (int64_t p = 0; p < s->n_parts; p++)
        part_clear(&s->part[p]);
    mem_free(s->part);
    *s = (matmul_shape){0};
}

static void forget_all(onednn_bf16 *w)
{
    for (int64_t k = 0; k < w->n; k++)
        shape_clear(&w->shape[k]);
    w->n = 0;
}

void onednn_bf16_free(onednn_bf16 *w)
{
    if (!w) return;
    forget_all(w);
    (void)dnnl_engine_destroy(w->engine);
    mem_free(w);
}

/* ------------------------------------------------------------- making */

static dnnl_status_t describe(dnnl_memory_desc_t *out, dnnl_data_type_t type, int64_t rows,
                              int64_t cols, int64_t row_length, bool transposed)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {transposed ? 1 : row_length, transposed ? row_length : 1};

    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}

/* Scratch memory is ours, so that it is there before the first use; C is added to after a sum. */
static dnnl_status_t make_attributes(dnnl_primitive_attr_t *out, bool add)
{
    dnnl_post_ops_t after = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(out);

    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (s != dnnl_success || !add) return s;
    s = dnnl_post_ops_create(&after);
    if (s == dnnl_success) s = dnnl_post_ops_append_sum(after, 1.0f);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*out, after);
    if (after) (void)dnnl_post_ops_destroy(after);
    return s;
}

/* Its plain loops would be slower than rounding and multiplying as floats. */
static bool is_plain(dnnl_primitive_desc_t d)
{
    const char *name = NULL;

    return dnnl_primitive_desc_query(d, dnnl_query_impl_info_str, 0, &name) != dnnl_success ||
           !name || strncmp(name, "ref", 3) == 0;
}

static scw_status make_scratch(matmul_part *p, dnnl_engine_t engine, dnnl_primitive_desc_t d,
                               dnnl_status_t *result)
{
    scw_status st = SCW_OK;
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(d, dnnl_query_scratchpad_md, 0);
    const int64_t size = (int64_t)dnnl_memory_desc_get_size(md);

    TRY(mem_new(&p->scratch, size + SCRATCH_ALIGN));
    char *at = p->scratch + (SCRATCH_ALIGN - (uintptr_t)p->scratch % SCRATCH_ALIGN);
    *result = dnnl_memory_create(&p->scratchpad, md, engine, at);
done:
    return st;
}

/* *result is oneDNN's opinion: what it does not support is no failure. */
static scw_status make_part(matmul_part *p, dnnl_engine_t engine, const matmul_shape *s,
                            const gemm_part *whole, dnnl_status_t *result)
{
    scw_status st = SCW_OK;
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t product;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t d = NULL;
    dnnl_status_t r = describe(&a, dnnl_bf16, p->cut.m, s->k, whole->lda, s->trans_a);

    if (r == dnnl_success) r = describe(&b, dnnl_bf16, s->k, p->cut.n, whole->ldb, s->trans_b);
    if (r == dnnl_success) r = describe(&c, dnnl_f32, p->cut.m, p->cut.n, whole->ldc, false);
    if (r == dnnl_success) r = dnnl_matmul_desc_init(&product, &a, &b, NULL, &c);
    if (r == dnnl_success) r = make_attributes(&attributes, s->add);
    if (r == dnnl_success) r = dnnl_primitive_desc_create(&d, &product, attributes, engine, NULL);
    if (r == dnnl_success && is_plain(d)) r = dnnl_unimplemented;
    if (r == dnnl_success) r = dnnl_primitive_create(&p->primitive, d);
    if (r == dnnl_success) r = dnnl_memory_create(&p->a, &a, engine, DNNL_MEMORY_NONE);
    if (r == dnnl_success) r = dnnl_memory_create(&p->b, &b, engine, DNNL_MEMORY_NONE);
    if (r == dnnl_success) r = dnnl_memory_create(&p->c, &c, engine, DNNL_MEMORY_NONE);
    if (r == dnnl_success) r = dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags);
    if (r == dnnl_success) TRY(make_scratch(p, engine, d, &r));
done:
    *result = r;
    if (d) (void)dnnl_primitive_desc_destroy(d);
    if (attributes) (void)dnnl_primitive_attr_destroy(attributes);
    return st;
}

static scw_status make_shape(matmul_shape *s, dnnl_engine_t engine, const gemm_part *whole)
{
    scw_status st = SCW_OK;
    const int64_t parts = gemm_n_parts(whole);
    dnnl_status_t result = dnnl_success;

    TRY(mem_new(&s->part, parts));
    s->n_parts = parts;
    threads_set(1);
    for (int64_t p = 0; p < parts && st == SCW_OK && result == dnnl_success; p++) {
        s->part[p].cut = gemm_cut_at(whole, p, parts);
        st = make_part(&s->part[p], engine, s, whole, &result);
    }
    threads_set(s->threads);
    if (st == SCW_OK && result == dnnl_success) goto done;
    for (int64_t p = 0; p < parts; p++)
        part_clear(&s->part[p]);
    s->n_parts = 0;
    if (st == SCW_OK && result == dnnl_out_of_memory)
        FAIL(SCW_ENOMEM, "out of memory in a product of bf16");
done:
    return st;
}

/* The shape of a product, made if it is new. */
static scw_status find_shape(matmul_shape **out, onednn_bf16 *w, const gemm_part *whole)
{
    scw_status st = SCW_OK;
    const int threads = threads_get();
    const bool add = whole->beta != 0;

    for (int64_t k = 0; k < w->n; k++) {
        matmul_shape *s = &w->shape[k];
        if (s->m == whole->m && s->n == whole->n && s->k == whole->k && s->trans_a == whole->trans_a &&
            s->trans_b == whole->trans_b && s->add == add && s->threads == threads) {
            *out = s;
            return SCW_OK;
        }
    }
    if (w->n == MOST_SHAPES) forget_all(w);
    matmul_shape *s = &w->shape[w->n];
    *s = (matmul_shape){.trans_a = whole->trans_a, .trans_b = whole->trans_b, .add = add,
                        .m = whole->m, .n = whole->n, .k = whole->k, .threads = threads};
    TRY(make_shape(s, w->engine, whole));
    w->n++;
    *out = s;
done:
    if (st != SCW_OK) shape_clear(s);
    return st;
}

/* ------------------------------------------------------------- running */

static void run_part(matmul_part *p, const uint16_t *a, const uint16_t *b, real *c)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->a},
                                    {DNNL_ARG_WEIGHTS, p->b},
                                    {DNNL_ARG_DST, p->c},
                                    {DNNL_ARG_SCRATCHPAD, p->scratchpad}};
    const int threads = threads_get();
    sigset_t all, before;
    /* oneDNN takes pointers to what it only reads as plain ones. */
    dnnl_status_t r = dnnl_memory_set_data_handle(p->a, (void *)(uintptr_t)(a + p->cut.a));

    if (r == dnnl_success) r = dnnl_memory_set_data_handle(p->b, (void *)(uintptr_t)(b + p->cut.b));
    if (r == dnnl_success) r = dnnl_memory_set_data_handle(p->c, c + p->cut.c);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    threads_set(1);
    if (r == dnnl_success) r = dnnl_primitive_execute(p->primitive, p->stream, 4, args);
    if (r == dnnl_success) r = dnnl_stream_wait(p->stream);
    threads_set(threads);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    p->failed = r != dnnl_success;
}

scw_status onednn_gemm_bf16(bool *done, onednn_bf16 *w, bool trans_a, bool trans_b, int64_t m,
                            int64_t n, int64_t k, const uint16_t *a, const uint16_t *b, real beta,
                            real *c)
{
    scw_status st = SCW_OK;
    const gemm_part whole = gemm_whole(trans_a, trans_b, m, n, k, NULL, NULL, beta, c);
    matmul_shape *s = NULL;

    *done = false;
    TRY(find_shape(&s, w, &whole));
    PARALLEL_FOR_IF(s->n_parts > 1)
    for (int64_t p = 0; p < s->n_parts; p++)
        run_part(&s->part[p], a, b, c);
    for (int64_t p = 0; p < s->n_parts; p++)
        if (s->part[p].failed) FAIL(SCW_ENOMEM, "oneDNN: a product of bf16 failed");
    *done = s->n_parts > 0;
done:
    return st;
}
