/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/obs.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "io/read_obsm.h"

scw_status obs_join_codes(int32_t *codes, strings *classes, int64_t n, const strings *names)
{
    scw_status st = SCW_OK;
    int32_t *joint = NULL;
    name_index index = {0};
    int64_t n_true = classes->n;

    TRY(mem_new(&joint, names->n));
    TRY(name_index_build(&index, (const char *const *)classes->at, n_true, NULL));
    for (int64_t k = 0; k < names->n; k++) {
        joint[k] = (int32_t)name_index_find(&index, names->at[k]);
        if (joint[k] < 0) joint[k] = -2; /* the index borrows the list: append after it is used */
    }
    for (int64_t k = 0; k < names->n; k++) {
        if (joint[k] != -2) continue;
        joint[k] = (int32_t)classes->n;
        TRY(strings_add(classes, names->at[k]));
    }
    for (int64_t i = 0; i < n; i++)
        if (codes[i] >= 0) codes[i] = joint[codes[i]];
done:
    name_index_clear(&index);
    mem_free(joint);
    return st;
}

/* Rows of a modality's own array in the order of obs; NaN for cells that lack the modality. */
static scw_status spread_rows(float **values, int64_t n_obs, int64_t d, const modality *m)
{
    scw_status st = SCW_OK;
    float *all = NULL;

    TRY(mem_new(&all, n_obs * d));
    for (int64_t i = 0; i < n_obs; i++) {
        int64_t row = m->row_of_obs[i];
        for (int64_t j = 0; j < d; j++) all[i * d + j] = row < 0 ? NAN : (*values)[row * d + j];
    }
    mem_free(*values);
    *values = all;
done:
    return st;
}

scw_status obs_read_array(float **values, int64_t *d, const scw_dataset *data, const char *path,
                          const char *key)
{
    scw_status st = SCW_OK;
    const char *colon = strchr(key, ':');
    char *name = NULL;
    const modality *m = NULL;
    int64_t n, n_expected = data->n_obs;

    if (colon) {
        TRY(mem_strdup(&name, key));
        name[colon - key] = '\0';
        m = dataset_find_modality(data, name);
    }
    if (m) {
        key = colon + 1;
        n_expected = m->x.n_rows;
    }
    TRY(io_read_obsm(values, &n, d, path, m ? m->name : NULL, key));
    if (n != n_expected)
        FAIL(SCW_EFORMAT, "%s: obsm '%s' has %lld rows for %lld cells", path, key,
             (long long)n, (long long)n_expected);
    if (m) TRY(spread_rows(values, data->n_obs, *d, m));
done:
    mem_free(name);
    return st;
}

scw_status obs_classes(int32_t **codes, strings *names, const scw_dataset *data, const char *path,
                       const char *key)
{
    scw_status st = SCW_OK;
    const column *c;

    st = dataset_obs_column(&c, data, key);
    if (st != SCW_OK) return status_prefix(st, "%s", path);
    TRY(column_classes(c, codes, names));
done:
    return st;
}
