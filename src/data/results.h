/* SPDX-License-Identifier: BSD-3-Clause */
/* What a task hands back, in the order of the data set's obs. */
#ifndef DATA_RESULTS_H
#define DATA_RESULTS_H

#include "data/blocks.h"
#include "data/frame.h"
#include "scweave/dataset.h"

#define RESULTS_RANKING_VALUES 5

typedef struct results_array {
    char *name; /* key in obsm */
    int64_t n_rows, n_cols;
    float *values;      /* row-major; NaN rows for cells without a result */
    strings col_names;  /* n_cols names, or none; then the array is stored as a dataframe if set */
} results_array;

/* A ranking of features by class, for uns, in the layout of scanpy's rank_genes_groups: one array of
 * records a quantity, one field a class, one record a rank. Shorter classes end in "" and NaN. */
typedef struct results_ranking {
    char *name;        /* key in uns */
    char *params_json; /* one JSON object, becomes the dict `params` */
    strings groups;    /* the classes */
    int64_t n_ranks;
    strings features, modalities; /* [groups.n * n_ranks] a class after the other */
    double *values[RESULTS_RANKING_VALUES]; /* [groups.n * n_ranks] each; results_ranking_names */
} results_ranking;

extern const char *const results_ranking_names[RESULTS_RANKING_VALUES];

/* X or a layer of a modality, written block by block from a reader. */
typedef struct results_matrix {
    char *layer;        /* NULL: X; what was X goes to layers['counts'] if the task read it */
    block_reader *rows; /* owned */
    double *shift;      /* [n_cols] added to every value of a column, which makes the matrix dense;
                         * NULL: sparse */
} results_matrix;

/* An array of numbers in a dict of uns: uns[dict][key]. */
typedef struct results_vector {
    char *dict, *key;
    double *values; /* [n] */
    int64_t n;
} results_vector;

/* A JSON object that becomes the dict uns[name]. */
typedef struct results_record {
    char *name, *json;
} results_record;

/* What a task adds to one modality, in the order of its own cells and features. */
typedef struct results_part {
    char *modality;
    frame obs, var; /* columns to add or replace; an index only in a new modality */
    int64_t n_obsm, n_varm, n_matrices, n_records, n_vectors;
    results_array *obsm, *varm;
    results_matrix *matrices;
    results_record *records;
    results_vector *vectors; /* written after the records */
    int64_t *row_of_obs;     /* [n_obs of the set] makes it a new modality; NULL: it is there */
    char *source_layer;      /* the layer that the matrices were made from; NULL: X */
    void *keep;              /* what the readers borrow from, given back last */
    void (*keep_free)(void *keep);
} results_part;

struct scw_results {
    int64_t n_obs;
    int64_t n_columns;
    column *columns; /* added to obs, replacing columns of the same name */
    int64_t n_arrays;
    results_array *arrays; /* added to obsm, replacing arrays of the same name */
    results_ranking *ranking; /* added to uns, replacing what has its name; NULL: none */
    char *record_json;     /* one JSON object: flat keys become entries of uns[record_name] */
    char *record_name;     /* NULL: "scweave" */
    int64_t n_parts;
    results_part *parts; /* one a modality at most */
};

SCW_CHECKED scw_status results_new(scw_results **out, int64_t n_obs);
/* Both take over what they are given and zero it. */
SCW_CHECKED scw_status results_add_column(scw_results *r, column *c);
SCW_CHECKED scw_status results_add_array(scw_results *r, results_array *a);
void results_array_clear(results_array *a);

/* The part of a modality of n_obs cells and n_vars features, made if there is none. Borrowed; valid
 * until the next part is made. */
SCW_CHECKED scw_status results_part_of(results_part **out, scw_results *r, const char *modality,
                                       int64_t n_obs, int64_t n_vars);
/* These take over what they are given and zero it (a column replaces one of its name). */
SCW_CHECKED scw_status results_part_column(frame *to, column *c);
SCW_CHECKED scw_status results_part_obsm(results_part *p, results_array *a);
SCW_CHECKED scw_status results_part_varm(results_part *p, results_array *a);
SCW_CHECKED scw_status results_part_matrix(results_part *p, results_matrix *m);
/* These copy. */
SCW_CHECKED scw_status results_part_record(results_part *p, const char *name, const char *json);
SCW_CHECKED scw_status results_part_vector(results_part *p, const char *dict, const char *key,
                                           const double *values, int64_t n);
void results_ranking_free(results_ranking *r);

#endif
