/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays from and to the files through which a test in Python compares the library with others. */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "scweave/status.h"

static inline void must(int ok, const char *what)
{
    if (ok) return;
    (void)fprintf(stderr, "probe: %s: %s\n", what, scw_error_message());
    exit(1);
}

static inline void *read_array(FILE *in, int64_t n, size_t size)
{
    void *block = calloc(n > 0 ? (size_t)n : 1, size);
    must(block && fread(block, size, (size_t)n, in) == (size_t)n, "input is short");
    return block;
}

static inline void write_array(FILE *out, const void *block, int64_t n, size_t size)
{
    must(fwrite(block, size, (size_t)n, out) == (size_t)n, "cannot write");
}

#endif
