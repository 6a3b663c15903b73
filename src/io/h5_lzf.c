/* SPDX-License-Identifier: BSD-3-Clause */
/* LZF, the compression h5py offers beside gzip and anndata files often use; HDF5 itself lacks it.
 *
 * A stream is a row of instructions:
 *   000LLLLL                    copy the next L + 1 bytes
 *   LLLooooo [llllllll] oooooooo  repeat L + 2 bytes (L = 7: add the next byte) from offset o + 1 back
 * The third client value of the filter is the number of bytes of an uncompressed chunk; some writers
 * leave it out, and the size must be found by trying. */
#include <string.h>

#include "base/alloc.h"
#include "io/h5.h"
#include "io/h5_decode.h"

#define TOO_SMALL SIZE_MAX

/* Bytes written, 0: the stream is damaged, or TOO_SMALL: it is longer than out_size. */
static size_t expand(uint8_t *out, size_t out_size, const uint8_t *in, size_t in_size)
{
    size_t o = 0, i = 0;

    while (i < in_size) {
        size_t control = in[i++];
        if (control < 32) {
            size_t n = control + 1;
            if (n > in_size - i) return 0;
            if (n > out_size - o) return TOO_SMALL;
            memcpy(out + o, in + i, n);
            o += n;
            i += n;
            continue;
        }
        size_t n = control >> 5;
        if (n == 7) {
            if (i >= in_size) return 0;
            n += in[i++];
        }
        n += 2;
        if (i >= in_size) return 0;
        size_t back = ((control & 31) << 8 | in[i++]) + 1;
        if (back > o) return 0;
        if (n > out_size - o) return TOO_SMALL;
        for (size_t end = o + n; o < end; o++) out[o] = out[o - back]; /* may overlap itself */
    }
    return o;
}

bool lzf_exactly(uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in)
{
    return expand(out, n_out, in, n_in) == n_out;
}

/* ------------------------------------------------------------------ compressing */

#define HASH_BITS 14
#define MOST_LITERALS 32
#define MOST_BACK 8192
#define MOST_REPEAT 264

typedef struct packer {
    uint8_t *out;
    size_t room, n;
    size_t run; /* literals since the last instruction; their count is at out[n - run - 1] */
} packer;

static size_t hash3(const uint8_t *p)
{
    uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    return (size_t)(v * 2654435761u >> (32 - HASH_BITS));
}

/* One byte as it is; false: no room. */
static bool put_literal(packer *p, uint8_t byte)
{
    if (p->run == 0 || p->run == MOST_LITERALS) {
        if (p->n == p->room) return false;
        p->n++;
        p->run = 0;
    }
    if (p->n == p->room) return false;
    p->out[p->n++] = byte;
    p->run++;
    p->out[p->n - p->run - 1] = (uint8_t)(p->run - 1);
    return true;
}

static bool put_repeat(packer *p, size_t back, size_t length)
{
    size_t l = length - 2, o = back - 1;

    if (p->room - p->n < 3) return false;
    p->out[p->n++] = (uint8_t)((l < 7 ? l : 7) << 5 | o >> 8);
    if (l >= 7) p->out[p->n++] = (uint8_t)(l - 7);
    p->out[p->n++] = (uint8_t)o;
    p->run = 0;
    return true;
}

/* Bytes written; 0: they would not be fewer than those of the input. */
static size_t compress(uint8_t *out, size_t room, const uint8_t *in, size_t n, uint32_t *last)
{
    packer p = {out, room, 0, 0};

    for (size_t i = 0; i < n;) {
        size_t length = 0, from = 0;
        if (i + 2 < n) {
            size_t h = hash3(in + i);
            from = last[h]; /* position + 1 */
            last[h] = (uint32_t)(i + 1);
        }
        if (from && i - (from - 1) <= MOST_BACK) {
            const uint8_t *seen = in + from - 1;
            while (length < MOST_REPEAT && i + length < n && seen[length] == in[i + length]) length++;
        }
        if (length >= 3) {
            if (!put_repeat(&p, i - (from - 1), length)) return 0;
            i += length;
        } else {
            if (!put_literal(&p, in[i])) return 0;
            i++;
        }
    }
    return p.n;
}

static size_t shrink(size_t n_bytes, size_t *buffer_size, void **buffer)
{
    uint32_t *last = NULL;
    uint8_t *out = n_bytes > 4 && n_bytes < UINT32_MAX ? H5allocate_memory(n_bytes, 0) : NULL;
    size_t n = 0;

    if (out && mem_new(&last, 1 << HASH_BITS) == SCW_OK)
        n = compress(out, n_bytes - 1, *buffer, n_bytes, last);
    mem_free(last);
    if (n == 0) {
        (void)H5free_memory(out);
        return 0; /* declining is allowed: the chunk is then stored as it is */
    }
    (void)H5free_memory(*buffer);
    *buffer = out;
    *buffer_size = n_bytes;
    return n;
}

static size_t filter(unsigned flags, size_t n_values, const unsigned values[], size_t n_bytes,
                     size_t *buffer_size, void **buffer)
{
    if (!(flags & H5Z_FLAG_REVERSE)) return shrink(n_bytes, buffer_size, buffer);

    size_t size = n_values >= 3 && values[2] ? values[2] : 4 * n_bytes + 64;
    size_t most = n_bytes * 88 + 264; /* 3 bytes give at most 264 */
    uint8_t *out = NULL;
    size_t n = TOO_SMALL;
    while (n == TOO_SMALL && size <= 2 * most) {
        (void)H5free_memory(out);
        out = H5allocate_memory(size, 0);
        if (!out) return 0;
        n = expand(out, size, *buffer, n_bytes);
        if (n == TOO_SMALL) size *= 2;
    }
    if (n == 0 || n == TOO_SMALL) {
        (void)H5free_memory(out);
        return 0;
    }
    /* The size told must be that of the chunk: H5Ocopy of 1.10 clears that many bytes of a buffer
     * that has just the chunk's. */
    void *exact = H5resize_memory(out, n);
    (void)H5free_memory(*buffer);
    *buffer = exact ? exact : out;
    *buffer_size = n;
    return n;
}

void h5_lzf_register(void)
{
    static const H5Z_class2_t lzf = {
        .version = H5Z_CLASS_T_VERS,
        .id = H5_LZF_FILTER,
        .encoder_present = 1,
        .decoder_present = 1,
        .name = "lzf",
        .filter = filter,
    };
    if (H5Zfilter_avail(H5_LZF_FILTER) <= 0) (void)H5Zregister(&lzf);
}
