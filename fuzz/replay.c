/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target once for each file named, without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f || fseek(f, 0, SEEK_END) != 0) {
            (void)fprintf(stderr, "%s: cannot read\n", argv[i]);
            return 1;
        }
        long size = ftell(f);
        rewind(f);
        uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
        if (!data || size < 0 || fread(data, 1, (size_t)size, f) != (size_t)size) return 1;
        (void)fclose(f);
        (void)LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
    }
    (void)printf("%d files replayed\n", argc - 1);
    return 0;
}
