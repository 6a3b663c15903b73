/* SPDX-License-Identifier: BSD-3-Clause */
/* Files put together to a set.
 *
 *   files of different modalities   the same cells, joined by name: the union of their cells
 *   files of one modality           different cells, below each other: batches
 */
#ifndef IO_ASSEMBLE_H
#define IO_ASSEMBLE_H

#include "io/formats.h"

/* Fill d (zeroed but for its files) from what its files gave, which is emptied. `names[k]`: file k, for
 * batches without a name of their own. */
SCW_CHECKED scw_status assemble(scw_dataset *d, file_parts *files, int n,
                                const scw_read_options *options, const scw_hooks *hooks);

#endif
