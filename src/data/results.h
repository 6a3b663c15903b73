/* SPDX-License-Identifier: BSD-3-Clause */
/* What a task hands back, in the order of the data set's obs. */
#ifndef DATA_RESULTS_H
#define DATA_RESULTS_H

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

struct scw_results {
    int64_t n_obs;
    int64_t n_columns;
    column *columns; /* added to obs, replacing columns of the same name */
    int64_t n_arrays;
    results_array *arrays; /* added to obsm, replacing arrays of the same name */
    results_ranking *ranking; /* added to uns, replacing what has its name; NULL: none */
    char *record_json;     /* one JSON object: flat keys become entries of uns[record_name] */
    char *record_name;     /* NULL: "scweave" */
};

SCW_CHECKED scw_status results_new(scw_results **out, int64_t n_obs);
/* Both take over what they are given and zero it. */
SCW_CHECKED scw_status results_add_column(scw_results *r, column *c);
SCW_CHECKED scw_status results_add_array(scw_results *r, results_array *a);
void results_array_clear(results_array *a);
void results_ranking_free(results_ranking *r);

#endif
