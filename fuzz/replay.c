/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target without libFuzzer: once for each file of the folders named, then for N changes of
 * each, which are the same in every run.
 *
 *     replay N FOLDER...     the line printed last says where a crash happened */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MOST_BYTES ((size_t)1 << 20)

static fuzz_random change;

/* Some bytes become others, go, or come. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    for (uint64_t k = 1 + fuzz_below(&change, 4); k; k--) {
        size_t at = size ? (size_t)fuzz_below(&change, size) : 0;
        switch (size ? fuzz_below(&change, 4) : 1) {
        case 0: /* go */
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        case 1: /* come */
            if (size == max_size) break;
            memmove(data + at + 1, data + at, size - at);
            data[at] = (uint8_t)fuzz_below(&change, 256);
            size++;
            break;
        default: data[at] = (uint8_t)fuzz_below(&change, 256);
        }
    }
    return size;
}

static int replay(const char *path, unsigned times)
{
    static uint8_t original[MOST_BYTES];
    uint8_t *copy;
    FILE *f = fopen(path, "rb");

    if (!f) return 1;
    size_t size = fread(original, 1, MOST_BYTES, f);
    (void)fclose(f);
    for (unsigned k = 0; k <= times; k++) {
        (void)printf("%s %u\n", path, k);
        (void)fflush(stdout);
        copy = malloc(2 * size + 65536); /* each of its own, so that reading beyond the end is seen */
        if (!copy) return 1;
        memcpy(copy, original, size);
        change.state = k;
        size_t n = k ? LLVMFuzzerCustomMutator(copy, size, 2 * size + 65536, k) : size;
        uint8_t *exact = realloc(copy, n ? n : 1);
        (void)LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}

int main(int argc, char **argv)
{
    char path[4096];
    int done = 0;

    fuzz_all_doors = true;
    for (int i = 2; i < argc; i++) {
        struct dirent **entries;
        int n = scandir(argv[i], &entries, NULL, NULL);
        if (n < 0) return 1;
        qsort(entries, (size_t)n, sizeof(*entries), by_name);
        for (int k = 0; k < n; k++) {
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
            if (entries[k]->d_name[0] != '.' && replay(path, (unsigned)atoi(argv[1])) != 0) return 1;
            done += entries[k]->d_name[0] != '.';
            free(entries[k]);
        }
        free(entries);
    }
    (void)printf("%d files replayed\n", done);
    return done == 0;
}
