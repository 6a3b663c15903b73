/* SPDX-License-Identifier: BSD-3-Clause */
/* Each op of the engine by itself, forward and backward, and the optimizer's pass, at the shapes
 * that models have.
 *
 * An op's record is made here, outside of a tape's list, so that only its own functions are timed.
 */
#include "task/bench.h"

#include <math.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/ops.h"
#include "train/optimizer.h"

#define BUDGET 0.05
#define DENSITY 0.05
#define MOST_INPUTS 7
#define N_CLASSES 20

/* Shapes of inputs, in units of what a bench varies. */
typedef enum extent { NONE = 0, ONE, BATCH, FEATURES, HIDDEN, HIDDENS, LATENT, CLASSES } extent;

typedef struct op_case {
    const op_spec *op;
    const char *what;
    extent shape[MOST_INPUTS][2];
    bool values_again; /* backward reads the inputs' values */
    bool sparse;       /* takes a sparse matrix [BATCH, FEATURES] */
} op_case;

static const op_case cases[] = {
    {&spec_affine_linear,
     "affine_linear, first layer",
     {{FEATURES, HIDDEN}, {ONE, FEATURES}},
     true,
     true},
    {&spec_linear,
     "linear, decoder",
     {{BATCH, LATENT}, {FEATURES, LATENT}, {ONE, FEATURES}},
     true,
     false},
    {&spec_linear, "linear, joint encoder", {{BATCH, HIDDENS}, {LATENT, HIDDENS}}, true, false},
    {&spec_linear,
     "linear, classifier",
     {{BATCH, LATENT}, {CLASSES, LATENT}, {ONE, CLASSES}},
     true,
     false},
    {&spec_batch_norm,
     "batch_norm, decoder",
     {{BATCH, FEATURES}, {ONE, FEATURES}, {ONE, FEATURES}},
     true,
     false},
    {&spec_batch_norm,
     "batch_norm, encoder",
     {{BATCH, HIDDEN}, {ONE, HIDDEN}, {ONE, HIDDEN}},
     true,
     false},
    {&spec_affine_squared_error, "affine_squared_error", {{BATCH, FEATURES}}, true, true},
    {&spec_count_decoder,
     "count_decoder, negative binomial",
     {{BATCH, LATENT},
      {FEATURES, LATENT},
      {ONE, FEATURES},
      {ONE, FEATURES},
      {ONE, FEATURES},
      {BATCH, ONE},
      {ONE, FEATURES}},
     true,
     true},
    {&spec_count_decoder,
     "count_decoder, bernoulli",
     {{BATCH, LATENT}, {FEATURES, LATENT}, {ONE, FEATURES}, {ONE, FEATURES}, {ONE, FEATURES}},
     true,
     true},
    {&spec_gamma_terms, "gamma_terms", {{ONE, FEATURES}}, false, true},
    {&spec_relu, "relu", {{BATCH, HIDDEN}}, true, false},
    {&spec_exp, "exp, rates", {{BATCH, FEATURES}}, true, false},
    {&spec_softmax, "softmax, rates", {{BATCH, FEATURES}}, true, false},
    {&spec_row_scale, "row_scale, rates", {{BATCH, FEATURES}}, false, false},
    {&spec_row_scale, "row_scale, encoder", {{BATCH, HIDDEN}}, false, false},
    {&spec_col_scale, "col_scale, inputs", {{BATCH, LATENT}, {ONE, LATENT}}, true, false},
    {&spec_dropout, "dropout, inputs", {{BATCH, LATENT}}, false, false},
    {&spec_add, "add", {{BATCH, LATENT}, {BATCH, LATENT}}, false, false},
    {&spec_multiply, "multiply", {{BATCH, LATENT}, {BATCH, LATENT}}, true, false},
    {&spec_scale, "scale", {{BATCH, LATENT}}, false, false},
    {&spec_concat, "concat, encoders", {{BATCH, HIDDEN}, {BATCH, LATENT}}, false, false},
    {&spec_slice, "slice", {{BATCH, HIDDENS}}, false, false},
    {&spec_reparameterise, "reparameterise", {{BATCH, LATENT}, {BATCH, LATENT}}, true, false},
    {&spec_gaussian_kl, "gaussian_kl", {{BATCH, LATENT}, {BATCH, LATENT}}, true, false},
    {&spec_cross_entropy, "cross_entropy", {{BATCH, CLASSES}}, true, false},
    {&spec_sum, "sum", {{BATCH, LATENT}}, false, false},
    {&spec_mean, "mean", {{BATCH, LATENT}}, false, false},
    {&spec_sum_squares, "sum_squares", {{BATCH, LATENT}}, true, false},
};

/* What the cases of one size share. */
typedef struct op_room {
    int64_t batch, n_features;
    bench_set set; /* whose genes are the sparse matrix */
    real *values;  /* [nnz] of it */
    affine_sparse x;
    real *weights;    /* [batch] ones */
    int32_t *labels;  /* [batch] */
    real *mean, *var; /* [features] running statistics */
    tape *tape;
} op_room;

static void room_clear(op_room *r)
{
    bench_set_clear(&r->set);
    mem_free(r->values);
    mem_free(r->weights);
    mem_free(r->labels);
    mem_free(r->mean);
    mem_free(r->var);
    tape_free(r->tape);
}

static scw_status room_init(op_room *r, int64_t batch, int64_t n_features)
{
    scw_status st = SCW_OK;

    *r = (op_room){.batch = batch, .n_features = n_features};
    TRY(bench_set_make(&r->set, batch, n_features, DENSITY));
    const matrix *y = &r->set.ref.modality[0].counts;
    TRY(mem_new(&r->values, matrix_nnz(y)));
    for (int64_t k = 0; k < matrix_nnz(y); k++)
        r->values[k] = (real)y->values[k];
    r->x = (affine_sparse){.n_rows = batch,
                           .n_cols = n_features,
                           .indptr = y->indptr,
                           .indices = y->indices,
                           .values = r->values};
    TRY(mem_new(&r->weights, batch));
    TRY(mem_new(&r->labels, batch));
    TRY(mem_new(&r->mean, n_features));
    TRY(mem_new(&r->var, n_features));
    for (int64_t i = 0; i < batch; i++) {
        r->weights[i] = 1;
        r->labels[i] = (int32_t)(i % N_CLASSES);
    }
    TRY(tape_new(&r->tape));
done:
    return st;
}

static int64_t length_of(const op_room *r, extent e)
{
    switch (e) {
    case ONE:
        return 1;
    case BATCH:
        return r->batch;
    case FEATURES:
        return r->n_features;
    case HIDDEN:
        return 185;
    case HIDDENS:
        return 215;
    case LATENT:
        return 100;
    case CLASSES:
        return N_CLASSES;
    case NONE:
        break;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------- one op */

typedef struct op_run {
    tape *tape;
    op_record record;
    tensor in[MOST_INPUTS], out;
    bool backward;
} op_run;

static void run_op(void *self)
{
    op_run *o = self;

    if (o->backward) {
        o->record.op->backward(o->tape, &o->record);
        return;
    }
    tape_reset(o->tape, TAPE_TRAIN);
    o->record.op->forward(o->tape, &o->record);
}

/* Positive values of size one: some ops take logarithms. Gradients are small, as they add up. */
static scw_status tensor_room(tensor *x, int64_t rows, int64_t cols)
{
    scw_status st = SCW_OK;

    *x = (tensor){.n_dims = 2, .dim = {rows, cols, 1, 1}, .size = rows * cols};
    TRY(mem_new(&x->value, x->size));
    TRY(mem_new(&x->grad, x->size));
    for (int64_t i = 0; i < x->size; i++) {
        x->value[i] = (real)(1 + i % 13) / 13;
        x->grad[i] = (real)1e-6;
    }
done:
    return st;
}

static scw_status run_init(op_run *o, const op_room *r, const op_case *c)
{
    scw_status st = SCW_OK;
    char why[256] = "";

    *o = (op_run){.tape = r->tape, .record.op = c->op, .record.out = &o->out};
    for (int k = 0; k < MOST_INPUTS && c->shape[k][0] != NONE; k++) {
        TRY(tensor_room(&o->in[k], length_of(r, c->shape[k][0]), length_of(r, c->shape[k][1])));
        o->record.in[k] = &o->in[k];
        o->record.n_in = k + 1;
    }
    op_attributes *a = &o->record.attr;
    *a = (op_attributes){.x = c->sparse ? &r->x : NULL,
                         .running_mean = r->mean,
                         .running_var = r->var,
                         .relu = true,
                         .to = 100};
    if (c->op == &spec_row_scale || c->op == &spec_cross_entropy) a->given = r->weights;
    if (c->op == &spec_cross_entropy) a->labels = r->labels;
    if (c->op == &spec_scale || c->op == &spec_dropout) a->number[0] = 0.2;
    if (c->op == &spec_batch_norm) a->number[0] = 1e-5, a->number[1] = 0.1;
    if (c->op == &spec_count_decoder) a->number[0] = 1e-7, a->from = 1; /* floor; one batch */
    if (c->op->writes_fresh) o->record.fresh = (1u << o->record.n_in) - 1;
    o->out = (tensor){.n_dims = 2, .dim = {1, 1, 1, 1}};
    if (!c->op->shape(&o->record, &o->out, why, sizeof why))
        FAIL(SCW_EINTERNAL, "bench of op %s: %s", c->op->name, why);
    TRY(tensor_room(&o->out, o->out.dim[0], o->out.dim[1]));
done:
    return st;
}

static void run_clear(op_run *o)
{
    for (int k = 0; k < MOST_INPUTS; k++) {
        mem_free(o->in[k].value);
        mem_free(o->in[k].grad);
    }
    mem_free(o->out.value);
    mem_free(o->out.grad);
}

/* ---------------------------------------------------------------------------------- its cost */

static double op_flops(const op_run *o)
{
    const op_record *r = &o->record;
    const double back = o->backward ? 2.0 : 1.0;

    if (r->op == &spec_linear || r->op == &spec_count_decoder)
        return back * 2.0 * (double)r->in[0]->size * (double)r->in[1]->dim[0];
    if (r->op == &spec_affine_linear)
        return 2.0 * (double)r->attr.x->indptr[r->attr.x->n_rows] * (double)r->in[0]->dim[1];
    return 0.0;
}

/* Forward each input is read and the output written; backward the output's gradient is read, each
 * input's written, and the inputs read again where the formula has them. The entries of a sparse
 * matrix are read either way; of weights it is multiplied with, the rows that it touches. A decoder of
 * counts keeps its logits in between. */
static double op_values(const op_run *o, const op_case *c)
{
    const op_record *r = &o->record;
    double values = (double)r->out->size;

    for (int k = 0; k < r->n_in; k++) {
        double n = (double)r->in[k]->size;
        if (r->op == &spec_affine_linear) n *= 1.0 - pow(1.0 - DENSITY, (double)r->attr.x->n_rows);
        values += n * (o->backward && c->values_again ? 2.0 : 1.0);
    }
    if (r->attr.x) values += 2.0 * (double)r->attr.x->indptr[r->attr.x->n_rows];
    if (r->op == &spec_count_decoder) values += (double)r->in[0]->dim[0] * (double)r->in[1]->dim[0];
    return values;
}

static double op_working_set(const op_run *o)
{
    double values = (double)o->out.size;

    for (int k = 0; k < o->record.n_in; k++)
        values += (double)o->in[k].size;
    return (o->backward ? 2.0 : 1.0) * (double)sizeof(real) * values;
}

static scw_status measure_case(bench *b, const op_room *r, const op_case *c)
{
    scw_status st = SCW_OK;
    op_run o;

    TRY(run_init(&o, r, c));
    for (int k = 0; k < 2; k++) {
        o.backward = k == 1;
        bench_row row = {.part = "ops",
                         .what = c->what,
                         .settings = o.backward ? "backward" : "forward",
                         .batch_size = r->batch,
                         .features = (double)r->n_features};
        if (c->sparse) row.nnz = (double)r->x.indptr[r->batch] / (double)r->batch;
        row.seconds = bench_best(run_op, &o, BUDGET);
        TRY(tape_status(r->tape));
        bench_cost_add(&row.cost, &b->limits, op_flops(&o), (double)sizeof(real) * op_values(&o, c),
                       op_working_set(&o));
        TRY(bench_add(b, &row));
    }
done:
    run_clear(&o);
    return st;
}

/* ---------------------------------------------------------------------------------- optimizer */

typedef struct optimizer_run {
    params p;
    optimizer optimizer;
} optimizer_run;

static void run_optimizer(void *self)
{
    optimizer_run *o = self;
    optimizer_step(&o->optimizer, &o->p, 1e-4, NULL);
}

/* Adam's pass over the first layer and the decoder. */
static scw_status measure_optimizer(bench *b, int64_t n_features)
{
    scw_status st = SCW_OK;
    optimizer_run o = {0};
    const optimizer_options options = optimizer_defaults(OPTIMIZER_ADAM);
    const int64_t shape[2] = {n_features, 285};
    bench_row row = {.part = "ops",
                     .what = "adam, all weights",
                     .settings = "update",
                     .features = (double)n_features};
    int handle;

    TRY(params_add(&o.p, &handle, "weight", 2, shape, PARAM_UNIFORM, -1.0, 1.0, true, 0));
    TRY(params_build(&o.p, 1));
    TRY(optimizer_init(&o.optimizer, &options, &o.p));
    row.seconds = bench_best(run_optimizer, &o, BUDGET);
    const double bytes = (double)sizeof(real) * (double)o.p.n_trainable;
    bench_cost_add(&row.cost, &b->limits, 0.0, 7.0 * bytes, 4.0 * bytes);
    TRY(bench_add(b, &row));
done:
    optimizer_clear(&o.optimizer);
    params_clear(&o.p);
    return st;
}

static bool depends_on_features(const op_case *c)
{
    for (int k = 0; k < MOST_INPUTS; k++)
        if (c->shape[k][0] == FEATURES || c->shape[k][1] == FEATURES) return true;
    return false;
}

scw_status bench_ops(bench *b)
{
    static const int64_t features[] = {2000, 20000, 100000}, batches[] = {64, 512};
    scw_status st = SCW_OK;
    op_room r = {0};

    for (int f = 0; f < (b->request->full ? 3 : 2); f++) {
        for (int s = 0; s < 2; s++) {
            TRY(room_init(&r, batches[s], features[f]));
            for (int k = 0; k < (int)(sizeof cases / sizeof *cases); k++) {
                TRY(log_check_cancel(b->hooks));
                if (f == 0 || depends_on_features(&cases[k])) TRY(measure_case(b, &r, &cases[k]));
            }
            room_clear(&r);
            r = (op_room){0};
        }
        TRY(measure_optimizer(b, features[f]));
    }
done:
    room_clear(&r);
    return st;
}
