/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and inspecting any bytes as an h5ad or h5mu. The bytes are opened as an image in memory.
 *
 * With -Dfuzz=true (clang) this is a libFuzzer target; the tests link it with replay.c. A crash whose
 * innermost frame lies in libhdf5 is a defect of that library: note it, and refuse such files before
 * the call where that can be done. */
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"
#include "io/formats.h"
#include "io/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    h5_session session;
    input in = {0};
    scw_dataset *d = NULL;
    json_t *report = NULL;
    const scw_source source = {.path = "image"};

    h5_session_begin(&session);
    if (size && input_open_bytes(&in, "image", data, (int64_t)size) == SCW_OK) {
        scw_status st = dataset_read(&d, &in, &source, 1, NULL, NULL);
        (void)st;
        st = inspect_file(&report, &in, NULL);
        (void)st;
    }
    scw_dataset_free(d);
    json_decref(report);
    input_close(&in);
    h5_session_end(&session);
    return 0;
}
