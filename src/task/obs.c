/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/obs.h"

#include "base/alloc.h"

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
