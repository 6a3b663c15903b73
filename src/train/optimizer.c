/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/optimizer.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "kernel/kernel.h"

optimizer_options optimizer_defaults(optimizer_kind kind)
{
    optimizer_options o = {.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .alpha = 0.99};
    for (int g = 0; g < OPTIMIZER_MAX_GROUPS; g++)
        o.lr_scale[g] = 1.0;
    return o;
}

/* Small enough that what a chunk's update leaves in the cache is still there for the average. */
#define CHUNK 8192

/* A buffer that keeps its values is its own average. */
static bool is_fixed(const param *q)
{
    return !q->trainable && q->init == PARAM_KEEP;
}

static bool is_once(const param *q)
{
    return q->trainable && q->once;
}

static bool same_treatment(const param *a, const param *b)
{
    return a->trainable == b->trainable && a->group == b->group && is_fixed(a) == is_fixed(b) &&
           !a->once && !b->once;
}

/* Cut the values that move into chunks of one group each; with `out` NULL they are counted. */
static int64_t cut_chunks(optimizer_chunk *out, const params *p)
{
    int64_t n = 0;
    int n_once = 0;

    for (int k = 0; k < p->n; k++) {
        const param *q = &p->at[k];
        const int once = is_once(q) ? n_once++ : -1;
        while (k + 1 < p->n && same_treatment(q, &p->at[k + 1])) k++;
        int64_t end = is_fixed(q) ? q->offset : p->at[k].offset + p->at[k].size;
        for (int64_t from = q->offset; from < end; from += CHUNK, n++) {
            int64_t to = from + CHUNK < end ? from + CHUNK : end;
            if (out) out[n] = (optimizer_chunk){from, to, q->group, q->trainable, once};
        }
    }
    return n;
}

scw_status optimizer_init(optimizer *o, const optimizer_options *options, const params *p)
{
    scw_status st = SCW_OK;

    *o = (optimizer){.options = *options, .n_chunks = cut_chunks(NULL, p)};
    TRY(mem_new(&o->chunks, o->n_chunks));
    cut_chunks(o->chunks, p);
    for (int k = 0; k < p->n; k++) o->n_once += is_once(&p->at[k]);
    TRY(mem_new(&o->once, o->n_once));
    for (int k = 0, n = 0; k < p->n; k++) {
        const param *q = &p->at[k];
        if (is_once(q)) o->once[n++] = (optimizer_once){q->offset, q->size, q->group, 0};
    }
    TRY(mem_new(&o->v, p->n_trainable));
    if (options->kind != OPTIMIZER_RMSPROP) TRY(mem_new(&o->m, p->n_trainable));
done:
    if (st != SCW_OK) optimizer_clear(o);
    return st;
}

void optimizer_clear(optimizer *o)
{
    mem_free(o->m);
    mem_free(o->v);
    mem_free(o->chunks);
    mem_free(o->once);
    *o = (optimizer){0};
}

/* Values from .. from + n - 1 of the block, and their average. */
static void update(const optimizer *o, int group, int64_t from, int64_t n, real *grad)
{
    const optimizer_options *c = &o->options;
    const double lr = o->lr * c->lr_scale[group];
    real *value = o->p->value + from;

    if (c->kind == OPTIMIZER_RMSPROP) {
        kernel_rmsprop(n, value, grad, o->v + from, lr, c->alpha, c->eps);
    } else {
        kernel_adam_options a = {.lr = lr,
                                 .beta1 = c->beta1,
                                 .beta2 = c->beta2,
                                 .eps = c->eps,
                                 .weight_decay = c->weight_decay[group],
                                 .decoupled = c->kind == OPTIMIZER_ADAMW,
                                 .step = o->n_steps};
        kernel_adam(n, value, grad, o->m + from, o->v + from, &a);
    }
}

static void follow_average(const optimizer *o, int64_t from, int64_t n)
{
    if (o->average.average)
        kernel_average(n, o->average.keep, o->p->value + from, o->average.average + from);
}

static void take(const kernel_taker *t, int64_t from, int64_t n, real *gradient)
{
    optimizer *o = t->self;
    optimizer_once *q = o->once;

    while (q->offset != t->offset) q++;
    update(o, q->group, t->offset + from, n, gradient);
    follow_average(o, t->offset + from, n);
    (void)__atomic_fetch_add(&q->taken, n, __ATOMIC_RELAXED);
}

kernel_taker optimizer_taker(optimizer *o)
{
    return (kernel_taker){o, 0, take};
}

void optimizer_begin(optimizer *o, params *p, double lr, const optimizer_average *average)
{
    o->n_steps++;
    o->p = p;
    o->lr = lr;
    o->average = average ? *average : (optimizer_average){0};
    for (int k = 0; k < o->n_once; k++) o->once[k].taken = 0;
}

void optimizer_finish(optimizer *o)
{
    PARALLEL_FOR_IF(o->n_chunks > 2)
    for (int64_t k = 0; k < o->n_chunks; k++) {
        const optimizer_chunk *at = &o->chunks[k];
        if (at->once >= 0 && o->once[at->once].taken > 0) continue;
        if (at->trainable) update(o, at->group, at->from, at->to - at->from, o->p->grad + at->from);
        follow_average(o, at->from, at->to - at->from);
    }
    for (int k = 0; k < o->n_once; k++) /* else it was used twice */
        assert(o->once[k].taken == 0 || o->once[k].taken == o->once[k].size);
}

void optimizer_step(optimizer *o, params *p, double lr, const optimizer_average *average)
{
    optimizer_begin(o, p, lr, average);
    optimizer_finish(o);
}
