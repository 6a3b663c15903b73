/* SPDX-License-Identifier: BSD-3-Clause */
/* The contrastive loss of two sets of rows, row i of one belonging to row i of the other (InfoNCE in both
 * directions, Radford et al. 2021):
 *
 *   S = exp(t) X Y^T over the rows that are there, n of them
 *   loss = 1/2n [ sum_i -log softmax_j(S_ij)_i + sum_j -log softmax_i(S_ij)_j ]
 *
 * With A the softmax of the rows of S, B of its columns and D = g / 2n (A + B - 2 I):
 *   d X = exp(t) D Y,  d Y = exp(t) D^T X,  d t = sum_ij D_ij S_ij. */
#include <math.h>
#include <stdio.h>

#include "engine/ops.h"

typedef struct contrast {
    int64_t n, *rows;  /* which rows are there */
    real *x, *y;       /* [n, d] those rows */
    real *s, *a, *b;   /* [n, n] S; softmax of its rows; of its columns, transposed */
    real scale;        /* exp(t) */
} contrast;

static bool contrast_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *x = r->in[0], *y = r->in[1], *temperature = r->in[2];

    if (x->n_dims == 2 && y->n_dims == 2 && x->dim[0] == y->dim[0] && x->dim[1] == y->dim[1] &&
        temperature->size == 1)
        return op_shape_scalar(r, out, why, size);
    (void)snprintf(why, size, "x and y must have one shape and the temperature one value");
    return false;
}

static real *gather(tape *t, const contrast *c, const tensor *from)
{
    const int64_t d = from->dim[1];
    real *out = op_memory(t, c->n * d);

    for (int64_t i = 0; out && i < c->n; i++)
        for (int64_t j = 0; j < d; j++) out[i * d + j] = from->value[c->rows[i] * d + j];
    return out;
}

/* Mean of -log p of the diagonal; `p` [n, n] holds the scores and receives their softmax by row. */
static double own_share(tape *t, real *p, int64_t n)
{
    real *log_p = op_memory(t, n * n);
    double sum = 0.0;

    if (!log_p) return 0.0;
    kernel_log_softmax(n, n, p, log_p);
    for (int64_t i = 0; i < n; i++) sum -= (double)log_p[i * n + i];
    kernel_exp(n * n, log_p, p);
    return sum / (double)n;
}

static void contrast_forward(tape *t, op_record *r)
{
    const tensor *x = r->in[0], *y = r->in[1];
    const int64_t d = x->dim[1];
    contrast *c = tape_alloc(t, 1, sizeof *c);

    r->out->value[0] = 0;
    if (!c) return;
    *c = (contrast){.rows = tape_alloc(t, x->dim[0], sizeof *c->rows),
                    .scale = (real)exp((double)r->in[2]->value[0])};
    r->saved = c;
    if (!c->rows) return;
    for (int64_t i = 0; i < x->dim[0]; i++)
        if (!r->attr.given || r->attr.given[i] != 0) c->rows[c->n++] = i;
    if (c->n == 0) return;
    c->x = gather(t, c, x);
    c->y = gather(t, c, y);
    c->s = op_memory(t, c->n * c->n);
    c->a = op_memory(t, c->n * c->n);
    c->b = op_memory(t, c->n * c->n);
    if (!c->x || !c->y || !c->s || !c->a || !c->b) return;
    kernel_gemm(false, true, c->n, c->n, d, c->x, c->y, 0, c->s);
    kernel_scale(c->n * c->n, c->scale, c->s, c->s);
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t j = 0; j < c->n; j++) {
            c->a[i * c->n + j] = c->s[i * c->n + j];
            c->b[j * c->n + i] = c->s[i * c->n + j];
        }
    const double to = own_share(t, c->a, c->n), back = own_share(t, c->b, c->n);
    r->out->value[0] = (real)(0.5 * (to + back));
}

/* rows of x->grad += scale * op(D) other */
static void add_rows(tape *t, tensor *x, const contrast *c, bool transposed, const real *delta,
                     const real *other)
{
    const int64_t d = x->dim[1];
    real *g = x->grad ? op_memory(t, c->n * d) : NULL;

    if (!g) return;
    kernel_gemm(transposed, false, c->n, d, c->n, delta, other, 0, g);
    for (int64_t i = 0; i < c->n; i++)
        kernel_accumulate(d, c->scale, g + i * d, x->grad + c->rows[i] * d);
}

static void contrast_backward(tape *t, op_record *r)
{
    const contrast *c = r->saved;
    const int64_t n = c->n;
    real *delta = n > 0 ? op_memory(t, n * n) : NULL;
    const real half = n > 0 ? r->out->grad[0] / (real)(2 * n) : 0;
    double moment = 0.0;

    if (!delta) return;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            delta[i * n + j] = half * (c->a[i * n + j] + c->b[j * n + i]);
        delta[i * n + i] -= 2 * half;
        for (int64_t j = 0; j < n; j++)
            moment += (double)delta[i * n + j] * (double)c->s[i * n + j];
    }
    add_rows(t, r->in[0], c, false, delta, c->y);
    add_rows(t, r->in[1], c, true, delta, c->x);
    if (r->in[2]->grad) r->in[2]->grad[0] += (real)moment;
}

/* Each shape with all rows, and with every third absent. */
static tensor *contrast_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    const bool absent = variant % 2 == 1;

    if (!sample_shape(variant / 2, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, rows, cols, 2);
    wrt[2] = sample_input(t, 1, 1, 3);
    *n_wrt = 3;
    real *present = op_memory(t, rows);
    if (!present || !wrt[2]) return NULL;
    wrt[2]->value[0] = (real)-0.3;
    for (int64_t i = 0; i < rows; i++) present[i] = i % 3 != 0;
    return op_contrast(t, wrt[0], wrt[1], wrt[2], absent ? present : NULL);
}

const op_spec spec_contrast = {"contrast", 3, contrast_shape, contrast_forward, contrast_backward,
                               contrast_sample, false, 0};

tensor *op_contrast(tape *t, tensor *x, tensor *y, tensor *temperature, const real *present)
{
    return tape_apply(t, &spec_contrast, (tensor *[]){x, y, temperature}, 3,
                      &(op_attributes){.given = present});
}
