/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic on sizes that come from files: true on success, false on overflow or a negative size. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool checked_mul(int64_t *out, int64_t a, int64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool checked_add(int64_t *out, int64_t a, int64_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Bytes of `count` elements of `size` bytes; PTRDIFF_MAX is the largest object. */
static inline bool checked_bytes(size_t *out, int64_t count, size_t size)
{
    return count >= 0 && !__builtin_mul_overflow((uint64_t)count, (uint64_t)size, out) &&
           *out <= (size_t)PTRDIFF_MAX;
}

#endif
