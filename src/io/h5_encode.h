/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters of a chunk, without HDF5, by any thread: what h5_decode.h undoes. */
#ifndef IO_H5_ENCODE_H
#define IO_H5_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of elements of `size`, byte place by byte place. */
void shuffle(uint8_t *out, const uint8_t *in, size_t n_bytes, size_t size);

/* Room that a zlib stream of n bytes may take. */
size_t deflate_room(size_t n);
/* The stream; its length, 0 when memory ran out. The same bytes for the same input. */
size_t deflate_bytes(uint8_t *out, size_t room, const uint8_t *in, size_t n, int level);

#endif
