/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading values: datasets, members of records, attributes. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "io/h5.h"
#include "io/h5_array.h"
#include "io/h5_vlen.h"

#define STRING_BLOCK 32768 /* strings read at a time */
#define SHARED_BYTES (8 << 20) /* of text beyond the size of the file: small ones may share */
#define CHUNKED_BLOCK (1 << 21) /* numbers read at a time from chunks */

/* Where values come from: a dataset or an attribute, or one member of either's records. */
typedef struct source {
    hid_t id;
    bool attribute;
    const char *member; /* NULL: the whole element */
} source;

/* Does every member lie inside its record? HDF5 1.10 takes a damaged record's word for it. */
static bool members_fit(hid_t type)
{
    size_t size = H5Tget_size(type);

    for (int k = 0; k < H5Tget_nmembers(type); k++) {
        hid_t member = H5Tget_member_type(type, (unsigned)k);
        size_t at = H5Tget_member_offset(type, (unsigned)k);
        bool fits = member >= 0 && at <= size && H5Tget_size(member) <= size - at;
        h5_close(&member);
        if (!fits) return false;
    }
    return true;
}

static hid_t source_type(source s)
{
    hid_t whole = s.attribute ? H5Aget_type(s.id) : H5Dget_type(s.id);
    if (whole < 0 || !s.member) return whole;
    int k = -1;
    if (H5Tget_class(whole) == H5T_COMPOUND && members_fit(whole))
        k = H5Tget_member_index(whole, s.member);
    hid_t member = k < 0 ? -1 : H5Tget_member_type(whole, (unsigned)k);
    h5_close(&whole);
    return member;
}

static hid_t source_space(source s)
{
    return s.attribute ? H5Aget_space(s.id) : H5Dget_space(s.id);
}

static herr_t source_read(source s, hid_t type, hid_t mem, hid_t file, hid_t dxpl, void *out)
{
    hid_t wrapped = 0, use = type;

    if (s.member) {
        wrapped = H5Tcreate(H5T_COMPOUND, H5Tget_size(type));
        if (wrapped < 0 || H5Tinsert(wrapped, s.member, 0, type) < 0) return -1;
        use = wrapped;
    }
    herr_t rc = s.attribute ? H5Aread(s.id, use, out) : H5Dread(s.id, use, mem, file, dxpl, out);
    h5_close(&wrapped);
    return rc;
}

/* ------------------------------------------------------------------ numbers */

static scw_status read_numbers(source s, hid_t mem_type, void *out, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t type = 0, space = 0, array = 0;

    type = source_type(s);
    if (type < 0) FAIL(SCW_EFORMAT, "%s: damaged (%s)", h5_where(s.id), h5_reason());
    hid_t use = mem_type;
    H5T_class_t class = H5Tget_class(type);
    int64_t width = 1;
    if (class == H5T_ARRAY && s.member) { /* an array in each record */
        hsize_t dims[H5S_MAX_RANK];
        int rank = H5Tget_array_dims2(type, dims);
        hid_t base = H5Tget_super(type);
        class = H5Tget_class(base);
        h5_close(&base);
        array = rank < 0 ? -1 : H5Tarray_create2(mem_type, (unsigned)rank, dims);
        for (int i = 0; i < rank; i++)
            if (!checked_mul(&width, width, (int64_t)dims[i])) width = -1;
        use = array;
    }
    if (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_ENUM)
        FAIL(SCW_EFORMAT, "%s: %s%snot numbers", h5_where(s.id), s.member ? s.member : "",
             s.member ? ": " : "");
    space = source_space(s);
    hssize_t there = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    int64_t total;
    if (there < 0 || !checked_mul(&total, there, width) || total != n)
        FAIL(SCW_EFORMAT, "%s: has %lld values, expected %lld", h5_where(s.id), (long long)there,
             (long long)n);
    if (n == 0) goto done;
    if (source_read(s, use, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read the values (%s)", h5_where(s.id), h5_reason());
done:
    h5_close(&array);
    h5_close(&type);
    h5_close(&space);
    return st;
}

/* Chunks that our own decoders know: they check that a chunk decompresses to its size, which HDF5 1.10
 * does not. */
static scw_status read_chunks(bool *is_read, void *out, hid_t dataset, number_type to, int64_t n)
{
    scw_status st = SCW_OK;
    h5_info info;
    h5_array a = {0};

    *is_read = false;
    TRY(h5_describe(&info, dataset));
    bool known = info.class == H5_CLASS_INTEGER || info.class == H5_CLASS_BOOL ||
                 (info.class == H5_CLASS_FLOAT && (to == NUMBER_F32 || to == NUMBER_F64));
    if (!known || info.n != n || info.rank < 1 || info.rank > 2) goto done;
    TRY(h5_array_open(&a, dataset, info.rank));
    if (!a.chunked) goto done;
    int64_t step = CHUNKED_BLOCK / a.width / a.chunk_rows * a.chunk_rows;
    if (step < a.chunk_rows) step = a.chunk_rows;
    for (int64_t from = 0; from < a.n; from += step) {
        int64_t rows = a.n - from < step ? a.n - from : step;
        uint8_t *at = (uint8_t *)out + (size_t)(from * a.width) * number_size(to);
        TRY(h5_array_read(at, to, &a, from, rows));
    }
    *is_read = true;
done:
    h5_array_close(&a);
    return st;
}

static scw_status read_dataset(void *out, hid_t dataset, number_type to, hid_t mem_type, int64_t n)
{
    scw_status st = SCW_OK;
    bool is_read;

    TRY(read_chunks(&is_read, out, dataset, to, n));
    if (!is_read) TRY(read_numbers((source){dataset, false, NULL}, mem_type, out, n));
done:
    return st;
}

scw_status h5_read_f32(float *out, hid_t dataset, int64_t n)
{
    return read_dataset(out, dataset, NUMBER_F32, H5T_NATIVE_FLOAT, n);
}

scw_status h5_read_f64(double *out, hid_t dataset, int64_t n)
{
    return read_dataset(out, dataset, NUMBER_F64, H5T_NATIVE_DOUBLE, n);
}

scw_status h5_read_i64(int64_t *out, hid_t dataset, int64_t n)
{
    return read_dataset(out, dataset, NUMBER_I64, H5T_NATIVE_INT64, n);
}

scw_status h5_read_i32(int32_t *out, hid_t dataset, int64_t n)
{
    return read_dataset(out, dataset, NUMBER_I32, H5T_NATIVE_INT32, n);
}

scw_status h5_member_f64(double *out, hid_t dataset, const char *member, int64_t n)
{
    return read_numbers((source){dataset, false, member}, H5T_NATIVE_DOUBLE, out, n);
}

scw_status h5_member_i64(int64_t *out, hid_t dataset, const char *member, int64_t n)
{
    return read_numbers((source){dataset, false, member}, H5T_NATIVE_INT64, out, n);
}

/* ------------------------------------------------------------------ strings */

static _Thread_local h5_text_notes notes;

h5_text_notes *h5_text_notes_here(void)
{
    return &notes;
}

static scw_status add_text(strings *out, const char *bytes, size_t n, textbuf *scratch)
{
    scw_status st = SCW_OK;
    bool repaired;

    scratch->length = 0;
    TRY(text_add_utf8(scratch, bytes, (int64_t)n, &repaired));
    notes.n_latin1 += repaired;
    TRY(strings_add(out, scratch->data));
done:
    return st;
}

typedef struct string_reader {
    source s;
    hid_t type; /* in memory: the strings, or references to them */
    bool variable;
    bool spaces; /* padded with spaces */
    bool nuls;   /* padded with NULs: nothing else may follow one */
    size_t size; /* bytes of a string or reference */
    uint64_t taken; /* bytes of text so far */
    uint8_t *block;
    h5_vlen heap;
    textbuf scratch;
} string_reader;

static scw_status reader_init(string_reader *r, source s, int64_t block)
{
    scw_status st = SCW_OK;
    hid_t type = source_type(s);

    *r = (string_reader){.s = s};
    if (type < 0 || H5Tget_class(type) != H5T_STRING)
        FAIL(SCW_EFORMAT, "%s: %s%snot strings", h5_where(s.id), s.member ? s.member : "",
             s.member ? ": " : "");
    r->variable = H5Tis_variable_str(type) > 0;
    if (r->variable) {
        TRY(h5_vlen_open(&r->heap, s.id));
        r->size = h5_vlen_size(&r->heap);
        r->type = H5Tcreate(H5T_OPAQUE, r->size);
    } else {
        r->spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
        r->nuls = H5Tget_strpad(type) == H5T_STR_NULLPAD;
        r->size = H5Tget_size(type);
        r->type = H5Tcopy(H5T_C_S1);
        if (r->type > 0 && (H5Tset_size(r->type, r->size) < 0 ||
                            H5Tset_cset(r->type, H5Tget_cset(type)) < 0 ||
                            H5Tset_strpad(r->type, H5Tget_strpad(type)) < 0))
            h5_close(&r->type);
    }
    if (r->type <= 0)
        FAIL(SCW_EFORMAT, "%s: strings of an unknown kind (%s)", h5_where(s.id), h5_reason());
    TRY(mem_new_raw((void **)&r->block, block, r->size));
done:
    h5_close(&type);
    return st;
}

static void reader_clear(string_reader *r)
{
    h5_close(&r->type);
    h5_vlen_close(&r->heap);
    mem_free(r->block);
    text_clear(&r->scratch);
}

/* Append the n strings now in the block. */
static scw_status take_block(strings *out, string_reader *r, int64_t n)
{
    scw_status st = SCW_OK;

    for (int64_t i = 0; i < n; i++) {
        const uint8_t *element = r->block + (size_t)i * r->size;
        const char *bytes = (const char *)element;
        size_t length;
        if (r->variable) {
            TRY(h5_vlen_get(&bytes, &length, &r->heap, r->s.id, element));
            notes.n_nul += r->heap.cut;
        } else {
            length = strnlen(bytes, r->size);
            notes.n_nul += r->nuls && h5_text_goes_on(bytes, length, r->size);
            while (r->spaces && length && bytes[length - 1] == ' ') length--;
        }
        if (r->s.attribute && length > H5_MOST_ATTRIBUTE)
            BREAK(RULE_ATTRIBUTE_SIZE, SCW_EFORMAT, "%s: an attribute takes more than %d bytes",
                  h5_where(r->s.id), H5_MOST_ATTRIBUTE);
        /* HDF5 writes a text for each reference, uncompressed: more than the file is a trick. */
        if (r->variable && (r->taken += length) > r->heap.file_size + SHARED_BYTES)
            BREAK(RULE_SIZE_HONEST, SCW_EFORMAT,
                  "%s: its texts take more bytes than the whole file, which has %llu",
                  h5_where(r->s.id), (unsigned long long)r->heap.file_size);
        TRY(add_text(out, bytes, length, &r->scratch));
    }
done:
    return st;
}

static scw_status read_block(strings *out, string_reader *r, hid_t mem, hid_t file, int64_t n)
{
    scw_status st = SCW_OK;

    if (r->variable) TRY(h5_vlen_register());
    herr_t rc = source_read(r->s, r->type, mem, file, H5P_DEFAULT, r->block);
    if (r->variable) h5_vlen_unregister();
    if (rc < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read the strings (%s)", h5_where(r->s.id), h5_reason());
    TRY(take_block(out, r, n));
done:
    return st;
}

static scw_status read_strings(strings *out, source s)
{
    scw_status st = SCW_OK;
    string_reader r = {0};
    hid_t space = 0, mem = 0;

    *out = (strings){0};
    space = source_space(s);
    hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (n < 0 || rank < 0) FAIL(SCW_EFORMAT, "%s: damaged (%s)", h5_where(s.id), h5_reason());
    bool blocks = !s.attribute && rank == 1 && n > STRING_BLOCK;
    TRY(reader_init(&r, s, blocks ? STRING_BLOCK : (int64_t)n));
    if (n == 0) goto done;
    if (!blocks) {
        TRY(read_block(out, &r, H5S_ALL, H5S_ALL, (int64_t)n));
        goto done;
    }
    for (hsize_t at = 0; at < (hsize_t)n; at += STRING_BLOCK) {
        hsize_t count = (hsize_t)n - at < STRING_BLOCK ? (hsize_t)n - at : STRING_BLOCK;
        h5_close(&mem);
        mem = H5Screate_simple(1, &count, NULL);
        if (mem < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &count, NULL) < 0)
            FAIL(SCW_EINTERNAL, "%s: %s", h5_where(s.id), h5_reason());
        TRY(read_block(out, &r, mem, space, (int64_t)count));
    }
done:
    if (st != SCW_OK) strings_clear(out);
    reader_clear(&r);
    h5_close(&mem);
    h5_close(&space);
    return st;
}

scw_status h5_read_strings(strings *out, hid_t dataset)
{
    return read_strings(out, (source){dataset, false, NULL});
}

scw_status h5_member_strings(strings *out, hid_t dataset, const char *member)
{
    return read_strings(out, (source){dataset, false, member});
}

/* ------------------------------------------------------------------ records */

scw_status h5_members(strings *out, hid_t dataset)
{
    scw_status st = SCW_OK;
    hid_t type = H5Dget_type(dataset);

    *out = (strings){0};
    if (type < 0 || H5Tget_class(type) != H5T_COMPOUND)
        FAIL(SCW_EFORMAT, "%s: expected records", h5_where(dataset));
    for (int i = 0; i < H5Tget_nmembers(type); i++) {
        char *name = H5Tget_member_name(type, (unsigned)i);
        if (!name) FAIL(SCW_ENOMEM, "out of memory: names of %s", h5_where(dataset));
        st = strings_add(out, name);
        (void)H5free_memory(name);
        TRY(st);
    }
done:
    h5_close(&type);
    if (st != SCW_OK) strings_clear(out);
    return st;
}

scw_status h5_member_describe(h5_info *out, int64_t *width, hid_t dataset, const char *member)
{
    scw_status st = SCW_OK;
    hid_t type = source_type((source){dataset, false, member}), base = 0;
    hsize_t dims[H5S_MAX_RANK];

    *out = (h5_info){.rank = 1};
    *width = 1;
    if (type < 0) FAIL(SCW_EFORMAT, "%s: has no member '%s'", h5_where(dataset), member);
    base = H5Tget_class(type) == H5T_ARRAY ? H5Tget_super(type) : H5Tcopy(type);
    int rank = H5Tget_class(type) == H5T_ARRAY ? H5Tget_array_dims2(type, dims) : 0;
    for (int i = 0; i < rank; i++)
        if (!checked_mul(width, *width, (int64_t)dims[i]))
            FAIL(SCW_EFORMAT, "%s: member '%s' overflows", h5_where(dataset), member);
    out->size = H5Tget_size(base);
    switch (H5Tget_class(base)) {
    case H5T_INTEGER:
        out->class = H5_CLASS_INTEGER;
        out->is_signed = H5Tget_sign(base) != H5T_SGN_NONE;
        break;
    case H5T_FLOAT: out->class = H5_CLASS_FLOAT; break;
    case H5T_STRING: out->class = H5_CLASS_STRING; break;
    case H5T_ENUM: out->class = H5_CLASS_BOOL; break;
    default: out->class = H5_CLASS_OTHER; break;
    }
    hid_t space = H5Dget_space(dataset);
    out->n = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);
    out->dim[0] = out->n;
    h5_close(&space);
done:
    h5_close(&base);
    h5_close(&type);
    return st;
}

/* ------------------------------------------------------------------ attributes */

bool h5_has_attr(hid_t object, const char *name)
{
    return H5Aexists(object, name) > 0;
}

static scw_status open_attr(hid_t *out, hid_t object, const char *name)
{
    scw_status st = SCW_OK;

    *out = 0;
    if (!h5_has_attr(object, name))
        FAIL(SCW_ENOTFOUND, "%s: has no attribute '%s'", h5_where(object), name);
    hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
    if (attr < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read attribute '%s' (%s)", h5_where(object), name,
             h5_reason());
    if (H5Aget_storage_size(attr) > H5_MOST_ATTRIBUTE) {
        h5_close(&attr);
        BREAK(RULE_ATTRIBUTE_SIZE, SCW_EFORMAT, "%s: attribute '%s' takes more than %d bytes",
              h5_where(object), name, H5_MOST_ATTRIBUTE);
    }
    *out = attr;
done:
    return st;
}

scw_status h5_attr_strings(strings *out, hid_t object, const char *name)
{
    scw_status st = SCW_OK;
    hid_t attr = 0, type = 0;

    *out = (strings){0};
    TRY(open_attr(&attr, object, name));
    /* An empty list is often stored as an empty array of numbers. */
    if (H5Aget_storage_size(attr) == 0) goto done;
    type = H5Aget_type(attr);
    if (H5Tget_class(type) != H5T_STRING)
        FAIL(SCW_EFORMAT, "%s: attribute '%s' is not text", h5_where(object), name);
    TRY(read_strings(out, (source){attr, true, NULL}));
done:
    h5_close(&type);
    h5_close(&attr);
    return st;
}

scw_status h5_attr_string(char **out, hid_t object, const char *name)
{
    scw_status st = SCW_OK;
    strings all = {0};

    *out = NULL;
    TRY(h5_attr_strings(&all, object, name));
    if (all.n != 1)
        FAIL(SCW_EFORMAT, "%s: attribute '%s' holds %lld texts, expected one", h5_where(object),
             name, (long long)all.n);
    TRY(mem_strdup(out, all.at[0]));
done:
    strings_clear(&all);
    return st;
}

scw_status h5_attr_ints(int64_t *out, hid_t object, const char *name, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t attr = 0;

    TRY(open_attr(&attr, object, name));
    st = read_numbers((source){attr, true, NULL}, H5T_NATIVE_INT64, out, n);
    if (st != SCW_OK) st = status_prefix(st, "attribute '%s'", name);
done:
    h5_close(&attr);
    return st;
}

scw_status h5_attr_dereference(hid_t *out, hid_t object, const char *name)
{
    scw_status st = SCW_OK;
    hid_t attr = 0, type = 0;
    hobj_ref_t reference = 0;

    *out = 0;
    TRY(open_attr(&attr, object, name));
    type = H5Aget_type(attr);
    if (H5Tequal(type, H5T_STD_REF_OBJ) <= 0 || H5Aget_storage_size(attr) != sizeof reference)
        FAIL(SCW_EFORMAT, "%s: attribute '%s' is not a reference", h5_where(object), name);
    if (H5Aread(attr, H5T_STD_REF_OBJ, &reference) < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read attribute '%s'", h5_where(object), name);
    hid_t id = H5Rdereference2(object, H5P_DEFAULT, H5R_OBJECT, &reference);
    if (id < 0 || h5_kind_of(id) != H5_DATASET) {
        h5_close(&id);
        FAIL(SCW_EFORMAT, "%s: attribute '%s' points to nothing", h5_where(object), name);
    }
    *out = id;
done:
    h5_close(&type);
    h5_close(&attr);
    return st;
}
