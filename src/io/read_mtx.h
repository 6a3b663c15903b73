/* SPDX-License-Identifier: BSD-3-Clause */
/* MatrixMarket: https://math.nist.gov/MatrixMarket/formats.html */
#ifndef IO_READ_MTX_H
#define IO_READ_MTX_H

#include "io/bytes.h"
#include "io/formats.h"

/* The matrix as the file has it, or with rows and columns exchanged; always sparse. Coordinate or array;
 * real, integer or pattern; general, symmetric or skew-symmetric. READ_WHOLE: with
 * `exact`, and `stored` is the narrowest type that holds the numbers as they are written: int32, int64,
 * float32, float64. READ_FRAMES: every line is read, no value kept. SCW_EFORMAT names file and line. */
SCW_CHECKED scw_status read_mtx(matrix *out, byte_stream *from, bool exchange,
                                const read_request *q);

#endif
