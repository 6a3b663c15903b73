/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/copy_tree.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "io/h5_tree.h"

#define BLOCK_BYTES (8 << 20)
#define COMPRESS_FROM 16384
#define CHUNK_BYTES (256 * 1024)

/* ------------------------------------------------------------------ attributes */

/* Numbers, enumerations and fixed-length strings: bytes. Texts of variable length: texts. */
static scw_status copy_attr(hid_t from, hid_t to, const char *name)
{
    scw_status st = SCW_OK;
    hid_t attr = H5Aopen(from, name, H5P_DEFAULT), type = 0, space = 0, made = 0;
    strings texts = {0};
    uint8_t *bytes = NULL;

    if (attr < 0) FAIL(SCW_EFORMAT, "%s: cannot read attribute '%s'", h5_where(from), name);
    type = H5Aget_type(attr);
    space = H5Aget_space(attr);
    if (type < 0 || space < 0) FAIL(SCW_EFORMAT, "%s: damaged", h5_where(from));
    if (H5Tis_variable_str(type) > 0) {
        TRY(h5_attr_strings(&texts, from, name));
        bool scalar = H5Sget_simple_extent_type(space) == H5S_SCALAR && texts.n == 1;
        TRY(scalar ? h5_put_attr_string(to, name, texts.at[0]) : h5_put_attr_strings(to, name, &texts));
        goto done;
    }
    H5T_class_t class = H5Tget_class(type);
    if (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_ENUM && class != H5T_STRING)
        goto done; /* references among them: they mean nothing in another file */
    hssize_t n = H5Sget_simple_extent_npoints(space);
    TRY(mem_new(&bytes, (int64_t)((size_t)(n > 0 ? n : 0) * H5Tget_size(type)) + 1));
    if (n > 0 && H5Aread(attr, type, bytes) < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read attribute '%s'", h5_where(from), name);
    made = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (made < 0 || (n > 0 && H5Awrite(made, type, bytes) < 0))
        FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(to), h5_reason());
done:
    mem_free(bytes);
    strings_clear(&texts);
    h5_close(&made);
    h5_close(&space);
    h5_close(&type);
    h5_close(&attr);
    return st;
}

typedef struct attr_walk {
    hid_t to;
    scw_status st;
} attr_walk;

static herr_t visit_attr(hid_t from, const char *name, const H5A_info_t *info, void *user)
{
    attr_walk *w = user;
    (void)info;
    w->st = copy_attr(from, w->to, name);
    return w->st == SCW_OK ? 0 : -1;
}

static scw_status copy_attrs(hid_t from, hid_t to)
{
    scw_status st = SCW_OK;
    attr_walk w = {to, SCW_OK};
    hsize_t at = 0;

    if (H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, &at, visit_attr, &w) < 0) {
        TRY(w.st);
        FAIL(SCW_EFORMAT, "%s: cannot read its attributes (%s)", h5_where(from), h5_reason());
    }
done:
    return st;
}

/* ------------------------------------------------------------------ arrays compressed anew */

/* A dataset of the type and shape of another, in chunks of whole rows. */
static scw_status create_like(hid_t *out, hid_t to, const char *name, hid_t type,
                              const h5_info *info, h5_compression how)
{
    scw_status st = SCW_OK;
    hsize_t dims[H5_MAX_RANK];
    hid_t space = 0, dcpl = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[H5_MAX_RANK];
    size_t row = info->size;

    for (int i = 1; i < info->rank; i++) row *= (size_t)info->dim[i];
    for (int i = 0; i < info->rank; i++) chunk[i] = dims[i] = (hsize_t)info->dim[i];
    space = H5Screate_simple(info->rank, dims, NULL);
    hsize_t rows = CHUNK_BYTES / (row ? row : 1);
    chunk[0] = rows < 1 ? 1 : rows > chunk[0] ? chunk[0] : rows;
    *out = 0;
    if (space < 0 || dcpl < 0 || H5Pset_obj_track_times(dcpl, 0) < 0 ||
        (how != H5_PLAIN && (H5Pset_chunk(dcpl, info->rank, chunk) < 0 ||
                             h5_set_filters(dcpl, how, (size_t)chunk[0] * row) < 0)))
        FAIL(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    hid_t made = H5Dcreate2(to, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (made < 0) FAIL(SCW_EIO, "%s: cannot write '%s': %s", h5_where(to), name, h5_reason());
    *out = made;
done:
    h5_close(&space);
    h5_close(&dcpl);
    return st;
}

/* Rows of one dataset to another of the same type, some at a time. */
static scw_status copy_rows(hid_t from, hid_t to, hid_t type, const h5_info *info,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t space = H5Dget_space(from), mem = 0;
    hsize_t start[H5_MAX_RANK] = {0}, count[H5_MAX_RANK];
    uint8_t *block = NULL;
    size_t row = info->size;

    for (int i = 0; i < info->rank; i++) count[i] = (hsize_t)info->dim[i];
    for (int i = 1; i < info->rank; i++) row *= (size_t)info->dim[i];
    hsize_t rows = row < BLOCK_BYTES ? BLOCK_BYTES / row : 1;
    TRY(mem_new(&block, (int64_t)((size_t)rows * row)));
    for (hsize_t at = 0; at < (hsize_t)info->dim[0]; at += rows) {
        TRY(log_check_cancel(hooks));
        start[0] = at;
        count[0] = (hsize_t)info->dim[0] - at < rows ? (hsize_t)info->dim[0] - at : rows;
        h5_close(&mem);
        mem = H5Screate_simple(info->rank, count, NULL);
        if (mem < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
            FAIL(SCW_EINTERNAL, "HDF5: %s", h5_reason());
        if (H5Dread(from, type, mem, space, H5P_DEFAULT, block) < 0)
            FAIL(SCW_EFORMAT, "%s: cannot read the values (%s)", h5_where(from), h5_reason());
        if (H5Dwrite(to, type, mem, space, H5P_DEFAULT, block) < 0)
            FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(to), h5_reason());
    }
done:
    mem_free(block);
    h5_close(&mem);
    h5_close(&space);
    return st;
}

static scw_status recompress(hid_t from, hid_t to, const char *name, h5_compression how,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t source = 0, made = 0, type = 0;
    h5_info info;

    TRY(h5_open(&source, from, name));
    TRY(h5_describe(&info, source));
    bool numbers = info.class == H5_CLASS_INTEGER || info.class == H5_CLASS_FLOAT ||
                   info.class == H5_CLASS_BOOL;
    if (!numbers || info.rank < 1 || info.n * (int64_t)info.size < COMPRESS_FROM) {
        TRY(h5_copy(from, name, to, name));
        goto done;
    }
    type = H5Dget_type(source);
    TRY(create_like(&made, to, name, type, &info, how));
    TRY(copy_attrs(source, made));
    TRY(copy_rows(source, made, type, &info, hooks));
done:
    h5_close(&type);
    h5_close(&made);
    h5_close(&source);
    return st;
}

/* ------------------------------------------------------------------ groups */

static bool holds_arrays(const char *name)
{
    static const char *const names[] = {"X", "raw", "layers", "obsm", "obsp", "varm", "varp", "mod"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static scw_status copy_members(hid_t from, hid_t to, h5_compression how, bool inside,
                               const scw_hooks *hooks);

/* `inside`: below an element whose arrays are compressed anew. */
static scw_status copy_member(hid_t from, hid_t to, const char *name, h5_compression how, bool inside,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t a = 0, b = 0;
    h5_kind kind = h5_find(from, name);
    bool frame_or_dict = false, tree = true;

    if (kind == H5_DATASET && inside) return recompress(from, to, name, how, hooks);
    if (kind == H5_GROUP && inside) {
        TRY(h5_open_group(&a, from, name));
        frame_or_dict = h5_has_attr(a, "_index"); /* its columns may refer to each other */
        TRY(h5_tree_measure(&tree, a));
        h5_close(&a);
    }
    if (kind != H5_GROUP || !inside || frame_or_dict || !tree)
        return h5_copy(from, name, to, name);
    TRY(h5_open_group(&a, from, name));
    TRY(h5_make_group(&b, to, name));
    TRY(copy_members(a, b, how, true, hooks));
done:
    h5_close(&a);
    h5_close(&b);
    return st;
}

static scw_status copy_members(hid_t from, hid_t to, h5_compression how, bool inside,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    strings names = {0};

    TRY(copy_attrs(from, to));
    TRY(h5_list(&names, from));
    for (int64_t i = 0; i < names.n; i++) {
        const char *name = names.at[i];
        TRY(log_check_cancel(hooks));
        /* The modalities of an .h5mu are files in small; their frames stay whole. */
        bool frame = strcmp(name, "obs") == 0 || strcmp(name, "var") == 0 ||
                     strcmp(name, "uns") == 0;
        bool below = !frame && (inside || holds_arrays(name));
        TRY(copy_member(from, to, name, how, below, hooks));
    }
done:
    strings_clear(&names);
    return st;
}

scw_status copy_tree(hid_t from, hid_t to, scw_compression how, const scw_hooks *hooks)
{
    static const h5_compression filters[] = {H5_GZIP, H5_GZIP, H5_LZF, H5_PLAIN};
    scw_status st = SCW_OK;
    strings names = {0};

    if (how != SCW_COMPRESSION_KEEP) return copy_members(from, to, filters[how], false, hooks);
    TRY(copy_attrs(from, to));
    TRY(h5_list(&names, from));
    for (int64_t i = 0; i < names.n; i++) {
        TRY(log_check_cancel(hooks));
        TRY(h5_copy(from, names.at[i], to, names.at[i]));
    }
done:
    strings_clear(&names);
    return st;
}
