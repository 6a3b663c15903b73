/* SPDX-License-Identifier: BSD-3-Clause */
/* Undoing the filters of a chunk, without HDF5. */
#ifndef IO_H5_DECODE_H
#define IO_H5_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct inflater inflater;

/* For one thread; NULL when memory ran out. */
inflater *inflater_new(void);
void inflater_free(inflater *f); /* NULL-safe */
/* A zlib stream that holds exactly n_out bytes? */
bool inflate_exactly(inflater *f, uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in);

/* An LZF stream that holds exactly n_out bytes? (h5_lzf.c) */
bool lzf_exactly(uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in);

/* Bytes of n_bytes / size elements, stored byte place by byte place, put together again. */
void unshuffle(uint8_t *out, const uint8_t *in, size_t n_bytes, size_t size);

#endif
