/* SPDX-License-Identifier: BSD-3-Clause */
/* One array of obsm, read as dense rows. */
#ifndef IO_READ_OBSM_H
#define IO_READ_OBSM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* values: new [n, d] row-major, from obsm[key] of the file or, with `modality` not NULL, of that
 * modality of an h5mu file. Arrays, sparse matrices and data frames of numbers are read.
 * SCW_ENOTFOUND lists the arrays there are. */
SCW_CHECKED scw_status io_read_obsm(float **values, int64_t *n, int64_t *d, const char *path,
                                    const char *modality, const char *key);

/* Is there a layer of that name, in the file or (modality not NULL) in that modality of an h5mu? */
SCW_CHECKED scw_status io_has_layer(bool *out, const char *path, const char *modality,
                                    const char *layer);

#endif
