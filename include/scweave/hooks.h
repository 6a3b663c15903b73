/* SPDX-License-Identifier: BSD-3-Clause */
/* How a long call talks to its host: log lines, progress, cancellation. All members may be NULL, and
 * a NULL scw_hooks pointer means silence. Callbacks run on the calling thread. */
#ifndef SCWEAVE_HOOKS_H
#define SCWEAVE_HOOKS_H

#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum scw_log_level {
    SCW_LOG_WARNING = 0, /* the result is usable, but the user should know this */
    SCW_LOG_INFO,        /* what is being done */
    SCW_LOG_DETAIL       /* for -v */
} scw_log_level;

/* One progress report. `values` are named figures of this moment (losses, validation score). */
typedef struct scw_progress {
    const char *phase;        /* "stage 1", "balancing", ... */
    int64_t step, n_steps;    /* position over the whole call, not the phase */
    int64_t epoch, n_epochs;
    double seconds_elapsed;
    double seconds_left;      /* estimate; negative when unknown */
    int n_values;
    const char *const *value_names; /* [n_values] */
    const double *values;           /* [n_values] */
} scw_progress;

typedef struct scw_hooks {
    void (*log)(void *user, scw_log_level level, const char *message);
    void (*progress)(void *user, const scw_progress *progress);
    int (*cancelled)(void *user); /* non-zero: stop cleanly, the call returns SCW_ECANCELLED */
    void *user;
} scw_hooks;

#ifdef __cplusplus
}
#endif
#endif
