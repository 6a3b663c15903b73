/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/optimizer.h"

#include "base/alloc.h"
#include "kernel/kernel.h"

optimizer_options optimizer_defaults(optimizer_kind kind)
{
    optimizer_options o = {.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .alpha = 0.99};
    for (int g = 0; g < OPTIMIZER_MAX_GROUPS; g++)
        o.lr_scale[g] = 1.0;
    return o;
}

scw_status optimizer_init(optimizer *o, const optimizer_options *options, const params *p)
{
    scw_status st = SCW_OK;

    *o = (optimizer){.options = *options};
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
    *o = (optimizer){0};
}

/* One pass over a run of the block that shares a group. */
static void step_run(optimizer *o, params *p, int64_t from, int64_t to, int group, double lr)
{
    const optimizer_options *c = &o->options;
    lr *= c->lr_scale[group];
    if (c->kind == OPTIMIZER_RMSPROP) {
        kernel_rmsprop(to - from, p->value + from, p->grad + from, o->v + from, lr, c->alpha,
                       c->eps);
        return;
    }
    kernel_adam_options a = {.lr = lr,
                             .beta1 = c->beta1,
                             .beta2 = c->beta2,
                             .eps = c->eps,
                             .weight_decay = c->weight_decay[group],
                             .decoupled = c->kind == OPTIMIZER_ADAMW,
                             .step = o->n_steps};
    kernel_adam(to - from, p->value + from, p->grad + from, o->m + from, o->v + from, &a);
}

void optimizer_step(optimizer *o, params *p, double lr)
{
    int64_t from = 0;

    o->n_steps++;
    for (int k = 0; k < p->n && p->at[k].trainable; k++) {
        bool last = k + 1 == p->n || !p->at[k + 1].trainable;
        if (!last && p->at[k + 1].group == p->at[k].group) continue;
        int64_t to = last ? p->n_trainable : p->at[k + 1].offset;
        step_run(o, p, from, to, p->at[k].group, lr);
        from = to;
    }
}
