/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/optimizer.h"

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

static bool same_treatment(const param *a, const param *b)
{
    return a->trainable == b->trainable && a->group == b->group && is_fixed(a) == is_fixed(b);
}

/* Cut the values that move into chunks of one group each; with `out` NULL they are counted. */
static int64_t cut_chunks(optimizer_chunk *out, const params *p)
{
    int64_t n = 0;

    for (int k = 0; k < p->n; k++) {
        const param *q = &p->at[k];
        while (k + 1 < p->n && same_treatment(q, &p->at[k + 1])) k++;
        int64_t end = is_fixed(q) ? q->offset : p->at[k].offset + p->at[k].size;
        for (int64_t from = q->offset; from < end; from += CHUNK, n++) {
            int64_t to = from + CHUNK < end ? from + CHUNK : end;
            if (out) out[n] = (optimizer_chunk){from, to, q->group, q->trainable};
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
    *o = (optimizer){0};
}

static void step_chunk(optimizer *o, params *p, const optimizer_chunk *at, double lr)
{
    const optimizer_options *c = &o->options;
    const int64_t from = at->from, n = at->to - at->from;
    lr *= c->lr_scale[at->group];
    if (c->kind == OPTIMIZER_RMSPROP) {
        kernel_rmsprop(n, p->value + from, p->grad + from, o->v + from, lr, c->alpha, c->eps);
        return;
    }
    kernel_adam_options a = {.lr = lr,
                             .beta1 = c->beta1,
                             .beta2 = c->beta2,
                             .eps = c->eps,
                             .weight_decay = c->weight_decay[at->group],
                             .decoupled = c->kind == OPTIMIZER_ADAMW,
                             .step = o->n_steps};
    kernel_adam(n, p->value + from, p->grad + from, o->m + from, o->v + from, &a);
}

void optimizer_step(optimizer *o, params *p, double lr, const optimizer_average *average)
{
    o->n_steps++;
    PARALLEL_FOR_IF(o->n_chunks > 2)
    for (int64_t k = 0; k < o->n_chunks; k++) {
        const optimizer_chunk *at = &o->chunks[k];
        if (at->trainable) step_chunk(o, p, at, lr);
        if (average)
            kernel_average(at->to - at->from, average->keep, p->value + at->from,
                           average->average + at->from);
    }
}
