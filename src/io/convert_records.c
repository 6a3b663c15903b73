/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and arrays as files from before 2020 have them, turned into groups in place. */
#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"
#include "io/write_element.h"
#include "io/write_part.h"

static scw_status is_records(bool *out, hid_t file, const char *name)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    h5_info info;

    *out = false;
    if (h5_find(file, name) != H5_DATASET) goto done;
    TRY(h5_open(&element, file, name));
    TRY(h5_describe(&info, element));
    *out = info.class == H5_CLASS_COMPOUND;
done:
    h5_close(&element);
    return st;
}

scw_status convert_frame_records(hid_t file, const char *name, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    frame f = {0};
    bool records;

    TRY(is_records(&records, file, name));
    if (!records) goto done;
    log_info(hooks,
             "%s is stored as records; it is written as a group, which anndata 0.7 and later "
             "read",
             name);
    TRY(h5_open(&element, file, name));
    TRY(element_records_as_stored(&f, element));
    h5_close(&element);
    TRY(h5_remove(file, name));
    TRY(write_legacy_frame(file, name, &f));
done:
    h5_close(&element);
    frame_clear(&f);
    return st;
}

/* One array a member. */
scw_status convert_array_records(hid_t file, const char *name)
{
    scw_status st = SCW_OK;
    hid_t element = 0, group = 0;
    strings members = {0};
    double *values = NULL;
    bool records;

    TRY(is_records(&records, file, name));
    if (!records) goto done;
    TRY(h5_open(&element, file, name));
    TRY(h5_members(&members, element));
    TRY(h5_remove(file, "scweave-converting"));
    TRY(write_open_dict(&group, file, "scweave-converting"));
    for (int64_t k = 0; k < members.n; k++) {
        h5_info info;
        int64_t width, dim[2];
        TRY(h5_member_describe(&info, &width, element, members.at[k]));
        mem_free(values);
        TRY(mem_new(&values, info.n * width));
        TRY(h5_member_f64(values, element, members.at[k], info.n * width));
        dim[0] = info.n;
        dim[1] = width;
        TRY(h5_write_array(NULL, group, members.at[k], H5T_NATIVE_DOUBLE, 2, dim, values));
    }
    h5_close(&element);
    h5_close(&group);
    TRY(h5_remove(file, name));
    TRY(h5_rename(file, "scweave-converting", name));
done:
    mem_free(values);
    strings_clear(&members);
    h5_close(&element);
    h5_close(&group);
    return st;
}
