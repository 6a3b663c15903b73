/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes to an HDF5 file that leave it a valid one: numbers, texts, types, shapes, links. Bytes changed at
 * random mostly end in libhdf5's own checks; these end in ours. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MOST_OBJECTS 256
#define NAME_BYTES 160
#define MOST_BYTES 65536 /* larger arrays stay as they are */

typedef struct mutation {
    fuzz_random random;
    hid_t file;
    int n;
    char name[MOST_OBJECTS][NAME_BYTES]; /* of groups and datasets */
} mutation;

/* Names and texts that mean something to a reader, and some that should not. */
static const char *const words[] = {
    "X", "raw", "raw/X", "obs", "var", "obsm", "layers", "uns", "mod", "obsmap", "data", "indices",
    "indptr", "shape", "codes", "categories", "mask", "values", "_index", "index", "column-order",
    "encoding-type", "encoding-version", "mod-order", "axis", "ordered", "__categories",
    "h5sparse_format", "h5sparse_shape", "csr_matrix", "csc_matrix", "array", "dataframe", "dict",
    "categorical", "nullable-integer", "nullable-boolean", "nullable-string-array", "string-array",
    "string", "anndata", "MuData", "0.1.0", "0.2.0", "matrix", "barcodes", "features", "genes",
    "gene_names", "row_attrs", "col_attrs", "CellID", "Gene", "feature_type", "Peaks", "csr", "csc",
    "", "/", ".", "..", "a/b", "\xff\xfe", "c0", "c1", "g0", "rna", "adt",
    "a name that is longer than what anybody would call a cell, a gene, a column or a whole file",
};

static uint64_t below(mutation *m, uint64_t n)
{
    return fuzz_below(&m->random, n);
}

static const char *word(mutation *m)
{
    return words[below(m, sizeof words / sizeof *words)];
}

static const char *object(mutation *m)
{
    return m->name[below(m, (uint64_t)m->n)];
}

static double number(mutation *m, double old)
{
    static const double odd[] = {0,          1,     -1,          2,    127,   128,  255,    256, 32767,
                                 2147483647, 4e9,   4294967296., 9e15, 1e18,  -9e18, 1.8e19, 1e300,
                                 -1e30,      0.5,   1e-40};
    switch (below(m, 6)) {
    case 0: return old + 1;
    case 1: return old - 1;
    case 2: return (double)below(m, 8);
    case 3: return -old;
    case 4: return below(m, 2) ? (double)__builtin_nanf("") : (double)__builtin_inff();
    default: return odd[below(m, sizeof odd / sizeof *odd)];
    }
}

static void shut(hid_t id)
{
    if (id > 0) (void)H5Idec_ref(id);
}

/* ------------------------------------------------------------------ values */

static int is_number(hid_t type)
{
    H5T_class_t class = H5Tget_class(type);
    return class == H5T_INTEGER || class == H5T_FLOAT;
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    (void)H5Tset_size(type, H5T_VARIABLE);
    return type;
}

/* One number of `values` becomes another, or trades places. */
static void change_number(mutation *m, double *values, uint64_t n)
{
    uint64_t at = below(m, n), other = below(m, n);

    if (below(m, 4)) {
        values[at] = number(m, values[at]);
    } else {
        double keep = values[at];
        values[at] = values[other];
        values[other] = keep;
    }
}

/* A dataset, unless HDF5 1.10 could fall over it: see check_storage in src/io/h5.c. */
static hid_t open_dataset(mutation *m, const char *name)
{
    hid_t d = H5Dopen2(m->file, name, H5P_DEFAULT), plist = d < 0 ? -1 : H5Dget_create_plist(d);
    unsigned flags;
    size_t n = 0;

    if (plist < 0) return -1;
    if (H5Pget_filter_by_id2(plist, H5Z_FILTER_SCALEOFFSET, &flags, &n, NULL, 0, NULL, NULL) >= 0) {
        shut(d);
        d = -1;
    }
    shut(plist);
    return d;
}

static void change_dataset(mutation *m)
{
    hid_t d = open_dataset(m, object(m)), type = 0, space = 0;
    double *values = NULL;
    char **texts = NULL;

    if (d < 0) return;
    type = H5Dget_type(d);
    space = H5Dget_space(d);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    if (n < 1 || (size_t)n * 8 > MOST_BYTES) goto done;
    if (is_number(type)) {
        values = calloc((size_t)n, sizeof *values);
        if (H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) goto done;
        change_number(m, values, (uint64_t)n);
        (void)H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    } else if (H5Tis_variable_str(type) > 0) {
        texts = calloc((size_t)n, sizeof *texts);
        if (H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) < 0) goto done;
        char *old = texts[below(m, (uint64_t)n)];
        char **at = &texts[below(m, (uint64_t)n)], *kept = *at;
        *at = below(m, 2) ? old : (char *)(uintptr_t)word(m);
        (void)H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts);
        *at = kept;
        (void)H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts);
    } else { /* records, enumerations, texts of one length: bytes */
        size_t bytes = (size_t)n * H5Tget_size(type);
        if (bytes > MOST_BYTES || H5Tdetect_class(type, H5T_VLEN) > 0 ||
            H5Tdetect_class(type, H5T_REFERENCE) > 0 || H5Tget_class(type) == H5T_COMPOUND)
            goto done;
        uint8_t *raw = calloc(bytes, 1);
        if (H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) >= 0) {
            raw[below(m, bytes)] = (uint8_t)below(m, 256);
            (void)H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw);
        }
        free(raw);
    }
done:
    free(values);
    free(texts);
    shut(space);
    shut(type);
    shut(d);
}

/* ------------------------------------------------------------------ types, shapes, storage */

static hid_t some_type(mutation *m)
{
    const hid_t types[] = {H5T_STD_I8LE,  H5T_STD_U8LE,  H5T_STD_I16LE,   H5T_STD_I32LE,   H5T_STD_U32LE,
                           H5T_STD_I64LE, H5T_STD_U64LE, H5T_IEEE_F32LE,  H5T_IEEE_F64LE,  H5T_STD_I32BE,
                           H5T_IEEE_F64BE};
    return types[below(m, sizeof types / sizeof *types)];
}

/* A shape near the old one, or an absurd one. */
static int some_shape(mutation *m, hsize_t dim[4], int rank)
{
    static const hsize_t absurd[] = {0, 1, 65537, 1u << 31, (hsize_t)1 << 40, (hsize_t)1 << 62};

    if (below(m, 6) == 0) rank = (int)below(m, 4);
    for (int i = 0; i < rank; i++) {
        if (dim[i] == 0 || dim[i] > 4096) dim[i] = 1 + below(m, 5);
        switch (below(m, 6)) {
        case 0: dim[i]++; break;
        case 1: dim[i]--; break;
        case 2: dim[i] = absurd[below(m, sizeof absurd / sizeof *absurd)]; break;
        default: break;
        }
    }
    return rank;
}

/* How the new dataset lies in the file. */
static hid_t some_storage(mutation *m, int rank, const hsize_t *dim, int large)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[4];

    if (rank == 0 || (!large && below(m, 2))) return plist;
    for (int i = 0; i < rank; i++) {
        chunk[i] = 1 + below(m, 6);
        if (chunk[i] > dim[i] && dim[i]) chunk[i] = dim[i];
    }
    (void)H5Pset_chunk(plist, rank, chunk);
    if (below(m, 2)) (void)H5Pset_shuffle(plist);
    if (below(m, 2)) (void)H5Pset_deflate(plist, 1);
    if (below(m, 4) == 0) (void)H5Pset_fletcher32(plist);
    return plist;
}

static herr_t copy_attr(hid_t from, const char *name, const H5A_info_t *info, void *user)
{
    hid_t to = *(hid_t *)user, a = H5Aopen(from, name, H5P_DEFAULT), type = H5Aget_type(a);
    hid_t space = H5Aget_space(a), b = 0;
    hssize_t n = H5Sget_simple_extent_npoints(space);
    uint8_t *bytes = calloc((size_t)(n > 0 ? n : 1), H5Tget_size(type));

    (void)info;
    if (bytes && H5Aread(a, type, bytes) >= 0) {
        b = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        if (b > 0) (void)H5Awrite(b, type, bytes);
        (void)H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes);
    }
    free(bytes);
    shut(b);
    shut(space);
    shut(type);
    shut(a);
    return 0;
}

/* A dataset of numbers is made again with another type, shape and storage, and as many of its values as
 * fit. */
static void remake_dataset(mutation *m)
{
    const char *name = object(m);
    hid_t d = open_dataset(m, name), type = 0, space = 0, plist = 0, made = 0;
    hsize_t dim[4] = {0}, n = 1, at = 0;
    double *values = NULL;

    if (d < 0) return;
    type = H5Dget_type(d);
    space = H5Dget_space(d);
    int rank = H5Sget_simple_extent_ndims(space);
    hssize_t had = H5Sget_simple_extent_npoints(space);
    if (!is_number(type) || rank < 0 || rank > 4 || (size_t)had * 8 > MOST_BYTES) goto done;
    values = calloc((size_t)had + 4096, sizeof *values);
    if (had && H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) goto done;
    (void)H5Sget_simple_extent_dims(space, dim, NULL);
    if (below(m, 2)) rank = some_shape(m, dim, rank);
    for (int i = 0; i < rank; i++) n = dim[i] && n > ((hsize_t)1 << 62) / dim[i] ? (hsize_t)1 << 62 : n * dim[i];
    shut(space);
    space = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(below(m, 2) ? H5S_SCALAR : H5S_NULL);
    plist = some_storage(m, rank, dim, n > 4096);
    hid_t stored = below(m, 2) ? some_type(m) : type;
    if (H5Ldelete(m->file, name, H5P_DEFAULT) < 0) goto done;
    made = H5Dcreate2(m->file, name, stored, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    if (made < 0) goto done;
    (void)H5Aiterate2(d, H5_INDEX_NAME, H5_ITER_INC, &at, copy_attr, &made);
    if (n <= (hsize_t)had + 4096)
        (void)H5Dwrite(made, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
done:
    free(values);
    shut(made);
    shut(plist);
    shut(space);
    shut(type);
    shut(d);
}

/* ------------------------------------------------------------------ attributes */

static void put_text(hid_t o, const char *name, const char *text)
{
    hid_t type = text_type(), space = H5Screate(H5S_SCALAR);

    (void)H5Adelete(o, name);
    hid_t a = H5Acreate2(o, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (a > 0) (void)H5Awrite(a, type, &text);
    shut(a);
    shut(space);
    shut(type);
}

static void put_numbers(mutation *m, hid_t o, const char *name, uint64_t n, const double *values)
{
    const hsize_t dim = n;
    hid_t space = H5Screate_simple(1, &dim, NULL);

    (void)H5Adelete(o, name);
    hid_t a = H5Acreate2(o, name, below(m, 4) ? H5T_STD_I64LE : some_type(m), space, H5P_DEFAULT, H5P_DEFAULT);
    if (a > 0) (void)H5Awrite(a, H5T_NATIVE_DOUBLE, values);
    shut(a);
    shut(space);
}

static void put_texts(mutation *m, hid_t o, const char *name)
{
    const char *texts[4];
    const hsize_t dim = below(m, 5);
    hid_t type = text_type(), space = H5Screate_simple(1, &dim, NULL);

    for (int i = 0; i < 4; i++) texts[i] = word(m);
    (void)H5Adelete(o, name);
    hid_t a = H5Acreate2(o, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (a > 0 && dim) (void)H5Awrite(a, type, texts);
    shut(a);
    shut(space);
    shut(type);
}

static void change_attr(mutation *m)
{
    hid_t o = H5Oopen(m->file, object(m), H5P_DEFAULT), a = 0, type = 0, space = 0;
    char name[NAME_BYTES];
    double values[16] = {0};
    int n = o < 0 ? -1 : H5Aget_num_attrs(o);

    if (n < 0) goto done;
    (void)snprintf(name, sizeof name, "%s", word(m));
    if (n && below(m, 8))
        (void)H5Aget_name_by_idx(o, ".", H5_INDEX_NAME, H5_ITER_INC, below(m, (uint64_t)n), name,
                                 sizeof name, H5P_DEFAULT);
    a = H5Aopen(o, name, H5P_DEFAULT);
    if (a > 0) {
        type = H5Aget_type(a);
        space = H5Aget_space(a);
    }
    hssize_t had = a > 0 ? H5Sget_simple_extent_npoints(space) : 0;
    if (below(m, 6) == 0) {
        (void)H5Adelete(o, name);
    } else if (a > 0 && is_number(type) && had > 0 && had <= 15 && below(m, 8)) {
        (void)H5Aread(a, H5T_NATIVE_DOUBLE, values);
        change_number(m, values, (uint64_t)had);
        shut(a);
        a = 0;
        put_numbers(m, o, name, (uint64_t)had - (below(m, 8) == 0) + (below(m, 8) == 0), values);
    } else if (below(m, 4)) {
        put_text(o, name, word(m));
    } else {
        put_texts(m, o, name);
    }
done:
    shut(a);
    shut(type);
    shut(space);
    shut(o);
}

/* ------------------------------------------------------------------ links */

static void change_links(mutation *m)
{
    const char *one = object(m), *two = object(m);
    char target[2 * NAME_BYTES];

    /* Beside `two`, or within it, under a name that means something. */
    (void)snprintf(target, sizeof target, "%s/%s", strcmp(two, "/") ? two : "", word(m));
    switch (below(m, 8)) {
    case 0: (void)H5Ldelete(m->file, one, H5P_DEFAULT); break;
    case 1: (void)H5Lmove(m->file, one, m->file, target, H5P_DEFAULT, H5P_DEFAULT); break;
    case 2: (void)H5Lcreate_hard(m->file, one, m->file, target, H5P_DEFAULT, H5P_DEFAULT); break;
    case 3: (void)H5Lcreate_soft(one, m->file, target, H5P_DEFAULT, H5P_DEFAULT); break;
    case 4: (void)H5Lcreate_external("other.h5", one, m->file, target, H5P_DEFAULT, H5P_DEFAULT); break;
    case 5: (void)H5Ocopy(m->file, one, m->file, target, H5P_DEFAULT, H5P_DEFAULT); break;
    case 6: /* the two change places */
        if (H5Lmove(m->file, one, m->file, "/kept", H5P_DEFAULT, H5P_DEFAULT) < 0) break;
        (void)H5Lmove(m->file, two, m->file, one, H5P_DEFAULT, H5P_DEFAULT);
        (void)H5Lmove(m->file, "/kept", m->file, two, H5P_DEFAULT, H5P_DEFAULT);
        break;
    default: /* one stands in for two */
        if (strcmp(one, two) == 0 || H5Ldelete(m->file, two, H5P_DEFAULT) < 0) break;
        (void)H5Lcreate_hard(m->file, one, m->file, two, H5P_DEFAULT, H5P_DEFAULT);
    }
}

/* ------------------------------------------------------------------ the whole */

static herr_t note_object(hid_t root, const char *name, const H5O_info_t *info, void *user)
{
    mutation *m = user;

    (void)root;
    if (m->n == MOST_OBJECTS) return 1;
    if (strlen(name) >= NAME_BYTES - 1 || info->type == H5O_TYPE_NAMED_DATATYPE) return 0;
    (void)snprintf(m->name[m->n++], NAME_BYTES, "/%s", strcmp(name, ".") ? name : "");
    return 0;
}

static hid_t open_image(const uint8_t *data, size_t size)
{
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);

    (void)H5Pset_fapl_core(fapl, 1 << 16, 0);
    (void)H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG);
    (void)H5Pset_file_image(fapl, (void *)(uintptr_t)data, size);
    hid_t file = H5Fopen("image", H5F_ACC_RDWR, fapl);
    (void)H5Pclose(fapl);
    return file;
}

size_t fuzz_mutate_hdf5(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static mutation m;
    ssize_t made = 0;

    m.random.state = seed;
    m.n = 0;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    m.file = open_image(data, size);
    if (m.file < 0) return 0;
    if (H5Ovisit(m.file, H5_INDEX_NAME, H5_ITER_INC, note_object, &m) >= 0 && m.n) {
        uint64_t times = 1 + below(&m, 3);
        for (uint64_t k = 0; k < times; k++) {
            switch (below(&m, 5)) {
            case 0: remake_dataset(&m); break;
            case 1: change_attr(&m); break;
            case 2: change_links(&m); break;
            default: change_dataset(&m);
            }
        }
        (void)H5Fflush(m.file, H5F_SCOPE_GLOBAL);
        made = H5Fget_file_image(m.file, NULL, 0);
        if (made > 0 && (size_t)made <= max_size) made = H5Fget_file_image(m.file, data, max_size);
        else made = 0;
    }
    (void)H5Fclose(m.file);
    return made > 0 ? (size_t)made : 0;
}
