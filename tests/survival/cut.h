/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a process at the n-th moment at which it changes files, and what it has left unsynced. The
 * functions of the C library that change files are this program's own (cut.c), for all libraries in it. */
#ifndef SURVIVAL_CUT_H
#define SURVIVAL_CUT_H

#include <stdint.h>

/* Count from now on; the process is killed at the n-th change: a write in its middle, anything else before
 * it happens. 0: it goes on. */
void cut_at(int64_t n);

/* Changes so far. */
int64_t cut_changes(void);

/* What a power cut could lose although the work has gone on: files that took a name before they were
 * synced, and folders that were not synced after a name in them had changed. */
int64_t cut_unsynced(void);

#endif
