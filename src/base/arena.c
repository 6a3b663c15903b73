/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checked.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p_, n_) __asan_poison_memory_region((p_), (n_))
#define UNPOISON(p_, n_) __asan_unpoison_memory_region((p_), (n_))
#define GAP 64 /* a poisoned line between pieces, so that an overrun is seen */
#else
#define POISON(p_, n_) ((void)(p_), (void)(n_))
#define UNPOISON(p_, n_) ((void)(p_), (void)(n_))
#define GAP 0
#endif

#define ALIGNMENT 64
#define SMALLEST_BLOCK ((size_t)1 << 20)

struct arena_block {
    arena_block *older;
    char *memory; /* aligned start */
    void *heap;   /* what to free */
    size_t size, used;
};

void arena_init(arena *a)
{
    *a = (arena){0};
}

static void block_free(arena_block *b)
{
    if (!b) return;
    UNPOISON(b->memory, b->size);
    mem_free(b->heap);
    mem_free(b);
}

static scw_status block_new(arena_block **out, size_t size)
{
    scw_status st = SCW_OK;
    arena_block *b = NULL;
    char *heap = NULL;

    *out = NULL;
    TRY(mem_new(&b, 1));
    TRY(mem_new(&heap, (int64_t)(size + ALIGNMENT)));
    b->heap = heap;
    b->memory = heap + (ALIGNMENT - (uintptr_t)heap % ALIGNMENT) % ALIGNMENT;
    b->size = size;
    POISON(b->memory, b->size);
    *out = b;
    b = NULL;
done:
    mem_free(b);
    return st;
}

void arena_clear(arena *a)
{
    while (a->head) {
        arena_block *older = a->head->older;
        block_free(a->head);
        a->head = older;
    }
    *a = (arena){0};
}

void arena_reset(arena *a)
{
    a->total = 0;
    if (!a->head) return;
    if (a->head->older) {
        /* Several blocks were needed: next time one large block serves all. */
        size_t size = a->peak + a->peak / 8;
        arena_block *merged = NULL;
        if (block_new(&merged, size) == SCW_OK) {
            size_t peak = a->peak;
            arena_clear(a);
            a->head = merged;
            a->peak = peak;
            return;
        }
        status_clear(); /* no room for a merged block: go on with the newest of the old ones */
        while (a->head->older) {
            arena_block *older = a->head->older;
            a->head->older = older->older;
            block_free(older);
        }
    }
    a->head->used = 0;
    POISON(a->head->memory, a->head->size);
}

void *arena_alloc(arena *a, int64_t count, size_t size)
{
    size_t bytes;

    if (!checked_bytes(&bytes, count, size) || bytes > SIZE_MAX / 4) {
        (void)status_fail(SCW_ENOMEM, "out of memory: %lld elements of %zu bytes",
                          (long long)count, size);
        return NULL;
    }
    size_t step = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + GAP;
    if (!a->head || a->head->size - a->head->used < step) {
        arena_block *b = NULL;
        size_t want = a->head ? a->head->size * 2 : SMALLEST_BLOCK;
        if (want < step) want = step;
        if (block_new(&b, want) != SCW_OK) return NULL;
        b->older = a->head;
        a->head = b;
    }
    char *piece = a->head->memory + a->head->used;
    a->head->used += step;
    a->total += step;
    if (a->total > a->peak) a->peak = a->total;
    UNPOISON(piece, bytes);
    return piece;
}

arena_mark arena_get_mark(const arena *a)
{
    return (arena_mark){a->head, a->head ? a->head->used : 0, a->total};
}

void arena_release(arena *a, arena_mark mark)
{
    while (a->head != mark.block) {
        arena_block *older = a->head->older;
        if (!older && !mark.block) {
            /* The mark was taken on an empty arena: keep the oldest block for reuse. */
            a->head->used = 0;
            POISON(a->head->memory, a->head->size);
            a->total = 0;
            return;
        }
        block_free(a->head);
        a->head = older;
    }
    if (a->head) {
        a->head->used = mark.used;
        POISON(a->head->memory + mark.used, a->head->size - mark.used);
    }
    a->total = mark.total;
}
