/* SPDX-License-Identifier: BSD-3-Clause */
/* Results appear whole or not at all: write beside the target, sync, rename. */
#ifndef BASE_ATOMIC_FILE_H
#define BASE_ATOMIC_FILE_H

#include <stdint.h>

#include "base/status.h"

typedef struct atomic_file {
    char *target; /* where it goes */
    char *folder; /* that holds both */
    char *temporary; /* where it is written: same folder, name ends in ".tmp-<pid>-<n>" */
} atomic_file;

/* Choose the temporary name and create the file empty, so that an unwritable place is found out
 * before the work, not after it. */
SCW_CHECKED scw_status atomic_file_begin(atomic_file *f, const char *target);
/* Sync what is written; the commit that follows is quick. */
SCW_CHECKED scw_status atomic_file_sync(const atomic_file *f);
/* Sync, rename, sync the folder. On failure the temporary file is removed. */
SCW_CHECKED scw_status atomic_file_commit(atomic_file *f);
/* Remove the temporary file if it was not committed; free names. Safe on a zeroed struct. */
void atomic_file_clear(atomic_file *f);

/* Write n bytes, all at once. */
SCW_CHECKED scw_status atomic_file_write(const char *target, const void *bytes, int64_t n);

/* Can a file be created or replaced at `path`? SCW_EIO with the reason if not. Temporary files of
 * `path` that killed processes have left are removed. */
SCW_CHECKED scw_status atomic_file_probe(const char *path);

#endif
