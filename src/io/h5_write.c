/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing values. Every call is checked: with a full disk the failure may show anywhere. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "io/h5.h"
#include "io/h5_tree.h"

#define COMPRESS_FROM 16384 /* bytes; smaller arrays are stored as they are */
#define CHUNK_BYTES (256 * 1024)
#define GZIP_LEVEL 4

static h5_compression compression = H5_GZIP; /* one thread at a time, see h5.h */

void h5_compress_with(h5_compression how)
{
    compression = how;
}

h5_compression h5_compressed_with(void)
{
    return compression;
}

herr_t h5_set_filters(hid_t dcpl, h5_compression how, size_t chunk_bytes)
{
    if (how == H5_PLAIN) return 0;
    if (H5Pset_shuffle(dcpl) < 0) return -1;
    if (how == H5_GZIP) return H5Pset_deflate(dcpl, GZIP_LEVEL);
    /* As h5py: revision of the filter, version of LZF, bytes of a chunk. */
    const unsigned values[3] = {4, 0x105, (unsigned)chunk_bytes};
    return H5Pset_filter(dcpl, H5_LZF_FILTER, H5Z_FLAG_OPTIONAL, 3, values);
}

static scw_status cannot_write(hid_t parent, const char *name)
{
    return status_fail(SCW_EIO, "%s: cannot write '%s': %s", h5_where(parent), name, h5_reason());
}

scw_status h5_make_group(hid_t *out, hid_t parent, const char *name)
{
    scw_status st = SCW_OK;
    hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE);

    *out = 0;
    if (gcpl < 0 || H5Pset_obj_track_times(gcpl, 0) < 0) FAIL(SCW_EINTERNAL, "%s", h5_reason());
    hid_t group = H5Gcreate2(parent, name, H5P_DEFAULT, gcpl, H5P_DEFAULT);
    if (group < 0) TRY(cannot_write(parent, name));
    *out = group;
done:
    h5_close(&gcpl);
    return st;
}

scw_status h5_remove(hid_t parent, const char *name)
{
    if (H5Lexists(parent, name, H5P_DEFAULT) <= 0) return SCW_OK;
    if (H5Ldelete(parent, name, H5P_DEFAULT) < 0)
        return status_fail(SCW_EIO, "%s: cannot replace '%s': %s", h5_where(parent), name,
                           h5_reason());
    return SCW_OK;
}

/* Chunks of whole rows of about CHUNK_BYTES. */
static void chunk_shape(hsize_t *chunk, int rank, const hsize_t *dims, size_t size)
{
    hsize_t row = size;

    for (int i = 1; i < rank; i++) row *= dims[i];
    hsize_t rows = CHUNK_BYTES / (row ? row : 1);
    for (int i = 0; i < rank; i++) chunk[i] = dims[i];
    chunk[0] = rows < 1 ? 1 : rows > dims[0] ? dims[0] : rows;
    /* A single row wider than a chunk may be: cut it too. */
    for (int i = 1; i < rank && row > 16 * CHUNK_BYTES; i++) {
        hsize_t cut = chunk[i] * (16 * CHUNK_BYTES / 4) / row;
        chunk[i] = cut < 1 ? 1 : cut;
        break;
    }
}

static scw_status create_dataset(hid_t *out, hid_t parent, const char *name, hid_t type, int rank,
                                 const int64_t *dim)
{
    scw_status st = SCW_OK;
    hid_t space = 0, dcpl = 0;
    hsize_t dims[H5_MAX_RANK], chunk[H5_MAX_RANK];
    int64_t bytes = (int64_t)H5Tget_size(type);

    *out = 0;
    for (int i = 0; i < rank; i++) {
        dims[i] = (hsize_t)dim[i];
        if (!checked_mul(&bytes, bytes, dim[i])) FAIL(SCW_EINVAL, "'%s' is too large", name);
    }
    space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    dcpl = H5Pcreate(H5P_DATASET_CREATE);
    if (space < 0 || dcpl < 0 || H5Pset_obj_track_times(dcpl, 0) < 0)
        TRY(cannot_write(parent, name));
    if (rank && bytes >= COMPRESS_FROM && H5Tget_class(type) != H5T_STRING) {
        chunk_shape(chunk, rank, dims, H5Tget_size(type));
        size_t chunk_bytes = H5Tget_size(type);
        for (int i = 0; i < rank; i++) chunk_bytes *= (size_t)chunk[i];
        if (H5Pset_chunk(dcpl, rank, chunk) < 0 || h5_set_filters(dcpl, compression, chunk_bytes) < 0)
            TRY(cannot_write(parent, name));
    }
    hid_t dataset = H5Dcreate2(parent, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (dataset < 0) TRY(cannot_write(parent, name));
    *out = dataset;
done:
    h5_close(&space);
    h5_close(&dcpl);
    return st;
}

scw_status h5_write_array(hid_t *out, hid_t parent, const char *name, hid_t type, int rank,
                          const int64_t *dim, const void *values)
{
    return h5_write_as(out, parent, name, type, type, rank, dim, values);
}

scw_status h5_write_as(hid_t *out, hid_t parent, const char *name, hid_t stored, hid_t type,
                       int rank, const int64_t *dim, const void *values)
{
    scw_status st = SCW_OK;
    hid_t dataset = 0;
    int64_t n = 1;

    if (out) *out = 0;
    for (int i = 0; i < rank; i++) n *= dim[i];
    TRY(create_dataset(&dataset, parent, name, stored, rank, dim));
    if (n > 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        TRY(cannot_write(parent, name));
    if (out) {
        *out = dataset;
        dataset = 0;
    } else {
        hid_t d = dataset;
        dataset = 0;
        if (H5Dclose(d) < 0) TRY(cannot_write(parent, name));
    }
done:
    h5_close(&dataset);
    return st;
}

static hid_t bool_type(void)
{
    hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
    int8_t no = 0, yes = 1;

    if (type < 0 || H5Tenum_insert(type, "FALSE", &no) < 0 ||
        H5Tenum_insert(type, "TRUE", &yes) < 0)
        return -1;
    return type;
}

scw_status h5_write_bools(hid_t *out, hid_t parent, const char *name, int64_t n,
                          const uint8_t *values)
{
    hid_t type = bool_type();
    if (type < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = h5_write_array(out, parent, name, type, 1, &n, values);
    h5_close(&type);
    return st;
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    if (type < 0 || H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        return -1;
    return type;
}

scw_status h5_write_strings(hid_t *out, hid_t parent, const char *name, const strings *values)
{
    hid_t type = text_type();
    if (type < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = h5_write_array(out, parent, name, type, 1, &values->n, values->at);
    h5_close(&type);
    return st;
}

scw_status h5_write_string(hid_t *out, hid_t parent, const char *name, const char *value)
{
    hid_t type = text_type();
    if (type < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = h5_write_array(out, parent, name, type, 0, NULL, &value);
    h5_close(&type);
    return st;
}

/* ------------------------------------------------------------------ records */

/* Records whose fields are all of one type. */
static hid_t record_type(hid_t member, const strings *fields)
{
    size_t size = H5Tget_size(member);
    hid_t type = H5Tcreate(H5T_COMPOUND, (size_t)fields->n * size);

    for (int64_t k = 0; type >= 0 && k < fields->n; k++)
        if (H5Tinsert(type, fields->at[k], (size_t)k * size, member) < 0) h5_close(&type), type = -1;
    return type;
}

/* `values`: a field after the other, elements of `size` bytes; they go to the file record by
 * record. */
static scw_status write_records(hid_t *out, hid_t parent, const char *name, hid_t member,
                                const strings *fields, int64_t n, const char *values, size_t size)
{
    scw_status st = SCW_OK;
    char *records = NULL;
    hid_t type = record_type(member, fields);

    *out = 0;
    if (type < 0) TRY(cannot_write(parent, name));
    TRY(mem_new(&records, fields->n * n * (int64_t)size));
    for (int64_t k = 0; k < fields->n; k++)
        for (int64_t i = 0; i < n; i++)
            memcpy(records + (size_t)(i * fields->n + k) * size,
                   values + (size_t)(k * n + i) * size, size);
    TRY(h5_write_array(out, parent, name, type, 1, &n, records));
done:
    mem_free(records);
    h5_close(&type);
    return st;
}

scw_status h5_write_number_records(hid_t *out, hid_t parent, const char *name,
                                   const strings *fields, int64_t n, const double *values)
{
    return write_records(out, parent, name, H5T_NATIVE_DOUBLE, fields, n, (const char *)values,
                         sizeof *values);
}

scw_status h5_write_text_records(hid_t *out, hid_t parent, const char *name, const strings *fields,
                                 int64_t n, const strings *values)
{
    hid_t member = text_type();
    if (member < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = write_records(out, parent, name, member, fields, n, (const char *)values->at,
                                  sizeof *values->at);
    h5_close(&member);
    return st;
}

/* ------------------------------------------------------------------ attributes */

/* n < 0: a scalar. */
static scw_status put_attr(hid_t object, const char *name, hid_t type, int64_t n,
                           const void *values)
{
    scw_status st = SCW_OK;
    hid_t space = 0, attr = 0;
    hsize_t dim = (hsize_t)n;

    if (H5Aexists(object, name) > 0 && H5Adelete(object, name) < 0)
        TRY(cannot_write(object, name));
    space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dim, NULL);
    attr = space < 0 ? -1 : H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || (n != 0 && H5Awrite(attr, type, values) < 0))
        TRY(cannot_write(object, name));
done:
    h5_close(&attr);
    h5_close(&space);
    return st;
}

scw_status h5_put_attr_string(hid_t object, const char *name, const char *value)
{
    hid_t type = text_type();
    if (type < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = put_attr(object, name, type, -1, &value);
    h5_close(&type);
    return st;
}

scw_status h5_put_attr_strings(hid_t object, const char *name, const strings *values)
{
    hid_t type = text_type();
    if (type < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = put_attr(object, name, type, values->n, values->at);
    h5_close(&type);
    return st;
}

scw_status h5_put_attr_ints(hid_t object, const char *name, const int64_t *values, int64_t n,
                            bool scalar)
{
    return put_attr(object, name, H5T_NATIVE_INT64, scalar ? -1 : n, values);
}

scw_status h5_put_attr_bool(hid_t object, const char *name, bool value)
{
    int8_t byte = value;
    hid_t type = bool_type();
    if (type < 0) return status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    scw_status st = put_attr(object, name, type, -1, &byte);
    h5_close(&type);
    return st;
}

scw_status h5_put_attr_reference(hid_t object, const char *name, hid_t target,
                                 const char *target_name)
{
    hobj_ref_t reference;

    if (H5Rcreate(&reference, target, target_name, H5R_OBJECT, -1) < 0)
        return cannot_write(object, name);
    return put_attr(object, name, H5T_STD_REF_OBJ, -1, &reference);
}

scw_status h5_rename(hid_t parent, const char *name, const char *new_name)
{
    if (H5Lmove(parent, name, parent, new_name, H5P_DEFAULT, H5P_DEFAULT) < 0)
        return cannot_write(parent, new_name);
    return SCW_OK;
}

/* Is `name` a link that leads out of the file, or nowhere? Such links are copied, never followed. */
static bool leads_away(hid_t from, const char *name)
{
    H5L_info_t info;

    if (strcmp(name, "/") == 0 || H5Lget_info(from, name, &info, H5P_DEFAULT) < 0) return false;
    return info.type != H5L_TYPE_HARD &&
           (info.type != H5L_TYPE_SOFT || h5_find(from, name) == H5_OTHER);
}

scw_status h5_copy(hid_t from, const char *name, hid_t to, const char *new_name)
{
    scw_status st = SCW_OK;
    hid_t ocpypl = H5Pcreate(H5P_OBJECT_COPY), object = 0;

    if (ocpypl < 0 || H5Pset_copy_object(ocpypl, H5O_COPY_EXPAND_REFERENCE_FLAG) < 0)
        FAIL(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    if (leads_away(from, name)) {
        if (H5Lcopy(from, name, to, new_name, H5P_DEFAULT, H5P_DEFAULT) < 0)
            TRY(cannot_write(to, new_name));
        goto done;
    }
    if (h5_find(from, name) != H5_OTHER) {
        TRY(h5_open(&object, from, name));
        TRY(h5_tree_measure(NULL, object));
    }
    if (H5Ocopy(from, name, to, new_name, ocpypl, H5P_DEFAULT) < 0) TRY(cannot_write(to, new_name));
done:
    h5_close(&object);
    h5_close(&ocpypl);
    return st;
}
