/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

bool fuzz_all_doors = false;

bool fuzz_file_open(fuzz_file *out, const uint8_t *data, size_t size)
{
    out->fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (out->fd < 0 || write(out->fd, data, size) != (ssize_t)size) return false;
    (void)snprintf(out->path, sizeof out->path, "/proc/self/fd/%d", out->fd);
    return true;
}

void fuzz_file_close(fuzz_file *f)
{
    (void)close(f->fd);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t fuzz_below(fuzz_random *r, uint64_t n)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}
