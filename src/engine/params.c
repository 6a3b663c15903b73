/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/params.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/threads.h"

#define PARAM_ALIGN 16 /* elements: 64 bytes of float, so that every view starts a cache line */

scw_status params_add(params *p, int *out, const char *name, int n_dims, const int64_t *dim,
                      param_init_kind init, double low, double high, bool trainable, int group)
{
    scw_status st = SCW_OK;
    param q = {.n_dims = n_dims, .size = 1, .init = init, .low = low, .high = high,
               .trainable = trainable, .group = group};

    *out = -1;
    if (p->memory) FAIL(SCW_EINVAL, "parameter '%s' is declared after params_build", name);
    if (n_dims < 1 || n_dims > 4)
        FAIL(SCW_EINVAL, "parameter '%s' has %d dimensions; 1 to 4 are possible", name, n_dims);
    for (int d = 0; d < 4; d++) {
        q.dim[d] = d < n_dims ? dim[d] : 1;
        if (q.dim[d] < 0 || !checked_mul(&q.size, q.size, q.dim[d]))
            FAIL(SCW_EINVAL, "parameter '%s': dimension %d is %lld", name, d, (long long)q.dim[d]);
    }
    for (int k = 0; k < p->n; k++)
        if (strcmp(p->at[k].name, name) == 0)
            FAIL(SCW_EINVAL, "parameter '%s' is declared twice", name);
    if (p->n == p->capacity) {
        int capacity = p->capacity ? 2 * p->capacity : 32;
        TRY(mem_resize(&p->at, capacity));
        TRY(mem_resize(&p->place, capacity));
        p->capacity = capacity;
    }
    TRY(mem_strdup(&q.name, name));
    p->at[p->n] = q;
    p->place[p->n] = p->n;
    *out = p->n++;
done:
    return st;
}

/* Stable partition of the table: trainable ones first. `place` follows. */
static scw_status put_trainable_first(params *p)
{
    scw_status st = SCW_OK;
    param *sorted = NULL;
    int n = 0;

    TRY(mem_new(&sorted, p->capacity));
    for (int trainable = 1; trainable >= 0; trainable--)
        for (int k = 0; k < p->n; k++) {
            if ((int)p->at[k].trainable != trainable) continue;
            p->place[k] = n;
            sorted[n++] = p->at[k];
        }
    if (p->n > 0) memcpy(p->at, sorted, (size_t)p->n * sizeof *sorted);
done:
    mem_free(sorted);
    return st;
}

static scw_status lay_out(params *p)
{
    scw_status st = SCW_OK;
    int64_t next = 0;

    p->n_trainable = 0;
    for (int k = 0; k < p->n; k++) {
        param *q = &p->at[k];
        q->offset = next;
        if (!checked_add(&next, next, q->size) || !checked_add(&next, next, PARAM_ALIGN - 1))
            FAIL(SCW_ENOMEM, "parameter '%s': the model is too large", q->name);
        next -= next % PARAM_ALIGN;
        if (q->trainable) p->n_trainable = next;
    }
    p->n_values = next;
done:
    return st;
}

/* Numbers are addressed by element, so any split over threads draws the same. */
static void draw(const param *q, real *value, rng_key key)
{
    double low = q->low, range = q->high - q->low;

    if (q->init == PARAM_ONE) {
        for (int64_t e = 0; e < q->size; e++) value[e] = 1;
    } else if (q->init == PARAM_UNIFORM) {
        PARALLEL_FOR_IF(q->size > 4096)
        for (int64_t e = 0; e < q->size; e++)
            value[e] = (real)(low + range * rng_uniform(key, 0, (uint64_t)e));
    }
}

scw_status params_build(params *p, uint64_t seed)
{
    scw_status st = SCW_OK;
    real *memory = NULL;
    int64_t count;

    if (p->memory) FAIL(SCW_EINVAL, "params_build: called twice");
    TRY(put_trainable_first(p));
    TRY(lay_out(p));
    if (!checked_add(&count, p->n_values, p->n_trainable + PARAM_ALIGN))
        FAIL(SCW_ENOMEM, "the model is too large: %lld values", (long long)p->n_values);
    TRY(mem_new(&memory, count));
    p->memory = memory;
    uintptr_t over = (uintptr_t)memory % 64;
    p->value = over ? memory + (64 - over) / sizeof(real) : memory;
    p->grad = p->value + p->n_values;
    for (int h = 0; h < p->n; h++) {
        const param *q = &p->at[p->place[h]];
        draw(q, p->value + q->offset, rng_make_key(seed, RNG_INIT, (uint32_t)h));
    }
done:
    return st;
}

void params_clear(params *p)
{
    for (int k = 0; k < p->n; k++) mem_free(p->at[k].name);
    mem_free(p->at);
    mem_free(p->place);
    mem_free(p->memory);
    *p = (params){0};
}

void params_use_once(params *p, int handle)
{
    p->at[p->place[handle]].once = true;
}

real *params_value(const params *p, int handle)
{
    return p->value + p->at[p->place[handle]].offset;
}

real *params_grad(const params *p, int handle)
{
    const param *q = &p->at[p->place[handle]];
    return q->trainable && p->grad ? p->grad + q->offset : NULL;
}

const param *params_find(const params *p, const char *name)
{
    for (int k = 0; k < p->n; k++)
        if (strcmp(p->at[k].name, name) == 0) return &p->at[k];
    return NULL;
}
