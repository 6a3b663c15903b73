/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5, wrapped: the only place (with the rest of src/io) that calls it.
 *
 * Identifiers are HDF5's own; h5_close takes any of them and is safe on 0. Nothing here trusts a file:
 * sizes are checked against what the file holds before memory is asked for, links out of the file,
 * external and virtual storage are refused, names come back as UTF-8. Every message names the file and
 * the element. One thread at a time: the HDF5 library of most systems is not thread-safe. */
#ifndef IO_H5_H
#define IO_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "data/rules.h"
#include "base/text.h"

#define H5_MAX_RANK 4
#define H5_MOST_ATTRIBUTE (16 << 20) /* bytes of an attribute; a larger one is refused */
#define H5_MAX_DEPTH 64 /* deeper nesting of groups is refused */

/* HDF5 prints its errors by default and keeps the switch per process. Public functions turn it off on
 * entry and give the host's setting back on exit. Also makes the LZF filter known. */
typedef struct h5_session {
    H5E_auto2_t print;
    void *user;
} h5_session;
void h5_session_begin(h5_session *s);
void h5_session_end(h5_session *s);

/* ------------------------------------------------------------------------------- files */

/* Does an HDF5 file lie there? SCW_EIO when there is no regular file that can be read, SCW_EFORMAT when
 * it is empty. */
SCW_CHECKED scw_status h5_file_recognise(bool *out, const char *path);
SCW_CHECKED scw_status h5_file_open(hid_t *out, const char *path); /* read only */
/* A file that lies in memory; the bytes are copied. */
SCW_CHECKED scw_status h5_file_open_image(hid_t *out, const void *bytes, size_t n);
SCW_CHECKED scw_status h5_file_edit(hid_t *out, const char *path); /* read and write */
SCW_CHECKED scw_status h5_file_create(hid_t *out, const char *path, int64_t userblock_bytes);
/* Flush and close a file that was written; *file becomes 0 in any case. */
SCW_CHECKED scw_status h5_file_finish(hid_t *file);

void h5_close(hid_t *id); /* any identifier; *id becomes 0 */

/* "path: /element" of an open object, for messages; valid until the next call on this thread. */
const char *h5_where(hid_t id);
/* The innermost reason HDF5 gives for its last failure, e.g. "No space left on device". */
const char *h5_reason(void);

/* ------------------------------------------------------------------------------- objects */

typedef enum h5_kind {
    H5_ABSENT = 0,
    H5_GROUP,
    H5_DATASET,
    H5_OTHER /* a link out of the file, a named type, a dangling link */
} h5_kind;

/* What is at `name` ("a/b" descends)? */
h5_kind h5_find(hid_t parent, const char *name);
/* Open a group or dataset. SCW_ENOTFOUND, SCW_EFORMAT (links out of the file). */
SCW_CHECKED scw_status h5_open(hid_t *out, hid_t parent, const char *name);
SCW_CHECKED scw_status h5_open_group(hid_t *out, hid_t parent, const char *name);
h5_kind h5_kind_of(hid_t id);
/* Bytes of the file that holds an object; 0 when HDF5 does not say. */
int64_t h5_file_size(hid_t id);
/* Names in a group, in byte order. */
SCW_CHECKED scw_status h5_list(strings *out, hid_t group);

typedef enum h5_class {
    H5_CLASS_INTEGER,
    H5_CLASS_FLOAT,
    H5_CLASS_BOOL,   /* the two-valued enumeration FALSE, TRUE */
    H5_CLASS_STRING,
    H5_CLASS_COMPOUND,
    H5_CLASS_OTHER
} h5_class;

typedef struct h5_info {
    h5_class class;
    size_t size; /* bytes of an element in the file */
    bool is_signed;
    int rank;
    int64_t dim[H5_MAX_RANK];
    int64_t n; /* number of elements */
} h5_info;

/* Type and shape of a dataset. Refuses what cannot be read safely: see the head of this file. */
SCW_CHECKED scw_status h5_describe(h5_info *out, hid_t dataset);
/* "int32", "float64", "string", "bool", ...; a constant. */
const char *h5_type_name(const h5_info *info);

/* ------------------------------------------------------------------------------- reading */

/* Whole datasets of numbers or booleans, converted; n as h5_describe says. SCW_EFORMAT for strings
 * and other things that are not numbers. */
SCW_CHECKED scw_status h5_read_f32(float *out, hid_t dataset, int64_t n);
SCW_CHECKED scw_status h5_read_f64(double *out, hid_t dataset, int64_t n);
SCW_CHECKED scw_status h5_read_i64(int64_t *out, hid_t dataset, int64_t n);
SCW_CHECKED scw_status h5_read_i32(int32_t *out, hid_t dataset, int64_t n);
/* All strings of a dataset, fixed or variable length, scalar or array. Text that is not UTF-8 is
 * taken as Latin-1. */
SCW_CHECKED scw_status h5_read_strings(strings *out, hid_t dataset);
/* What had to be done to the strings that this thread has read. */
typedef struct h5_text_notes {
    int64_t n_latin1; /* were not UTF-8 */
    int64_t n_nul;    /* went on behind a NUL */
} h5_text_notes;
h5_text_notes *h5_text_notes_here(void);

/* Members of a dataset of records. */
SCW_CHECKED scw_status h5_members(strings *out, hid_t dataset);
/* Class of a member; *width: values a record holds of it (1, or the size of an array member). */
SCW_CHECKED scw_status h5_member_describe(h5_info *out, int64_t *width, hid_t dataset,
                                          const char *member);
SCW_CHECKED scw_status h5_member_f64(double *out, hid_t dataset, const char *member, int64_t n);
SCW_CHECKED scw_status h5_member_i64(int64_t *out, hid_t dataset, const char *member, int64_t n);
SCW_CHECKED scw_status h5_member_strings(strings *out, hid_t dataset, const char *member);

/* ------------------------------------------------------------------------------- attributes */

bool h5_has_attr(hid_t object, const char *name);
/* SCW_ENOTFOUND when absent, SCW_EFORMAT when of another type. */
SCW_CHECKED scw_status h5_attr_string(char **out, hid_t object, const char *name);
SCW_CHECKED scw_status h5_attr_strings(strings *out, hid_t object, const char *name);
/* Exactly n integers. */
SCW_CHECKED scw_status h5_attr_ints(int64_t *out, hid_t object, const char *name, int64_t n);
/* Open the object that a reference attribute points to. */
SCW_CHECKED scw_status h5_attr_dereference(hid_t *out, hid_t object, const char *name);

/* ------------------------------------------------------------------------------- writing */

/* How larger arrays are compressed: gzip unless said, and whoever says so puts it back. */
typedef enum h5_compression { H5_GZIP = 0, H5_LZF, H5_PLAIN } h5_compression;
void h5_compress_with(h5_compression how);
h5_compression h5_compressed_with(void);
herr_t h5_set_filters(hid_t dcpl, h5_compression how, size_t chunk_bytes);

/* Everything written leaves out time stamps, so equal contents give equal bytes. */
SCW_CHECKED scw_status h5_make_group(hid_t *out, hid_t parent, const char *name);
SCW_CHECKED scw_status h5_remove(hid_t parent, const char *name); /* nothing there: fine */
/* New dataset of numbers; larger ones are compressed with gzip. `type` is the type in the file and in
 * memory. *out may be NULL when the identifier is not wanted. */
SCW_CHECKED scw_status h5_write_array(hid_t *out, hid_t parent, const char *name, hid_t type,
                                      int rank, const int64_t *dim, const void *values);
/* The same, stored as another type of number. */
SCW_CHECKED scw_status h5_write_as(hid_t *out, hid_t parent, const char *name, hid_t stored,
                                   hid_t type, int rank, const int64_t *dim, const void *values);
SCW_CHECKED scw_status h5_write_bools(hid_t *out, hid_t parent, const char *name, int64_t n,
                                      const uint8_t *values);
SCW_CHECKED scw_status h5_write_strings(hid_t *out, hid_t parent, const char *name,
                                        const strings *values);
SCW_CHECKED scw_status h5_write_string(hid_t *out, hid_t parent, const char *name,
                                       const char *value);

/* A dataset of rows whose number is not known before: rows are added until it is closed (h5_grow.c).
 * Compressed as h5_compress_with says, in chunks of about 256 KiB. Numbers are compressed here, on all
 * cores, and HDF5 gets the finished chunks: the same bytes for any number of threads. */
typedef struct h5_growing {
    hid_t dataset, type;
    int rank;
    int64_t dim[H5_MAX_RANK]; /* dim[0]: rows so far */
    /* Only where chunks are made here: */
    hid_t stored;         /* their type; 0: HDF5 makes the chunks */
    bool gzip;            /* else they are left as they are */
    size_t size, row;     /* bytes of a stored value and of a row of them */
    int64_t chunk_rows;
    uint8_t *pending;     /* rows that are not written yet */
    int64_t n_pending, room;
} h5_growing;
/* `type`: in the file and in memory, copied; dim[0]: how many rows are expected, 0: unknown. Who gives
 * other values in memory replaces g->type, which h5_growing_clear closes. */
SCW_CHECKED scw_status h5_growing_open(h5_growing *g, hid_t parent, const char *name, hid_t type,
                                       int rank, const int64_t *dim);
SCW_CHECKED scw_status h5_growing_add(h5_growing *g, const void *rows, int64_t n);
/* SCW_EIO when the last bytes cannot be written. Safe on a zeroed one. */
SCW_CHECKED scw_status h5_growing_finish(h5_growing *g);
void h5_growing_clear(h5_growing *g); /* after a failure, or after finish */
/* New dataset of n records with a field for each name; values [fields.n * n], a field after the
 * other. */
SCW_CHECKED scw_status h5_write_number_records(hid_t *out, hid_t parent, const char *name,
                                               const strings *fields, int64_t n,
                                               const double *values);
SCW_CHECKED scw_status h5_write_text_records(hid_t *out, hid_t parent, const char *name,
                                             const strings *fields, int64_t n,
                                             const strings *values);
/* Attributes are replaced when there. */
SCW_CHECKED scw_status h5_put_attr_string(hid_t object, const char *name, const char *value);
SCW_CHECKED scw_status h5_put_attr_strings(hid_t object, const char *name, const strings *values);
SCW_CHECKED scw_status h5_put_attr_ints(hid_t object, const char *name, const int64_t *values,
                                        int64_t n, bool scalar);
SCW_CHECKED scw_status h5_put_attr_bool(hid_t object, const char *name, bool value);
SCW_CHECKED scw_status h5_put_attr_reference(hid_t object, const char *name, hid_t target,
                                             const char *target_name);
SCW_CHECKED scw_status h5_rename(hid_t parent, const char *name, const char *new_name);
SCW_CHECKED scw_status h5_copy(hid_t from, const char *name, hid_t to, const char *new_name);

/* The filter h5py calls LZF. */
#define H5_LZF_FILTER 32000
void h5_lzf_register(void);

#endif
