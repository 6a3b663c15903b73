/* SPDX-License-Identifier: BSD-3-Clause */
/* One task at a time in a thread of its own: decoding the next block while the caller uses this one.
 *
 * The task must not call HDF5 and shares nothing with the caller between start and wait but what it
 * was given. Loops of the task use as many threads as the caller's. */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include "base/status.h"

typedef struct worker worker;

SCW_CHECKED scw_status worker_new(worker **out);
/* Begin task(self); the one before must have been waited for. Where no thread can be had it is done
 * at once, by the caller. */
void worker_start(worker *w, scw_status (*task)(void *self), void *self);
/* How the task ended; its message becomes this thread's. SCW_OK when none was started since. */
SCW_CHECKED scw_status worker_wait(worker *w);
void worker_free(worker *w); /* waits first; NULL-safe */

#endif
