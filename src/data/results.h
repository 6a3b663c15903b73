/* SPDX-License-Identifier: BSD-3-Clause */
/* What a task hands back, in the order of the data set's obs. */
#ifndef DATA_RESULTS_H
#define DATA_RESULTS_H

#include "data/frame.h"
#include "scweave/dataset.h"

typedef struct results_array {
    char *name; /* key in obsm */
    int64_t n_rows, n_cols;
    float *values;      /* row-major; NaN rows for cells without a result */
    strings col_names;  /* n_cols names, or none; then the array is stored as a dataframe if set */
} results_array;

struct scw_results {
    int64_t n_obs;
    int64_t n_columns;
    column *columns; /* added to obs, replacing columns of the same name */
    int64_t n_arrays;
    results_array *arrays; /* added to obsm, replacing arrays of the same name */
    char *record_json;     /* one JSON object: flat keys become entries of uns[record_name] */
    char *record_name;     /* NULL: "scweave" */
};

SCW_CHECKED scw_status results_new(scw_results **out, int64_t n_obs);
/* Both take over what they are given and zero it. */
SCW_CHECKED scw_status results_add_column(scw_results *r, column *c);
SCW_CHECKED scw_status results_add_array(scw_results *r, results_array *a);
void results_array_clear(results_array *a);

#endif
