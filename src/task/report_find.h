/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in the folder of a run. A file is told by its content, not by its name. */
#ifndef TASK_REPORT_FIND_H
#define TASK_REPORT_FIND_H

#include <jansson.h>

#include "base/text.h"
#include "scweave/hooks.h"

typedef struct run_files {
    char *model, *cells, *folds, *evaluation, *markers; /* paths, or NULL: not there */
    json_t *folds_json, *evaluation_json;
    strings others; /* "name: what it is, why it is not on the page" */
} run_files;

/* Of several files of a kind the first by name is taken; of files of cells the one with the most
 * of: scweave's own results, positions in two dimensions. SCW_EIO: the folder cannot be read. */
SCW_CHECKED scw_status run_files_find(run_files *out, const char *folder, const scw_hooks *hooks);
void run_files_clear(run_files *f);

#endif
