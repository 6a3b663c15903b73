/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges of a dataset of numbers: fetched by the thread that owns HDF5, decoded by any.
 *
 *     dataset  [....|....|....|....]   chunks
 *     range         [-------]
 *     h5_fetch      the compressed bytes of its chunks, as they lie in the file   (HDF5, one thread)
 *     h5_decode     gzip, LZF, shuffle undone, types converted                    (no HDF5, all cores)
 *
 * HDF5 itself decompresses on one thread inside H5Dread. What our own decoders do not know (other
 * filters, foreign byte orders) is fetched by H5Dread, and only converted here. */
#ifndef IO_H5_ARRAY_H
#define IO_H5_ARRAY_H

#include "data/matrix.h"
#include "io/h5.h"

/* The type that holds the values of a dataset of numbers; wider floats than double are rounded to it. */
number_type h5_number_type(const h5_info *info, bool is_signed);
size_t number_size(number_type type);
/* out[0..n) = in[0..n) as F32, F64, or, from integers only, I32 or I64. Integers out of range become
 * the nearest that there is. */
void number_convert(void *out, number_type to, const void *in, number_type from, int64_t n);

#define H5_MAX_FILTERS 4

/* An open dataset of one or two dimensions. Only h5_array_* and h5_fetch call HDF5. */
typedef struct h5_array {
    hid_t id; /* held */
    h5_info info;
    char *where; /* "path: /element" */
    int64_t n, width; /* rows, and values of a row (1: one dimension) */
    number_type type; /* of the values that decoding starts from */
    bool chunked; /* the chunks are decoded here */
    int64_t chunk_rows, chunk_cols;
    int n_filters;
    H5Z_filter_t filters[H5_MAX_FILTERS]; /* as applied when writing */
    uint8_t fill[8]; /* value of chunks that were never written */
    int64_t last_chunk; /* row of the chunk whose bytes are in `last`, -1: none */
    uint8_t *last;
} h5_array;

typedef struct h5_piece {
    int64_t row, col; /* of its first value, in the dataset */
    size_t at, n;     /* its bytes; n 0: never written */
    uint32_t skipped; /* bit k: filter k was not applied */
} h5_piece;

/* What was fetched; its buffers are used again. */
typedef struct h5_raw {
    int64_t from, n;
    bool plain; /* the bytes are the values */
    uint8_t *bytes;
    int64_t room;
    h5_piece *pieces;
    int64_t n_pieces, room_pieces;
} h5_raw;

/* `rank` 1 or 2. SCW_EFORMAT: not numbers, or another rank. The dataset may be closed by the caller. */
SCW_CHECKED scw_status h5_array_open(h5_array *a, hid_t dataset, int rank);
void h5_array_close(h5_array *a); /* safe on a zeroed struct */

/* Rows [from, from + n), which must be in range. */
SCW_CHECKED scw_status h5_fetch(h5_raw *out, h5_array *a, int64_t from, int64_t n);
/* What was fetched as out [n, width] of F32, F64, I32 or I64. */
SCW_CHECKED scw_status h5_decode(void *out, number_type to, h5_array *a, const h5_raw *raw);
void h5_raw_clear(h5_raw *raw);

/* Both in one, by this thread's HDF5. */
SCW_CHECKED scw_status h5_array_read(void *out, number_type to, h5_array *a, int64_t from,
                                     int64_t n);

#endif
