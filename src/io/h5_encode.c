/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/h5_encode.h"

#include <string.h>

void shuffle(uint8_t *out, const uint8_t *in, size_t n_bytes, size_t size)
{
    const size_t n = n_bytes / size, rest = n * size;

    for (size_t j = 0; j < size; j++)
        for (size_t i = 0; i < n; i++) out[j * n + i] = in[i * size + j];
    memcpy(out + rest, in + rest, n_bytes - rest);
}

#ifdef SCW_HAVE_LIBDEFLATE
#include <libdeflate.h>

size_t deflate_room(size_t n)
{
    return libdeflate_zlib_compress_bound(NULL, n);
}

size_t deflate_bytes(uint8_t *out, size_t room, const uint8_t *in, size_t n, int level)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);

    if (!c) return 0;
    size_t used = libdeflate_zlib_compress(c, in, n, out, room);
    libdeflate_free_compressor(c);
    return used;
}
#else
#include <zlib.h>

size_t deflate_room(size_t n)
{
    return compressBound(n);
}

size_t deflate_bytes(uint8_t *out, size_t room, const uint8_t *in, size_t n, int level)
{
    uLongf used = room;

    return compress2(out, &used, in, n, level) == Z_OK ? used : 0;
}
#endif
