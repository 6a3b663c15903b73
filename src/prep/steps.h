/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessing as a list of steps, each a row of a table.
 *
 *   fit     learn from the rows as they reach the step: a few arrays with names
 *   map     change a block of rows by what was learnt; NULL: the rows pass unchanged
 *   write   what the step leaves in the file: columns of var, arrays of obsm and varm, dicts of uns
 *
 * A fitted step is its row, its options and its arrays: enough to treat other cells alike, and to
 * be stored. The rows that reach step k are the file's through the maps of steps 0 .. k - 1, so
 * nothing is kept between steps.
 *
 * To add a step: write its functions in a step_*.c, its options, and a row in steps.c. */
#ifndef PREP_STEPS_H
#define PREP_STEPS_H

#include "data/blocks.h"
#include "data/results.h"
#include "scweave/hooks.h"
#include "scweave/preprocess.h"

#define STEP_ARRAYS 8

typedef struct prep_step prep_step;

/* What a step may look at. */
typedef struct step_input {
    block_reader *rows;   /* as they reach the step */
    block_reader *counts; /* as the file has them */
    bool changed;         /* a step before has changed the rows */
    const int32_t *batch; /* [n] in 0 .. n_batches - 1, or NULL */
    int32_t n_batches;
    const char *batch_key;   /* NULL: none */
    const uint8_t *selected; /* [p] highly variable, by an earlier step; or NULL */
    uint64_t seed;
    const scw_hooks *hooks;
} step_input;

typedef struct step_kind {
    scw_prep_step about; /* name, summary, what it writes, options */
    size_t options_size;
    scw_status (*fit)(prep_step *s, const step_input *in);                            /* or NULL */
    scw_status (*map)(row_block *b, const prep_step *s);                              /* or NULL */
    scw_status (*write)(results_part *out, const prep_step *s, const step_input *in); /* or NULL */
} step_kind;

/* A fitted array with a name, row-major. */
typedef struct step_array {
    const char *name; /* a constant */
    int64_t n_rows, n_cols;
    double *values;
} step_array;

struct prep_step {
    const step_kind *kind;
    void *options;
    step_array arrays[STEP_ARRAYS];
    int n_arrays;
};

/* New zeroed array of the step. */
SCW_CHECKED scw_status step_add_array(double **out, prep_step *s, const char *name, int64_t n_rows,
                                      int64_t n_cols);
const step_array *step_find_array(const prep_step *s, const char *name); /* NULL: absent */
const double *step_values(const prep_step *s, const char *name);         /* NULL: absent */

/* The k-th kind; NULL past the last. */
const step_kind *step_kind_at(int k);

/* ------------------------------------------------------------------------------- pipelines */

typedef struct pipeline {
    prep_step *steps;
    int n_steps;
    block_reader *counts; /* the file's rows; owned */
} pipeline;

/* Read "normalize:target=10000,log1p,hvg". SCW_ENOTFOUND names the steps there are; SCW_EINVAL. */
SCW_CHECKED scw_status pipeline_read(pipeline *out, const char *text);
void pipeline_clear(pipeline *p);

/* The rows as they reach step k (n_steps: as they leave the last one). The caller frees the reader;
 * the pipeline must outlive it. */
SCW_CHECKED scw_status pipeline_rows(block_reader **out, const pipeline *p, int k);

/* Fit all steps in order, p->counts being set, and collect what they write. `in`: batch, seed,
 * hooks; the rest is filled in. */
SCW_CHECKED scw_status pipeline_run(pipeline *p, results_part *out, const step_input *in);

/* Does a step before number k change the rows? */
bool pipeline_changes(const pipeline *p, int k);

/* The rows of the table, by file. */
extern const step_kind step_normalize, step_log1p, step_scale, step_clr, step_tfidf, step_binarize;
extern const step_kind step_hvg;
extern const step_kind step_pca, step_lsi;

#endif
