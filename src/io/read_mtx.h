/* SPDX-License-Identifier: BSD-3-Clause */
/* MatrixMarket: https://math.nist.gov/MatrixMarket/formats.html */
#ifndef IO_READ_MTX_H
#define IO_READ_MTX_H

#include "data/matrix.h"
#include "io/bytes.h"
#include "scweave/hooks.h"

/* The matrix as the file has it, or with rows and columns exchanged; always sparse. Coordinate or array;
 * real, integer or pattern; general, symmetric or skew-symmetric. `exact`: see matrix; its `stored` is
 * then the narrowest type that holds the numbers as they are written: int32, int64, float32, float64.
 * SCW_EFORMAT names file and line. */
SCW_CHECKED scw_status read_mtx(matrix *out, byte_stream *from, bool exchange, bool exact,
                                const scw_hooks *hooks);

#endif
