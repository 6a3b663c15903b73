/* SPDX-License-Identifier: BSD-3-Clause */
/* The encoding registry: which reader serves an element of an annotated-data file.
 *
 * Since 2020 each element says what it is by two attributes, encoding-type and encoding-version; older
 * files are told by their shape. Both end in a row of the same table, so old and new files are the
 * same work. To add an encoding: write its reader in element_*.c and add a row in registry.c; an
 * element without attributes also needs a rule there. formats.c says how to add
 * a file format. */
#ifndef IO_REGISTRY_H
#define IO_REGISTRY_H

#include "data/frame.h"
#include "data/matrix.h"
#include "io/h5.h"
#include "scweave/hooks.h"

/* Readers. A row has the one that fits its element; the others are NULL. All leave *out zeroed on
 * failure. n_rows, n_cols: the expected shape, or -1: any. `parent` is the group that holds the
 * element: the frame of a column, the root of a frame. `exact`: see matrix. */
typedef scw_status (*matrix_reader)(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols,
                                    bool exact);
typedef scw_status (*column_reader)(column *out, hid_t element, const char *name, hid_t parent);
typedef scw_status (*frame_reader)(frame *out, hid_t element, hid_t parent,
                                   const scw_hooks *hooks);

typedef struct encoding {
    const char *type;
    const char *version; /* "": an element without the attributes */
    matrix_reader read_matrix;
    column_reader read_column;
    frame_reader read_frame;
} encoding;

/* The row for an open element. SCW_EUNSUPPORTED: names the encoding that was found. */
SCW_CHECKED scw_status registry_find(const encoding **out, hid_t element);

/* Find and read in one go; SCW_EUNSUPPORTED when the element is of another kind. */
SCW_CHECKED scw_status registry_read_matrix(matrix *out, hid_t element, int64_t n_rows,
                                            int64_t n_cols, bool exact);
SCW_CHECKED scw_status registry_read_column(column *out, hid_t element, const char *name,
                                            hid_t parent);
SCW_CHECKED scw_status registry_read_frame(frame *out, hid_t element, hid_t parent,
                                           const scw_hooks *hooks);

#endif
