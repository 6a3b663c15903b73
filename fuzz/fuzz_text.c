/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as MatrixMarket, table, archive of a 10x folder, or one of them compressed: told by their
 * content, as everywhere. */
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "io/formats.h"
#include "io/inspect.h"
#include "io/tar.h"
#include "io/write_h5mu.h"

#define BLOCK 512 /* of an archive */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const read_depth depths[] = {READ_VALUES, READ_WHOLE, READ_VALUES};
    const scw_source source = {.path = "image"};
    h5_session session;
    input in = {0};
    json_t *report = NULL;

    if (!size) return 0;
    mem_cap(FUZZ_MOST_BYTES);
    h5_session_begin(&session);
    if (input_open_bytes(&in, "image", data, (int64_t)size) == SCW_OK && in.kind != INPUT_HDF5) {
        for (int k = 0; k < 3; k++) {
            const scw_read_options options = {.rows = (scw_rows)k};
            scw_dataset *d = NULL;
            any(dataset_read_as(&d, &in, &source, 1, &options, depths[k], NULL));
            scw_dataset_free(d);
        }
        any(inspect_file(&report, &in, NULL));
        json_decref(report);
    }
    input_close(&in);
    h5_session_end(&session);
    mem_cap(0);
    return 0;
}

/* The sums in the headers of an archive hold again after a change, or nothing behind them is reached. */
static void mend_archive(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
        uint8_t *h = data + at;
        unsigned sum = 0;
        if (memcmp(h + 257, "ustar", 5) != 0) continue;
        for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : h[i];
        for (int i = 0; i < 6; i++) h[148 + i] = (uint8_t)('0' + (sum >> (3 * (5 - i)) & 7));
        h[154] = 0;
        h[155] = ' ';
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    const bool archive = tar_recognise(data, (int64_t)size);
    size_t n = LLVMFuzzerMutate(data, size, max_size);

    if (archive && seed % 8) mend_archive(data, n);
    return n;
}
