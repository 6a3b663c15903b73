/* SPDX-License-Identifier: BSD-3-Clause */
/* MatrixMarket: https://math.nist.gov/MatrixMarket/formats.html */
#ifndef IO_READ_MTX_H
#define IO_READ_MTX_H

#include "io/bytes.h"
#include "io/formats.h"

/* A matrix as a stream of entries: coordinate or array; real, integer or pattern; general, symmetric or
 * skew-symmetric. SCW_EFORMAT names file and line. */
typedef struct mtx_reader mtx_reader;

/* The stream is taken over, also when this fails. `exchange`: rows and columns change places. With
 * `faults`, lines that break a rule are told and passed over. */
SCW_CHECKED scw_status mtx_open(mtx_reader **out, byte_stream *from, bool exchange,
                                const scw_hooks *hooks, const rule_sink *faults);
void mtx_close(void *reader); /* NULL-safe */
/* Rows and columns of what is given, and at most how many entries, as the file says. */
void mtx_shape(int64_t shape[2], int64_t *n_entries, const mtx_reader *r);

/* As an entry_source of io/file_blocks.h; room is at least 2. */
SCW_CHECKED scw_status mtx_next(void *reader, int64_t *n, int32_t *rows, int32_t *cols,
                                double *values, int64_t room);
/* All that is left as a sparse matrix. Its `stored` is the narrowest type that holds the numbers as they
 * are written: int32, int64, float32, float64. `exact`: see matrix. */
SCW_CHECKED scw_status mtx_read(matrix *out, mtx_reader *r, bool exact);
/* The same without keeping anything. */
SCW_CHECKED scw_status mtx_look(number_type *stored, mtx_reader *r);

#endif
