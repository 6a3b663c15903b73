/* SPDX-License-Identifier: BSD-3-Clause */
/* A file for what does not fit in memory. It has no name from the start, so nothing of it stays. */
#ifndef BASE_SPILL_H
#define BASE_SPILL_H

#include <stdint.h>

#include "base/status.h"

#define SPILL_DEFAULT_FOLDER "/var/tmp"

typedef struct spill {
    int fd; /* 0: not open */
    char *folder;
    int64_t size;
} spill;

/* Remember where it goes, NULL: SPILL_DEFAULT_FOLDER; the file itself is made by the first append. */
SCW_CHECKED scw_status spill_init(spill *s, const char *folder);
/* SCW_EIO: the folder cannot be written to, or its disk is full. */
SCW_CHECKED scw_status spill_append(int64_t *at, spill *s, const void *bytes, int64_t n);
SCW_CHECKED scw_status spill_read(void *out, const spill *s, int64_t at, int64_t n);
/* A hint: these bytes will be read soon. The system fetches them while the caller works on. */
void spill_ahead(const spill *s, int64_t at, int64_t n);
void spill_clear(spill *s); /* safe on a zeroed struct */

#endif
