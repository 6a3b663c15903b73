/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of different cells put below each other: frames, and modalities of one name. */
#ifndef DATA_STACK_H
#define DATA_STACK_H

#include "data/join.h"

/* The rows of all frames. A column is there when any frame has it, missing elsewhere; integers with
 * floats become floats, categories are united in order of appearance, other mixtures become text. */
SCW_CHECKED scw_status frame_stack(frame *out, const frame *const *frames, int n);

/* Parts of one modality as one; they are emptied. Features by `join` (scweave/dataset.h), matched as
 * data/identity.h says; var holds what the first part that has the feature says of it. Layers, and arrays
 * of obsm of one width, that all parts have are kept. out->unread names what is not. SCW_EDATA: no
 * feature is common. */
SCW_CHECKED scw_status parts_stack(dataset_part *out, dataset_part *parts, int n, scw_join join,
                                   const scw_hooks *hooks);

#endif
