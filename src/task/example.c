/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_example_write: make the simulated set and write it. */
#include "base/log.h"
#include "data/example.h"
#include "io/write_h5mu.h"
#include "scweave/dataset.h"

scw_status scw_example_write(const char *path, int64_t n_obs, bool narrow, uint64_t seed,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;

    if (!path) FAIL(SCW_EINVAL, "the example needs a file name to write to");
    TRY(example_make(&d, n_obs, narrow ? EXAMPLE_NARROW : EXAMPLE_WHOLE, seed));
    TRY(log_check_cancel(hooks));
    TRY(dataset_write_h5mu(d, NULL, path));
    log_info(hooks, "%s: %lld simulated cells with RNA, ADT and ATAC", path, (long long)n_obs);
done:
    scw_dataset_free(d);
    return st;
}
