/* SPDX-License-Identifier: BSD-3-Clause */
/* Training batches of cells whose counts stay in a file.
 *
 *   entries   |.b0.|.b1.|.b2.|.b3.|.b4.|.b5.|   blocks of neighbours in the file
 *   an epoch  |.b4.|.b0.|.b2.|  |.b5.|.b1.|.b3.|   blocks in random order, some make a window;
 *              shuffled together   shuffled together
 *
 * Two windows are in memory. While batches come from one, the next fills block by block; the block after
 * that is decoded in a thread of its own. The order is a function of seed and epoch alone. */
#ifndef TRAIN_FILE_SOURCE_H
#define TRAIN_FILE_SOURCE_H

#include "base/rng.h"
#include "data/dataset.h"
#include "prep/transform.h"
#include "train/source.h"

/* Entries 0..n-1 so that those of `window` blocks of `block` entries each come together, in random order.
 * blocks [ceil(n / block)] receives the order of the blocks. */
void window_order(int64_t *order, int64_t *blocks, int64_t n, int64_t block, int64_t window,
                  rng_key key, uint32_t step);

typedef struct file_source_input {
    int64_t n;             /* cells to train on */
    const int64_t *obs;    /* [n] ascending positions in the data set */
    const int32_t *labels; /* [n] class of each, or NULL */
    int n_modalities;
    const modality *modality[MODEL_MAX_MODALITIES];
    const transform *prep[MODEL_MAX_MODALITIES]; /* fitted, of the modality's own features */
    int64_t block;  /* cells of a block; 0: 512 */
    int64_t window; /* blocks of a window; 0: 16 */
    uint64_t seed;
} file_source_input;

typedef struct file_source file_source;

/* What `input` points to must outlive the source. SCW_ENOMEM: two windows do not fit in the memory of a
 * modality whose matrix is in its file. */
SCW_CHECKED scw_status file_source_new(file_source **out, const file_source_input *input);
void file_source_free(file_source *s); /* NULL-safe */
/* gather wants entries in the order of the source's `order`. */
train_source file_source_as_source(file_source *s);
/* Why gather left a batch empty. */
SCW_CHECKED scw_status file_source_status(const file_source *s);

#endif
