/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/embedding.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "data/dataset.h"
#include "io/read_obsm.h"

/* Rows of a modality's own array in the order of obs; NaN for cells that lack the modality. */
static scw_status spread_rows(float **values, int64_t n_obs, int64_t d, const modality *m)
{
    scw_status st = SCW_OK;
    float *all = NULL;

    TRY(mem_new(&all, n_obs * d));
    for (int64_t i = 0; i < n_obs; i++) {
        int64_t row = m->row_of_obs[i];
        for (int64_t j = 0; j < d; j++)
            all[i * d + j] = row < 0 ? NAN : (*values)[row * d + j];
    }
    mem_free(*values);
    *values = all;
done:
    return st;
}

/* Modality that `key` begins with, or NULL; *rest: the key in its obsm. */
static scw_status split_key(const modality **m, const char **rest, const scw_dataset *data,
                            const char *key)
{
    scw_status st = SCW_OK;
    const char *colon = strchr(key, ':');
    char *name = NULL;

    *m = NULL;
    *rest = key;
    if (!colon) goto done;
    TRY(mem_strdup(&name, key));
    name[colon - key] = '\0';
    *m = dataset_find_modality(data, name);
    if (*m) *rest = colon + 1;
done:
    mem_free(name);
    return st;
}

scw_status embedding_read(float **values, int64_t *d, const scw_dataset *data, const char *key)
{
    scw_status st = SCW_OK;
    const modality *m;
    const char *rest;
    int64_t n;

    *values = NULL;
    if (data->n_files < 1) FAIL(SCW_EINVAL, "the data set was not read from a file");
    TRY(split_key(&m, &rest, data, key));
    const dataset_file *file = &data->files[0];
    for (int f = 0; m && f < data->n_files; f++)
        if (data->files[f].modality && strcmp(data->files[f].modality, m->name) == 0)
            file = &data->files[f];
    if (!m && data->n_files > 1)
        FAIL(SCW_ENOTFOUND,
             "the data come from several files: name the array '%s' with its modality, "
             "as in %s:%s",
             key, data->modalities[0].name, key);
    if (data->stacked || !file->native)
        FAIL(SCW_ENOTFOUND, "%s: %s; write an .h5mu of it with convert, and '%s' there", file->path,
             data->stacked ? "one of several batches, whose arrays are not joined"
                           : "a file of this format has no obsm", key);
    TRY(io_read_obsm(values, &n, d, file->path, m && !file->modality ? m->name : NULL, rest));
    if (n != (m ? m->x.n_rows : data->n_obs))
        FAIL(SCW_EFORMAT, "%s: obsm '%s' has %lld rows for %lld cells", file->path, key,
             (long long)n, (long long)(m ? m->x.n_rows : data->n_obs));
    if (m) TRY(spread_rows(values, data->n_obs, *d, m));
done:
    if (st != SCW_OK) {
        mem_free(*values);
        *values = NULL;
    }
    return st;
}
