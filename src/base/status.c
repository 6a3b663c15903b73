/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread's last message. Fixed size, so that running out of memory can still be reported. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 2048

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local int message_mark;

scw_status status_fail(scw_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    message_mark = 0;
    return code;
}

scw_status status_prefix(scw_status code, const char *format, ...)
{
    char prefix[MESSAGE_SIZE / 4];
    char old[MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    memcpy(old, message, sizeof old);
    /* The cut, if any, falls at the end of the old text. */
    size_t used = strlen(prefix);
    size_t kept = strnlen(old, sizeof message - used - 3);
    memcpy(message, prefix, used);
    memcpy(message + used, ": ", 2);
    memcpy(message + used + 2, old, kept);
    message[used + 2 + kept] = '\0';
    return code;
}

void status_clear(void)
{
    message[0] = '\0';
    message_mark = 0;
}

void status_mark(int mark)
{
    message_mark = mark;
}

int status_marked(void)
{
    return message_mark;
}

const char *scw_error_message(void)
{
    return message;
}

const char *scw_status_name(scw_status status)
{
    switch (status) {
    case SCW_OK: return "ok";
    case SCW_EINVAL: return "invalid value";
    case SCW_ENOMEM: return "out of memory";
    case SCW_EIO: return "input/output error";
    case SCW_EFORMAT: return "bad file format";
    case SCW_ENOTFOUND: return "not found";
    case SCW_EDATA: return "unusable data";
    case SCW_ENUMERIC: return "numerical failure";
    case SCW_ECANCELLED: return "cancelled";
    case SCW_EUNSUPPORTED: return "not supported";
    case SCW_EINTERNAL: return "internal error";
    }
    return "unknown status";
}
