/* SPDX-License-Identifier: BSD-3-Clause */
/* What the targets share. A target reads any bytes; whatever they are, the answer is a status: no crash,
 * no leak, nothing read or written outside. Each is a libFuzzer target (-Dfuzz=true, clang); the tests
 * link it with replay.c instead. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A larger block is refused to the readers, so that an absurd shape is an error and not the end. */
#define FUZZ_MOST_BYTES ((int64_t)32 << 20)

/* What libFuzzer calls, and calls of it. replay.c has a LLVMFuzzerMutate of its own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* A status that is not looked at: any answer will do. */
static inline void any(scw_status st)
{
    (void)st;
}

/* A target with many doors goes through one of them, which the bytes choose; the replay through all. */
extern bool fuzz_all_doors;

/* The bytes as a file for readers that want a path, and a path for what they write: in memory where the
 * system has a place for that. Aborts when there is none at all. */
typedef struct fuzz_file {
    char path[64], output[80];
} fuzz_file;

void fuzz_file_open(fuzz_file *out, const uint8_t *data, size_t size);
void fuzz_file_close(const fuzz_file *f); /* removes both */

/* Numbers for mutators: the same seed gives the same ones. */
typedef struct fuzz_random {
    uint64_t state;
} fuzz_random;

uint64_t fuzz_below(fuzz_random *r, uint64_t n); /* 0 .. n - 1; n > 0 */

/* mutate_hdf5.c: another HDF5 image, made by changing elements, or 0 if these bytes are none. */
size_t fuzz_mutate_hdf5(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
