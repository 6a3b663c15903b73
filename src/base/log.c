/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_message(const scw_hooks *hooks, scw_log_level level, const char *format, ...)
{
    char line[2048];
    va_list args;

    if (!hooks || !hooks->log) return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    hooks->log(hooks->user, level, line);
}

void log_progress(const scw_hooks *hooks, const scw_progress *progress)
{
    if (hooks && hooks->progress) hooks->progress(hooks->user, progress);
}

scw_status log_check_cancel(const scw_hooks *hooks)
{
    if (hooks && hooks->cancelled && hooks->cancelled(hooks->user))
        return status_fail(SCW_ECANCELLED, "stopped at the user's request");
    return SCW_OK;
}
