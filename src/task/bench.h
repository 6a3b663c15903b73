/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of scw_bench: what this machine can do, and how near ops, training steps and inference
 * come to it. docs/bench.md says what is measured and what a limit counts.
 *
 *   bench_machine.c  the limits: products, memory, decompression
 *   bench_ops.c      each op by itself, at the shapes of models
 *   bench_steps.c    training steps and inference of Matilda on a reference
 *   bench_kinds.c    training steps of the other kinds of model
 *   bench_set.c      references made in memory
 *   bench_sweep.c    is a step's time a line in non-zeros and features, and level in cells?
 *   bench.c          what is run, and the report
 *
 * Every measurement is one bench_row. */
#ifndef TASK_BENCH_H
#define TASK_BENCH_H

#include <jansson.h>

#include "models/matilda_model.h"
#include "scweave/evaluate.h"
#include "train/reference.h"

#define BENCH_N_SIZES 7

/* What this machine can do, as measured. */
typedef struct bench_limits {
    double fp32, bf16;           /* flops a second; bf16 may be emulated */
    double bytes[BENCH_N_SIZES]; /* working sets, rising */
    double rate[BENCH_N_SIZES];  /* bytes a second over a working set of that size, falling */
    double inflate;              /* bytes of result a second */
} bench_limits;

/* What something costs at least: sums over its parts, each the slower of arithmetic and memory. */
typedef struct bench_cost {
    double flops, bytes, seconds;
} bench_cost;

typedef struct bench_row {
    const char *part; /* the list of the report that it belongs to */
    const char *model; /* NULL: of no model */
    const char *what, *settings;
    double cells, features, nnz; /* nnz: non-zeros of a cell; 0: does not apply, as below */
    int64_t batch_size;
    double seconds, quickest; /* median; the quickest tenth, or 0 */
    double cpu;               /* mean seconds of all processors, or 0 */
    bench_cost cost;          /* seconds 0: what is measured is a limit itself */
    bool of_cells;            /* cells a second are what counts */
} bench_row;

/* A file that was named; the reference borrows from the data. */
typedef struct bench_file {
    scw_dataset *data;
    reference ref;
} bench_file;

typedef struct bench {
    const scw_bench_request *request;
    const scw_hooks *hooks;
    bench_limits limits;
    json_t *report;
    bench_row *rows; /* [n_rows] of all parts; names are constants or the request's */
    int64_t n_rows, capacity;
    bench_file *files; /* [request->n_paths] */
} bench;

SCW_CHECKED scw_status bench_add(bench *b, const bench_row *row);
/* An object into the list `part` of the report; takes it over. SCW_ENOMEM for NULL. */
SCW_CHECKED scw_status bench_append(bench *b, const char *part, json_t *item);

/* A part that computes `flops` and moves `bytes` of a working set, besides those before. */
void bench_cost_add(bench_cost *c, const bench_limits *l, double flops, double bytes,
                    double working_set);

/* Best seconds of call(self), which is repeated for about `budget` seconds after once to warm up.
 */
double bench_best(void (*call)(void *self), void *self, double budget);

SCW_CHECKED scw_status bench_machine(bench *b);
SCW_CHECKED scw_status bench_ops(bench *b);
SCW_CHECKED scw_status bench_sweeps(bench *b);

/* y = a + b x of least squares over relative errors, so that small values count as much as large
 * ones; *worst: the largest |y - line| / y. At least two different x; y above 0. */
void bench_line(double *a, double *b, double *worst, const double *x, const double *y, int n);

/* A made reference: sparse RNA of so many features and density, a panel of proteins, ten classes.
 */
typedef struct bench_set {
    reference ref;
    strings genes, proteins;
} bench_set;

SCW_CHECKED scw_status bench_set_make(bench_set *out, int64_t n, int64_t n_genes, double density);
void bench_set_clear(bench_set *s);
/* Would it fit in memory, with the copies that fitting makes? A warning, and a line in the report,
 * when not. */
SCW_CHECKED scw_status bench_set_fits(bool *out, bench *b, double n, double n_genes,
                                      double density);

/* A model of the reference's shapes, fitted to some of its cells. */
typedef struct bench_model {
    const reference *ref;
    const char *name, *settings; /* settings: "default", or a preset */
    matilda_model *model;
    cells cells;                      /* the whole reference, as the model takes it */
    double nnz[MODEL_MAX_MODALITIES]; /* non-zeros of a cell */
} bench_model;

SCW_CHECKED scw_status bench_model_init(bench_model *m, const bench *b, const reference *ref,
                                        const char *name, const char *settings);
void bench_model_clear(bench_model *m);
/* Times the steps of train(self, hooks), which looks at the cancel hook before each of them and goes on until
 * that stops it: for BENCH_EPOCHS epochs, which are more than are needed. Looks before do not count up to
 * its last report of progress without an epoch, nor the first ten after. per_epoch: steps of an epoch. */
#define BENCH_EPOCHS 1000
SCW_CHECKED scw_status bench_time_steps(bench_row *row, const bench *b, int64_t per_epoch,
                                        scw_status (*train)(void *self, const scw_hooks *hooks), void *self);
/* A dense layer: forward, and the gradients of its input and weights. */
void bench_add_layer(bench_cost *cost, const bench_limits *l, double batch, double n_in, double n_out,
                     double working_set);

/* A kind of model whose fit is timed as it is. How to add one: a row in bench_kinds.c. */
typedef struct bench_kind {
    const char *model;
    /* A fit of the reference that goes on for BENCH_EPOCHS epochs. */
    scw_status (*fit)(const reference *ref, int64_t batch_size, const scw_hooks *hooks);
    /* What a step cannot do without (docs/bench.md). */
    scw_status (*cost)(bench_cost *out, const bench_limits *l, const reference *ref, double batch);
} bench_kind;
extern const bench_kind bench_kinds[]; /* ends with a model NULL */
SCW_CHECKED scw_status bench_kind_steps(bench_row *out, const bench *b, const bench_kind *kind,
                                        const reference *ref, const char *name, int64_t batch_size);

/* Training steps of that model; batch_size 0: that of its settings. */
SCW_CHECKED scw_status bench_steps(bench_row *out, const bench *b, bench_model *m,
                                   int64_t batch_size);
/* Adds rows: counts to inputs, inputs to answers. */
SCW_CHECKED scw_status bench_inference(bench *b, bench_model *m);

#endif
