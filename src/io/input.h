/* SPDX-License-Identifier: BSD-3-Clause */
/* A file or folder that a user names, opened far enough to see what it is. */
#ifndef IO_INPUT_H
#define IO_INPUT_H

#include "io/bytes.h"
#include "io/h5.h"

typedef enum input_kind {
    INPUT_HDF5,   /* `hdf5` is open */
    INPUT_FOLDER, /* `members`: the regular files in it, and in folders one level below */
    INPUT_TAR,    /* `members`: its regular files, by their full names */
    INPUT_TEXT,   /* `head`: how it begins */
    INPUT_OTHER   /* none of these */
} input_kind;

typedef struct input {
    char *path;
    input_kind kind;
    hid_t hdf5;
    strings members;
    textbuf head; /* at most 4096 bytes, decompressed */
    const void *bytes; /* the file is these bytes in memory (borrowed); NULL: it is at `path` */
    int64_t n_bytes;
} input;

SCW_CHECKED scw_status input_open(input *out, const char *path);
/* The same for bytes in memory, which must outlive it. */
SCW_CHECKED scw_status input_open_bytes(input *out, const char *name, const void *bytes,
                                        int64_t n);
void input_close(input *in);

/* The file, or a member of it, from its beginning and decompressed. */
SCW_CHECKED scw_status input_stream(byte_stream **out, const input *in, const char *member);

#endif
