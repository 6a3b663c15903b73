/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool fuzz_all_doors = false;

void fuzz_file_open(fuzz_file *out, const uint8_t *data, size_t size)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    (void)snprintf(out->path, sizeof out->path, "%s/scweave-fuzz-%ld", folder, (long)getpid());
    (void)snprintf(out->output, sizeof out->output, "%s.out", out->path);
    FILE *f = fopen(out->path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
}

void fuzz_file_close(const fuzz_file *f)
{
    (void)unlink(f->path);
    (void)unlink(f->output);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t fuzz_below(fuzz_random *r, uint64_t n)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}
