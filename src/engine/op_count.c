/* SPDX-License-Identifier: BSD-3-Clause */
/* Likelihoods of counts, each with the decoder in front of it as one op (kernel_counts): what would be [B, F]
 * arrays of means, shares and their gradients is never written. The negative binomial's is two ops: what
 * only counts and shapes decide (gamma_terms) is the same for every decoder of these counts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/ops.h"

enum { IN_Z, IN_WEIGHT, IN_BIAS, IN_SCALE, IN_SHIFT, IN_LIBRARY, IN_LOG_SHAPE, N_INPUTS };

static bool plain_counts(const affine_sparse *x, char *why, size_t size)
{
    if (x && !x->row_scale && !x->row_shift && !x->col_scale && !x->col_shift) return true;
    (void)snprintf(why, size, "counts come without scales and shifts");
    return false;
}

/* Are the batches of n rows among n_batches? */
static bool batches_fit(const int32_t *batch, int64_t n, int64_t n_batches, char *why, size_t size)
{
    if (!batch && n_batches != 1) {
        (void)snprintf(why, size, "vectors for %lld batches, and no batch of the rows", (long long)n_batches);
        return false;
    }
    for (int64_t i = 0; batch && i < n; i++) {
        if (batch[i] >= 0 && batch[i] < n_batches) continue;
        (void)snprintf(why, size, "row %lld has batch %d of %lld", (long long)i, (int)batch[i],
                       (long long)n_batches);
        return false;
    }
    return true;
}

static bool fits(const tensor *x, int64_t size)
{
    return !x || x->size == size;
}

static bool vectors_fit(const op_record *r, char *why, size_t size)
{
    const int64_t f = r->attr.x->n_cols, of_batches = f * r->attr.from;

    if (!fits(r->in[IN_BIAS], f) || !fits(r->in[IN_SCALE], of_batches) ||
        !fits(r->in[IN_SHIFT], of_batches) || !fits(r->in[IN_LOG_SHAPE], of_batches)) {
        (void)snprintf(why, size, "bias must be [features], scale, shift and log_shape [batches, features]");
        return false;
    }
    if (!r->in[IN_LIBRARY] != !r->in[IN_LOG_SHAPE] || !fits(r->in[IN_LIBRARY], r->attr.x->n_rows)) {
        (void)snprintf(why, size, "a library [rows] and log_shape go together");
        return false;
    }
    return batches_fit(r->attr.labels, r->attr.x->n_rows, r->attr.from, why, size);
}

static bool count_decoder_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *z = r->in[IN_Z], *w = r->in[IN_WEIGHT];
    const affine_sparse *x = r->attr.x;

    if (!plain_counts(x, why, size)) return false;
    if (z->n_dims != 2 || w->n_dims != 2 || z->dim[0] != x->n_rows || w->dim[0] != x->n_cols ||
        z->dim[1] != w->dim[1] || w->dim[1] < 1) {
        (void)snprintf(why, size, "z [rows, in] and w [features, in] do not fit counts [%lld, %lld]",
                       (long long)x->n_rows, (long long)x->n_cols);
        return false;
    }
    return vectors_fit(r, why, size) && op_shape_scalar(r, out, why, size);
}

static const real *value_of(const op_record *r, int k)
{
    return r->in[k] ? r->in[k]->value : NULL;
}

static void count_decoder_forward(tape *t, op_record *r)
{
    const affine_sparse *x = r->attr.x;
    kernel_counts *c = tape_alloc(t, 1, sizeof *c);

    if (!c) return;
    *c = (kernel_counts){.x = x, .bernoulli = !r->in[IN_LIBRARY], .width = r->in[IN_Z]->dim[1],
                         .z = value_of(r, IN_Z), .weight = value_of(r, IN_WEIGHT),
                         .bias = value_of(r, IN_BIAS), .batch = r->attr.labels,
                         .n_batches = r->attr.from, .scale = value_of(r, IN_SCALE),
                         .shift = value_of(r, IN_SHIFT), .offset = r->attr.given,
                         .library = value_of(r, IN_LIBRARY), .log_shape = value_of(r, IN_LOG_SHAPE),
                         .floor = (real)r->attr.number[0]};
    r->saved = c;
    c->logits = op_memory(t, kernel_counts_size(x->n_rows, x->n_cols));
    c->facts = op_memory(t, 3 * x->n_rows);
    c->scratch = op_memory(t, kernel_counts_scratch(c));
    if (op_wants(r->in[IN_LOG_SHAPE])) c->d_log_shape = op_memory(t, r->in[IN_LOG_SHAPE]->size);
    if (!c->logits || !c->facts || !c->scratch) return;
    r->out->value[0] = (real)kernel_counts_loss(c);
}

static real *grad_of(const op_record *r, int k)
{
    return r->in[k] ? r->in[k]->grad : NULL;
}

static void count_decoder_backward(tape *t, op_record *r)
{
    const kernel_counts *c = r->saved;
    const real g = r->out->grad[0];
    real *d_library = grad_of(r, IN_LIBRARY), *d_log_shape = grad_of(r, IN_LOG_SHAPE);
    kernel_counts_gradients to = {.z = grad_of(r, IN_Z), .bias = grad_of(r, IN_BIAS),
                                  .scale = grad_of(r, IN_SCALE), .shift = grad_of(r, IN_SHIFT),
                                  .taker = op_taker(t, r, IN_WEIGHT, c->x->n_rows, c->width)};

    to.weight = grad_of(r, IN_WEIGHT); /* op_taker may have lent one */
    kernel_counts_backward(c, g, &to);
    for (int64_t i = 0; d_library && i < c->x->n_rows; i++) d_library[i] += g * c->facts[3 * i + 2];
    if (d_log_shape) kernel_accumulate(r->in[IN_LOG_SHAPE]->size, g, c->d_log_shape, d_log_shape);
}

/* Batch codes 0, 1, 2, 0, ... in tape memory. */
static int32_t *sample_batches(tape *t, int64_t rows, int64_t n_batches)
{
    int32_t *batch = tape_alloc(t, rows, sizeof *batch);

    for (int64_t i = 0; batch && i < rows; i++) batch[i] = (int32_t)(i % n_batches);
    return batch;
}

/* nb or bernoulli; one or three batches; all rows or some; all vectors or none. */
static tensor *count_decoder_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    const bool nb = variant % 2 == 0, bare = variant / 8 % 2 != 0;
    const int64_t n_batches = variant / 2 % 2 ? 3 : 1;

    if (!sample_shape(variant / 16, &rows, &cols)) return NULL;
    real *offset = op_memory(t, rows);
    for (int64_t i = 0; offset && i < rows; i++) offset[i] = (real)0.3 * (real)(i % 5) - (real)0.6;
    const affine_sparse *x = sample_counts(t, rows, cols, variant / 4 % 2 != 0, 7);
    tensor *library = nb ? sample_input(t, rows, 1, 6) : NULL;
    for (int64_t i = 0; library && i < rows; i++)
        library->value[i] = (real)fabs((double)library->value[i]) * 5 * (real)cols;
    op_count_decoder_options o = {.bias = bare ? NULL : sample_input(t, 1, cols, 3),
                                  .scale = bare ? NULL : sample_input(t, n_batches, cols, 4),
                                  .shift = bare ? NULL : sample_input(t, n_batches, cols, 5),
                                  .library = library,
                                  .log_shape = nb ? sample_input(t, n_batches, cols, 8) : NULL,
                                  .floor = 0.01,
                                  .offset = bare ? NULL : offset,
                                  .batch = n_batches > 1 ? sample_batches(t, rows, n_batches) : NULL,
                                  .n_batches = n_batches};
    tensor *const given[] = {sample_input(t, rows, 3, 1), sample_input(t, cols, 3, 2), o.bias, o.scale,
                             o.shift, o.library, o.log_shape};
    *n_wrt = 0;
    for (size_t k = 0; k < sizeof given / sizeof *given; k++)
        if (given[k]) wrt[(*n_wrt)++] = given[k];
    return op_count_decoder(t, given[0], given[1], x, &o);
}

const op_spec spec_count_decoder = {"count_decoder", 2, count_decoder_shape, count_decoder_forward,
                                    count_decoder_backward, count_decoder_sample, false, 1u << IN_WEIGHT};

tensor *op_count_decoder(tape *t, tensor *z, tensor *weight, const affine_sparse *x,
                         const op_count_decoder_options *o)
{
    return tape_apply(t, &spec_count_decoder,
                      (tensor *[]){z, weight, o->bias, o->scale, o->shift, o->library, o->log_shape},
                      N_INPUTS,
                      &(op_attributes){.x = x, .labels = o->batch, .given = o->offset,
                                       .number = {o->floor}, .from = o->n_batches});
}

/* ------------------------------------------------------------- gamma_terms */

static bool gamma_terms_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const affine_sparse *x = r->attr.x;

    if (!plain_counts(x, why, size)) return false;
    const int64_t f = x->n_cols, n_batches = f ? r->in[0]->size / f : 1;
    if (r->in[0]->size != f * n_batches || n_batches < 1) {
        (void)snprintf(why, size, "%lld shapes for %lld features", (long long)r->in[0]->size, (long long)f);
        return false;
    }
    return batches_fit(r->attr.labels, x->n_rows, n_batches, why, size) &&
           op_shape_scalar(r, out, why, size);
}

/* `saved` is the gradient of the sum. */
static void gamma_terms_forward(tape *t, op_record *r)
{
    const affine_sparse *x = r->attr.x;
    kernel_gamma g = {.x = x, .batch = r->attr.labels, .n_batches = x->n_cols ? r->in[0]->size / x->n_cols : 1,
                      .log_shape = r->in[0]->value, .scratch = op_memory(t, kernel_gamma_scratch(x->n_rows))};

    if (op_wants(r->in[0])) g.d_log_shape = op_memory(t, r->in[0]->size);
    r->saved = g.d_log_shape;
    if (g.scratch) r->out->value[0] = (real)kernel_gamma_terms(&g);
}

static void gamma_terms_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad)
        kernel_accumulate(r->in[0]->size, r->out->grad[0], r->saved, r->in[0]->grad);
}

static tensor *gamma_terms_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    const int64_t n_batches = variant / 2 % 2 ? 3 : 1;

    if (!sample_shape(variant / 4, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, n_batches, cols, 2);
    *n_wrt = 1;
    return op_gamma_terms(t, wrt[0], sample_counts(t, rows, cols, variant % 2 == 1, 3),
                          n_batches > 1 ? sample_batches(t, rows, n_batches) : NULL);
}

const op_spec spec_gamma_terms = {"gamma_terms", 1, gamma_terms_shape, gamma_terms_forward,
                                  gamma_terms_backward, gamma_terms_sample, false, 0};

tensor *op_gamma_terms(tape *t, tensor *log_shape, const affine_sparse *x, const int32_t *batch)
{
    return tape_apply(t, &spec_gamma_terms, &log_shape, 1, &(op_attributes){.x = x, .labels = batch});
}
