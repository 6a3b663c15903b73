/* SPDX-License-Identifier: BSD-3-Clause */
/* Arenas: memory that is given back all at once.
 *
 *   block 0            block 1 (when 0 is full)
 *   +----+--+-----+    +-----------+
 *   |used|gap|free|    |used ..free|        64-byte aligned pieces; under ASan the gaps and
 *   +----+--+-----+    +-----------+        everything free are poisoned.
 *
 * After arena_reset the blocks are kept (merged into one large enough for all), so a loop that does
 * the same work each turn allocates nothing after its first. Not thread-safe: one arena a thread. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct arena_block arena_block;

typedef struct arena {
    arena_block *head; /* the block in use; older ones behind it */
    size_t total;      /* bytes handed out since the last reset, over all blocks */
    size_t peak;       /* largest `total` ever */
} arena;

typedef struct arena_mark {
    arena_block *block;
    size_t used;
    size_t total;
} arena_mark;

void arena_init(arena *a);
void arena_clear(arena *a); /* give all memory back to the heap */
void arena_reset(arena *a); /* forget all pieces, keep the memory */

/* Piece of count * size bytes, 64-byte aligned, contents undefined. NULL when memory runs out (the
 * message is recorded). */
void *arena_alloc(arena *a, int64_t count, size_t size);

arena_mark arena_get_mark(const arena *a);
void arena_release(arena *a, arena_mark mark); /* forget the pieces handed out since the mark */

#endif
