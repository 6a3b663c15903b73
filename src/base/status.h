/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the library: raising and passing on failures.
 *
 * A function that can fail declares `scw_status st = SCW_OK;`, ends with the label `done:` that frees
 * what it still owns, and returns st. TRY and FAIL are the only two ways to get there early. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "scweave/status.h"

/* Record a failure on this thread and return its code. */
scw_status status_fail(scw_status code, const char *format, ...) SCW_PRINTF(2, 3);

/* Put "<text>: " before the current message, as it travels up. Returns `code`. */
scw_status status_prefix(scw_status code, const char *format, ...) SCW_PRINTF(2, 3);

/* Forget the current message. */
void status_clear(void);

/* A number that goes with the current message, and with what status_prefix makes of it; 0: none. */
void status_mark(int mark);
int status_marked(void);

/* st = expr; if it failed, goto done. */
#define TRY(expr_)                                                                                 \
    do {                                                                                           \
        st = (expr_);                                                                              \
        if (st != SCW_OK) goto done;                                                               \
    } while (0)

/* Record a failure and goto done. */
#define FAIL(code_, ...)                                                                           \
    do {                                                                                           \
        st = status_fail((code_), __VA_ARGS__);                                                    \
        goto done;                                                                                 \
    } while (0)

#endif
