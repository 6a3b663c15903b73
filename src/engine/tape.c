/* SPDX-License-Identifier: BSD-3-Clause */
/* The tape: arena, records, the walk back. Ops are rows of op_table (ops.h). */
#include "engine/tape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/ops.h"

struct tape {
    arena arena;
    tape_mode mode;
    op_record *records; /* [n], of this step */
    int64_t n, capacity;
    int64_t pass; /* number of the backward pass, never reset */
    scw_status status;
    char message[512];
};

scw_status tape_new(tape **out)
{
    scw_status st = mem_new(out, 1);
    if (st == SCW_OK) arena_init(&(*out)->arena);
    return st;
}

void tape_free(tape *t)
{
    if (!t) return;
    arena_clear(&t->arena);
    mem_free(t->records);
    mem_free(t);
}

void tape_reset(tape *t, tape_mode mode)
{
    arena_reset(&t->arena);
    t->mode = mode;
    t->n = 0;
    t->status = SCW_OK;
    t->message[0] = '\0';
}

tape_mode tape_get_mode(const tape *t)
{
    return t->mode;
}

scw_status tape_status(const tape *t)
{
    return t->status == SCW_OK ? SCW_OK : status_fail(t->status, "%s", t->message);
}

void tape_fail(tape *t, scw_status code, const char *format, ...)
{
    va_list args;

    if (t->status != SCW_OK) return;
    t->status = code;
    va_start(args, format);
    (void)vsnprintf(t->message, sizeof t->message, format, args);
    va_end(args);
}

void *tape_alloc(tape *t, int64_t count, size_t size)
{
    void *piece = arena_alloc(&t->arena, count, size);
    if (!piece) {
        tape_fail(t, SCW_ENOMEM, "out of memory: the tape asked for %lld elements of %zu bytes",
                  (long long)count, size);
    }
    return piece;
}

real *op_memory(tape *t, int64_t n)
{
    return tape_alloc(t, n, sizeof(real));
}

/* ------------------------------------------------------------- leaves */

static tensor *leaf_new(tape *t, int n_dims, const int64_t *dim, real *value)
{
    tensor *x = tape_alloc(t, 1, sizeof *x);

    if (!x) return NULL;
    *x = (tensor){.n_dims = n_dims, .size = 1, .value = value};
    for (int d = 0; d < 4; d++) {
        x->dim[d] = d < n_dims ? dim[d] : 1;
        x->size *= x->dim[d];
    }
    return x;
}

tensor *op_input(tape *t, real *value, int64_t rows, int64_t cols, bool gradient)
{
    const int64_t dim[2] = {rows, cols};
    int64_t size;

    if (t->status != SCW_OK) return NULL;
    if (rows < 0 || cols < 0 || !checked_mul(&size, rows, cols) || (!value && size > 0)) {
        tape_fail(t, SCW_EINVAL, "op_input: no values, or the shape [%lld, %lld] is not one",
                  (long long)rows, (long long)cols);
        return NULL;
    }
    tensor *x = leaf_new(t, 2, dim, value);
    if (!x || !gradient || t->mode == TAPE_EVAL) return x;
    x->grad = op_memory(t, size);
    if (!x->grad) return NULL;
    memset(x->grad, 0, (size_t)size * sizeof(real));
    return x;
}

tensor *op_param(tape *t, const params *p, int handle)
{
    if (t->status != SCW_OK) return NULL;
    if (handle < 0 || handle >= p->n || !p->value) {
        tape_fail(t, SCW_EINVAL, "op_param: no parameter has handle %d (there are %d)", handle,
                  p->value ? p->n : 0);
        return NULL;
    }
    const param *q = &p->at[p->place[handle]];
    tensor *x = leaf_new(t, q->n_dims, q->dim, params_value(p, handle));
    if (!x) return NULL;
    x->grad_pass = -1;
    if (t->mode == TAPE_TRAIN && q->once && p->taker) {
        x->taker = *p->taker;
        x->taker.offset = q->offset;
        return x;
    }
    if (t->mode != TAPE_EVAL) x->grad = params_grad(p, handle);
    return x;
}

/* ------------------------------------------------------------- ops */

/* "[64, 185], [185]" of the inputs, for messages. */
static void describe_inputs(const op_record *r, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int k = 0; k < r->n_in && used < size; k++) {
        const char *before = k ? ", " : "";
        int n = r->in[k] ? 0 : snprintf(text + used, size - used, "%snone", before);
        for (int d = 0; r->in[k] && d < r->in[k]->n_dims && used + (size_t)n < size; d++)
            n += snprintf(text + used + n, size - used - (size_t)n, "%s%s%lld",
                          d ? "" : before, d ? ", " : "[", (long long)r->in[k]->dim[d]);
        used += (size_t)n;
        if (r->in[k] && used < size) used += (size_t)snprintf(text + used, size - used, "]");
    }
}

static bool push_record(tape *t, const op_record *r)
{
    if (t->n == t->capacity) {
        int64_t capacity = t->capacity ? 2 * t->capacity : 64;
        if (mem_resize(&t->records, capacity) != SCW_OK) {
            tape_fail(t, SCW_ENOMEM, "out of memory: %lld records of ops", (long long)capacity);
            return false;
        }
        t->capacity = capacity;
    }
    t->records[t->n++] = *r;
    return true;
}

/* Shape, values and, if one of the inputs wants a gradient, the place for one. */
static tensor *make_output(tape *t, op_record *r)
{
    char why[160] = "", shapes[160];
    tensor *out = tape_alloc(t, 1, sizeof *out);

    if (!out) return NULL;
    *out = (tensor){.n_dims = 2, .dim = {1, 1, 1, 1}, .size = 1};
    if (!r->op->shape(r, out, why, sizeof why)) {
        describe_inputs(r, shapes, sizeof shapes);
        tape_fail(t, SCW_EINVAL, "op_%s: %s (inputs %s)", r->op->name, why, shapes);
        return NULL;
    }
    for (int d = 0; d < 4; d++) {
        if (!checked_mul(&out->size, out->size, out->dim[d])) {
            tape_fail(t, SCW_ENOMEM, "op_%s: the result is too large", r->op->name);
            return NULL;
        }
    }
    out->value = op_memory(t, out->size);
    if (!out->value) return NULL;
    for (int k = 0; k < r->n_in && t->mode != TAPE_EVAL; k++) {
        if (!op_wants(r->in[k])) continue;
        out->grad = op_memory(t, out->size);
        return out->grad ? out : NULL;
    }
    return out;
}

tensor *tape_apply(tape *t, const op_spec *op, tensor *const *in, int n_in,
                   const op_attributes *attr)
{
    op_record r = {.op = op, .n_in = n_in};

    if (t->status != SCW_OK) return NULL;
    if (n_in > OP_MAX_INPUTS) {
        tape_fail(t, SCW_EINVAL, "op_%s: %d inputs; at most %d are possible", op->name, n_in,
                  OP_MAX_INPUTS);
        return NULL;
    }
    for (int k = 0; k < n_in; k++) {
        r.in[k] = in[k];
        if (in[k] || k >= op->n_required) continue;
        tape_fail(t, SCW_EINVAL, "op_%s: input %d is missing", op->name, k);
        return NULL;
    }
    if (attr) r.attr = *attr;
    r.out = make_output(t, &r);
    if (!r.out) return NULL;
    op->forward(t, &r);
    if (t->status != SCW_OK || (r.out->grad && !push_record(t, &r))) return NULL;
    return r.out;
}

void tape_replay(tape *t)
{
    for (int64_t k = 0; k < t->n; k++) t->records[k].op->forward(t, &t->records[k]);
}

/* ------------------------------------------------------------- backward */

/* Gradients of one pass start at zero, when the first op reaches them. */
static void begin_grad(const tape *t, tensor *x)
{
    if (!x || !x->grad || x->grad_pass == -1 || x->grad_pass == t->pass) return;
    memset(x->grad, 0, (size_t)x->size * sizeof(real));
    x->grad_pass = t->pass;
}

static void begin_inputs(const tape *t, op_record *r)
{
    r->fresh = 0;
    for (int k = 0; k < r->n_in; k++) {
        tensor *x = r->in[k];
        if (!r->op->writes_fresh || !x || x->grad_pass == -1 || x->grad_pass == t->pass) {
            begin_grad(t, x);
            continue;
        }
        r->fresh |= 1u << k;
        x->grad_pass = t->pass;
    }
}

/* A place for a gradient that its taker gets as a whole. */
static void lend_grad(tape *t, tensor *x)
{
    x->grad = op_memory(t, x->size);
    if (x->grad) memset(x->grad, 0, (size_t)x->size * sizeof(real));
}

const kernel_taker *op_taker(tape *t, op_record *r, int k, int64_t rows, int64_t width)
{
    tensor *x = r->in[k];

    if (!x || !x->taker.take) return NULL;
    if (kernel_can_take(rows, width)) return &x->taker;
    lend_grad(t, x);
    return NULL;
}

static void run_backward(tape *t, op_record *r)
{
    for (int k = 0; k < r->n_in; k++)
        if (r->in[k] && r->in[k]->taker.take && !(r->op->hands_on >> k & 1)) lend_grad(t, r->in[k]);
    if (t->status != SCW_OK) return;
    r->op->backward(t, r);
    for (int k = 0; k < r->n_in; k++) {
        tensor *x = r->in[k];
        if (!x || !x->taker.take || !x->grad) continue;
        if (t->status == SCW_OK) x->taker.take(&x->taker, 0, x->size, x->grad);
        x->grad = NULL;
    }
}

scw_status tape_backward(tape *t, tensor *loss)
{
    scw_status st = SCW_OK;

    TRY(tape_status(t));
    if (!loss || loss->size != 1)
        FAIL(SCW_EINVAL, "tape_backward: the loss has %lld values instead of one",
             loss ? (long long)loss->size : 0LL);
    if (!loss->grad)
        FAIL(SCW_EINVAL, "tape_backward: nothing that led to the loss wants a gradient%s",
             t->mode == TAPE_EVAL ? " (the tape is in evaluation mode)" : "");
    t->pass++;
    begin_grad(t, loss);
    loss->grad[0] = 1;
    for (int64_t k = t->n - 1; k >= 0; k--) {
        op_record *r = &t->records[k];
        if (r->out->grad_pass != t->pass) continue; /* did not lead to the loss */
        begin_inputs(t, r);
        run_backward(t, r);
        TRY(tape_status(t));
    }
    /* What the walk did not reach has gradient zero, not that of an earlier pass. */
    for (int64_t k = 0; k < t->n; k++) {
        begin_grad(t, t->records[k].out);
        for (int i = 0; i < t->records[k].n_in; i++) begin_grad(t, t->records[k].in[i]);
    }
    TRY(tape_status(t));
done:
    return st;
}
