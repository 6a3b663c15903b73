/* SPDX-License-Identifier: BSD-3-Clause */
/* Speaking through the host's hooks. All functions accept NULL hooks. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/status.h"
#include "scweave/hooks.h"

void log_message(const scw_hooks *hooks, scw_log_level level, const char *format, ...)
    SCW_PRINTF(3, 4);

#define log_warning(hooks_, ...) log_message((hooks_), SCW_LOG_WARNING, __VA_ARGS__)
#define log_info(hooks_, ...) log_message((hooks_), SCW_LOG_INFO, __VA_ARGS__)
#define log_detail(hooks_, ...) log_message((hooks_), SCW_LOG_DETAIL, __VA_ARGS__)

void log_progress(const scw_hooks *hooks, const scw_progress *progress);

/* SCW_ECANCELLED when the host asks to stop. */
SCW_CHECKED scw_status log_check_cancel(const scw_hooks *hooks);

#endif
