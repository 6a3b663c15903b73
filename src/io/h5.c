/* SPDX-License-Identifier: BSD-3-Clause */
/* Files, objects and messages of the HDF5 wrapper. */
#include "io/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/threads.h"

#define CHUNK_CACHE_BYTES (8u << 20)
#define TRUSTED_BYTES (64 << 20) /* arrays up to here are not held against the size of the file */
#define MOST_EXPANSION 2000      /* gzip expands at most 1032-fold */
#define TEXT_BYTES 32            /* memory of a text beside its bytes */

void h5_session_begin(h5_session *s)
{
    /* HDF5's exit handler goes on writing to files whose writing has failed (a full disk), and
     * crashes there. What we open, we close; without effect where the host has begun HDF5 before. */
    (void)H5dont_atexit();
    (void)H5Eget_auto2(H5E_DEFAULT, &s->print, &s->user);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    h5_lzf_register();
}

void h5_session_end(h5_session *s)
{
    (void)H5Eset_auto2(H5E_DEFAULT, s->print, s->user);
}

/* ------------------------------------------------------------------ messages */

const char *h5_where(hid_t id)
{
    static _Thread_local char text[600];
    char file[400], name[180];

    if (H5Fget_name(id, file, sizeof file) < 0) file[0] = '\0';
    if (H5Iget_name(id, name, sizeof name) <= 0) (void)snprintf(name, sizeof name, "/");
    /* While a file is being written it has a temporary name that means nothing to the user. */
    char *mark = strstr(file, ".tmp-");
    if (mark && strspn(mark + 5, "0123456789-") == strlen(mark + 5)) *mark = '\0';
    if (strcmp(name, "/") == 0) (void)snprintf(text, sizeof text, "%s", file);
    else (void)snprintf(text, sizeof text, "%s: %s", file, name);
    return text;
}

static herr_t take_reason(unsigned n, const H5E_error2_t *error, void *user)
{
    (void)n;
    char *out = user;
    (void)snprintf(out, 300, "%s", error->desc ? error->desc : "");
    return 1; /* the first is the innermost */
}

const char *h5_reason(void)
{
    static _Thread_local char text[300];

    text[0] = '\0';
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_reason, text);
    /* The file driver wraps the system's message in its own bookkeeping. */
    char *system = strstr(text, "error message = '");
    if (system) {
        system += strlen("error message = '");
        char *end = strchr(system, '\'');
        if (end) *end = '\0';
        return system;
    }
    return text[0] ? text : "no reason given";
}

/* ------------------------------------------------------------------ files */

void h5_close(hid_t *id)
{
    if (*id > 0 && H5Iis_valid(*id) > 0) (void)H5Idec_ref(*id);
    *id = 0;
}

scw_status h5_file_recognise(bool *out, const char *path)
{
    scw_status st = SCW_OK;
    struct stat info;
    FILE *f = NULL;
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[8];

    *out = false;
    if (!path || !*path) FAIL(SCW_EINVAL, "no input file given");
    if (stat(path, &info) != 0) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        FAIL(SCW_EIO, "%s: is a directory, expected a file", path);
    if (!S_ISREG(info.st_mode)) FAIL(SCW_EIO, "%s: is not a regular file", path);
    if (info.st_size == 0) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the file is empty", path);
    f = fopen(path, "rb");
    if (!f) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    /* The signature stands at 0, 512, 1024, 2048, ... behind a user block. */
    for (int64_t at = 0; at < info.st_size; at = at ? 2 * at : 512) {
        if (fseeko(f, at, SEEK_SET) != 0 || fread(head, 1, 8, f) != 8) break;
        if (memcmp(head, signature, 8) == 0) {
            *out = true;
            break;
        }
    }
done:
    if (f) (void)fclose(f);
    return st;
}

static scw_status new_access(hid_t *fapl)
{
    scw_status st = SCW_OK;

    *fapl = H5Pcreate(H5P_FILE_ACCESS);
    if (*fapl < 0 || H5Pset_fclose_degree(*fapl, H5F_CLOSE_STRONG) < 0 ||
        H5Pset_cache(*fapl, 0, 521, CHUNK_CACHE_BYTES, 0.75) < 0)
        FAIL(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    /* File systems without locks are common in computing centres. */
#if H5_VERSION_GE(1, 10, 7)
    (void)H5Pset_file_locking(*fapl, 1, 1);
#endif
done:
    return st;
}

static scw_status open_with(hid_t *out, const char *path, unsigned mode)
{
    scw_status st = SCW_OK;
    hid_t fapl = 0;
    bool hdf5;

    *out = 0;
    TRY(h5_file_recognise(&hdf5, path));
    if (!hdf5) FAIL(SCW_EFORMAT, "%s: not an HDF5 file", path);
    TRY(new_access(&fapl));
    hid_t file = H5Fopen(path, mode, fapl);
    if (file < 0) {
        const char *why = h5_reason();
        if (strstr(why, "unable to lock file"))
            FAIL(SCW_EIO, "%s: another program has the file open for writing", path);
        BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the HDF5 file is truncated or damaged (%s)", path,
              why);
    }
    *out = file;
done:
    h5_close(&fapl);
    return st;
}

scw_status h5_file_open(hid_t *out, const char *path)
{
    return open_with(out, path, H5F_ACC_RDONLY);
}

scw_status h5_file_edit(hid_t *out, const char *path)
{
    return open_with(out, path, H5F_ACC_RDWR);
}

scw_status h5_file_open_image(hid_t *out, const void *bytes, size_t n)
{
    scw_status st = SCW_OK;
    hid_t fapl = 0;

    *out = 0;
    TRY(new_access(&fapl));
    if (H5Pset_fapl_core(fapl, 1 << 16, 0) < 0 ||
        H5Pset_file_image(fapl, (void *)(uintptr_t)bytes, n) < 0)
        FAIL(SCW_ENOMEM, "HDF5 image: %s", h5_reason());
    hid_t file = H5Fopen("image", H5F_ACC_RDONLY, fapl);
    if (file < 0)
        FAIL(SCW_EFORMAT, "image: the HDF5 file is truncated or damaged (%s)", h5_reason());
    *out = file;
done:
    h5_close(&fapl);
    return st;
}

scw_status h5_file_create(hid_t *out, const char *path, int64_t userblock_bytes)
{
    scw_status st = SCW_OK;
    hid_t fapl = 0, fcpl = 0;

    *out = 0;
    TRY(new_access(&fapl));
    fcpl = H5Pcreate(H5P_FILE_CREATE);
    if (fcpl < 0 || H5Pset_userblock(fcpl, (hsize_t)userblock_bytes) < 0 ||
        H5Pset_obj_track_times(fcpl, 0) < 0)
        FAIL(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, fcpl, fapl);
    if (file < 0) FAIL(SCW_EIO, "%s: cannot write: %s", path, h5_reason());
    *out = file;
done:
    h5_close(&fcpl);
    h5_close(&fapl);
    return st;
}

scw_status h5_file_finish(hid_t *file)
{
    scw_status st = SCW_OK;
    hid_t f = *file;

    *file = 0;
    if (f <= 0) return SCW_OK;
    if (H5Fflush(f, H5F_SCOPE_GLOBAL) < 0) {
        st = status_fail(SCW_EIO, "%s: cannot write: %s", h5_where(f), h5_reason());
        (void)H5Fclose(f);
    } else if (H5Fclose(f) < 0) {
        st = status_fail(SCW_EIO, "cannot finish writing: %s", h5_reason());
    }
    return st;
}

/* ------------------------------------------------------------------ objects */

static herr_t refuse_external(const char *parent_file, const char *parent_group,
                              const char *child_file, const char *child_object, unsigned *flags,
                              hid_t fapl, void *user)
{
    (void)parent_file, (void)parent_group, (void)child_file, (void)child_object, (void)flags;
    (void)fapl, (void)user;
    return -1;
}

/* Access through which links never leave the file. Made once; HDF5 frees it at its end. */
static hid_t inside(void)
{
    static hid_t lapl;

    if (lapl <= 0 || H5Iis_valid(lapl) <= 0) {
        lapl = H5Pcreate(H5P_LINK_ACCESS);
        if (lapl > 0) (void)H5Pset_elink_cb(lapl, refuse_external, NULL);
    }
    return lapl;
}

/* Is there a link at each step of the path, and none that leaves the file? */
static h5_kind check_path(hid_t parent, const char *name)
{
    char part[1024];
    size_t n = strlen(name);
    H5L_info_t info;

    if (n == 0 || n >= sizeof part) return H5_ABSENT;
    for (size_t i = name[0] == '/'; i <= n; i++) {
        if (i < n && name[i] != '/') continue;
        memcpy(part, name, i);
        part[i] = '\0';
        if (H5Lexists(parent, part, inside()) <= 0) return H5_ABSENT;
        if (H5Lget_info(parent, part, &info, inside()) < 0) return H5_OTHER;
        if (info.type != H5L_TYPE_HARD && info.type != H5L_TYPE_SOFT) return H5_OTHER;
    }
    return H5_GROUP;
}

h5_kind h5_kind_of(hid_t id)
{
    switch (H5Iget_type(id)) {
    case H5I_FILE:
    case H5I_GROUP: return H5_GROUP;
    case H5I_DATASET: return H5_DATASET;
    default: return H5_OTHER;
    }
}

h5_kind h5_find(hid_t parent, const char *name)
{
    if (strcmp(name, "/") == 0) return H5_GROUP;
    h5_kind path = check_path(parent, name);
    if (path != H5_GROUP) return path;
    hid_t id = H5Oopen(parent, name, inside());
    if (id < 0) return H5_OTHER;
    h5_kind kind = h5_kind_of(id);
    h5_close(&id);
    return kind;
}

scw_status h5_open(hid_t *out, hid_t parent, const char *name)
{
    scw_status st = SCW_OK;

    *out = 0;
    if (strcmp(name, "/") != 0) {
        h5_kind path = check_path(parent, name);
        if (path == H5_ABSENT) FAIL(SCW_ENOTFOUND, "%s: has no '%s'", h5_where(parent), name);
        if (path == H5_OTHER)
            BREAK(RULE_LINK_INSIDE, SCW_EFORMAT,
                  "%s: '%s' is a link to another file; such links are not followed",
                  h5_where(parent), name);
    }
    hid_t id = H5Oopen(parent, name, inside());
    if (id < 0)
        BREAK(RULE_LINK_TARGET, SCW_EFORMAT, "%s: cannot read '%s' (%s)", h5_where(parent), name,
              h5_reason());
    if (h5_kind_of(id) == H5_OTHER) {
        h5_close(&id);
        FAIL(SCW_EFORMAT, "%s: '%s' is neither a group nor a dataset", h5_where(parent), name);
    }
    *out = id;
done:
    return st;
}

scw_status h5_open_group(hid_t *out, hid_t parent, const char *name)
{
    scw_status st = SCW_OK;

    TRY(h5_open(out, parent, name));
    if (h5_kind_of(*out) != H5_GROUP) {
        h5_close(out);
        FAIL(SCW_EFORMAT, "%s: '%s' is a dataset, expected a group", h5_where(parent), name);
    }
done:
    return st;
}

typedef struct listing {
    strings *names;
    scw_status st;
} listing;

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    listing *l = user;
    (void)group, (void)info;
    l->st = strings_add(l->names, name);
    return l->st == SCW_OK ? 0 : -1;
}

scw_status h5_list(strings *out, hid_t group)
{
    scw_status st = SCW_OK;
    listing l = {out, SCW_OK};
    hsize_t at = 0;

    *out = (strings){0};
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, take_name, &l) < 0) {
        TRY(l.st);
        FAIL(SCW_EFORMAT, "%s: cannot list the group (%s)", h5_where(group), h5_reason());
    }
done:
    if (st != SCW_OK) strings_clear(out);
    return st;
}

/* ------------------------------------------------------------------ types and shapes */

static h5_class class_of(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER: return H5_CLASS_INTEGER;
    case H5T_FLOAT: return H5_CLASS_FLOAT;
    case H5T_STRING: return H5_CLASS_STRING;
    case H5T_COMPOUND: return H5_CLASS_COMPOUND;
    case H5T_ENUM: return H5Tget_nmembers(type) == 2 ? H5_CLASS_BOOL : H5_CLASS_INTEGER;
    default: return H5_CLASS_OTHER;
    }
}

static const char *filter_name(H5Z_filter_t id)
{
    switch (id) {
    case H5Z_FILTER_SZIP: return "szip";
    case H5Z_FILTER_NBIT: return "n-bit";
    case H5Z_FILTER_SCALEOFFSET: return "scale-offset";
    case 32001: return "blosc";
    case 32004: return "lz4";
    case 32008: return "bitshuffle";
    case 32013: return "zfp";
    case 32015: return "zstd";
    case 32026: return "blosc2";
    default: return "unknown";
    }
}

int64_t h5_file_size(hid_t id)
{
    hsize_t size = 0;
    hid_t file = H5Iget_file_id(id);

    if (file < 0 || H5Fget_filesize(file, &size) < 0) size = 0;
    h5_close(&file);
    return (int64_t)size;
}

/* Text takes more memory than its bytes in the file: a list entry and a block of the heap each. */
static scw_status check_texts(hid_t dataset, const h5_info *info, int64_t bytes, hsize_t stored)
{
    scw_status st = SCW_OK;
    int64_t memory;

    if (info->class != H5_CLASS_STRING || info->n <= TRUSTED_BYTES / TEXT_BYTES) goto done;
    if ((hsize_t)bytes / MOST_EXPANSION > stored)
        BREAK(RULE_SIZE_HONEST, SCW_EFORMAT,
              "%s: declares %lld texts, but the file holds only %llu bytes of them",
              h5_where(dataset), (long long)info->n, (unsigned long long)stored);
    if (!checked_mul(&memory, info->n, (int64_t)info->size + TEXT_BYTES) ||
        memory > memory_available_bytes())
        BREAK(RULE_SIZE_HONEST, SCW_EFORMAT, "%s: %lld texts take more memory than is free",
              h5_where(dataset), (long long)info->n);
done:
    return st;
}

static scw_status check_storage(hid_t dataset, const h5_info *info)
{
    scw_status st = SCW_OK;
    const hsize_t file_size = (hsize_t)h5_file_size(dataset);
    int64_t bytes;
    hid_t dcpl = H5Dget_create_plist(dataset);

    if (dcpl < 0) FAIL(SCW_EFORMAT, "%s: damaged (%s)", h5_where(dataset), h5_reason());
    H5D_layout_t layout = H5Pget_layout(dcpl);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(dcpl) > 0)
        BREAK(RULE_STORAGE_INSIDE, SCW_EFORMAT,
              "%s: the values lie in other files; such arrays are not read", h5_where(dataset));
    for (int i = 0; i < (layout == H5D_CHUNKED ? H5Pget_nfilters(dcpl) : 0); i++) {
        unsigned flags;
        size_t n_values = 0;
        H5Z_filter_t id = H5Pget_filter2(dcpl, (unsigned)i, &flags, &n_values, NULL, 0, NULL, NULL);
        if (id >= 0 && H5Zfilter_avail(id) <= 0)
            BREAK(RULE_FILTER_AVAILABLE, SCW_EUNSUPPORTED,
                  "%s: compressed with filter %d (%s), which this build cannot read; write the file "
                  "again with compression='gzip'",
                  h5_where(dataset), (int)id, filter_name(id));
        /* These take sizes from the file: HDF5 1.10 then reads beyond its buffers (found by fuzzing). */
        if (id == H5Z_FILTER_SCALEOFFSET || id == H5Z_FILTER_NBIT)
            BREAK(RULE_FILTER_AVAILABLE, SCW_EUNSUPPORTED,
                  "%s: compressed with filter %d (%s), which HDF5 does not read safely; write the file "
                  "again with compression='gzip'",
                  h5_where(dataset), (int)id, filter_name(id));
    }
    if (!checked_mul(&bytes, info->n, (int64_t)info->size))
        BREAK(RULE_SIZE_HONEST, SCW_EFORMAT, "%s: the declared size overflows", h5_where(dataset));
    hsize_t stored = H5Dget_storage_size(dataset);
    if (stored > file_size) stored = file_size;
    if (bytes > TRUSTED_BYTES && (hsize_t)bytes / MOST_EXPANSION > stored)
        BREAK(RULE_SIZE_HONEST, SCW_EFORMAT,
              "%s: declares %lld elements, but the file holds only %lld bytes of it",
              h5_where(dataset), (long long)info->n, (long long)stored);
    TRY(check_texts(dataset, info, bytes, stored));
    if (layout == H5D_CONTIGUOUS && stored && bytes > (int64_t)file_size)
        BREAK(RULE_SIZE_HONEST, SCW_EFORMAT, "%s: declares %lld bytes, the whole file has %lld",
              h5_where(dataset), (long long)bytes, (long long)file_size);
done:
    h5_close(&dcpl);
    return st;
}

scw_status h5_describe(h5_info *out, hid_t dataset)
{
    scw_status st = SCW_OK;
    hid_t type = 0, space = 0;
    hsize_t dims[H5S_MAX_RANK];

    *out = (h5_info){0};
    if (h5_kind_of(dataset) != H5_DATASET)
        FAIL(SCW_EFORMAT, "%s: is a group, expected a dataset", h5_where(dataset));
    type = H5Dget_type(dataset);
    space = H5Dget_space(dataset);
    if (type < 0 || space < 0)
        FAIL(SCW_EFORMAT, "%s: damaged (%s)", h5_where(dataset), h5_reason());
    out->class = class_of(type);
    out->size = H5Tget_size(type);
    out->is_signed = out->class != H5_CLASS_INTEGER || H5Tget_sign(type) != H5T_SGN_NONE;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank < 0 || rank > H5_MAX_RANK)
        FAIL(SCW_EFORMAT, "%s: has %d dimensions, at most %d are read", h5_where(dataset), rank,
             H5_MAX_RANK);
    out->rank = rank;
    out->n = H5Sget_simple_extent_type(space) == H5S_NULL ? 0 : 1;
    for (int i = 0; i < rank; i++) {
        out->dim[i] = (int64_t)dims[i];
        if (dims[i] > INT64_MAX || !checked_mul(&out->n, out->n, out->dim[i]))
            BREAK(RULE_SIZE_HONEST, SCW_EFORMAT, "%s: the declared size overflows",
                  h5_where(dataset));
    }
    TRY(check_storage(dataset, out));
done:
    h5_close(&type);
    h5_close(&space);
    return st;
}

const char *h5_type_name(const h5_info *info)
{
    static const char *const ints[2][4] = {{"uint8", "uint16", "uint32", "uint64"},
                                           {"int8", "int16", "int32", "int64"}};
    int log2 = info->size == 1 ? 0 : info->size == 2 ? 1 : info->size == 4 ? 2 : 3;

    switch (info->class) {
    case H5_CLASS_INTEGER: return ints[info->is_signed][log2];
    case H5_CLASS_FLOAT: return log2 == 1 ? "float16" : log2 == 2 ? "float32" : "float64";
    case H5_CLASS_BOOL: return "bool";
    case H5_CLASS_STRING: return "string";
    case H5_CLASS_COMPOUND: return "record";
    case H5_CLASS_OTHER: break;
    }
    return "other";
}
