/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/h5_decode.h"

#include <string.h>

#ifdef SCW_HAVE_LIBDEFLATE
#include <libdeflate.h>

inflater *inflater_new(void)
{
    return (inflater *)libdeflate_alloc_decompressor();
}

void inflater_free(inflater *f)
{
    libdeflate_free_decompressor((struct libdeflate_decompressor *)f);
}

bool inflate_exactly(inflater *f, uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in)
{
    return libdeflate_zlib_decompress((struct libdeflate_decompressor *)f, in, n_in, out, n_out,
                                      NULL) == LIBDEFLATE_SUCCESS;
}
#else
#include <zlib.h>

/* zlib keeps nothing between streams: any address that is not NULL will do. */
static char none;

inflater *inflater_new(void)
{
    return (inflater *)(void *)&none;
}

void inflater_free(inflater *f)
{
    (void)f;
}

bool inflate_exactly(inflater *f, uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in)
{
    uLongf n = n_out;

    (void)f;
    return uncompress(out, &n, in, n_in) == Z_OK && n == n_out;
}
#endif

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static void unshuffle4(uint32_t *out, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)in[i] | (uint32_t)in[n + i] << 8 | (uint32_t)in[2 * n + i] << 16 |
                 (uint32_t)in[3 * n + i] << 24;
}
#endif

void unshuffle(uint8_t *out, const uint8_t *in, size_t n_bytes, size_t size)
{
    const size_t n = n_bytes / size, rest = n * size;

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size == 4) {
        unshuffle4((uint32_t *)(void *)out, in, n); /* buffers of the allocator are aligned */
    } else
#endif
    {
        for (size_t j = 0; j < size; j++)
            for (size_t i = 0; i < n; i++) out[i * size + j] = in[j * n + i];
    }
    memcpy(out + rest, in + rest, n_bytes - rest);
}
