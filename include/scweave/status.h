/* SPDX-License-Identifier: BSD-3-Clause */
/* Status codes and the message that goes with them.
 *
 * Every fallible function returns a scw_status; zero is success. On failure a sentence that names the
 * file, the key, what was found and what was expected is kept per thread and read with
 * scw_error_message(). The library never prints and never exits. */
#ifndef SCWEAVE_STATUS_H
#define SCWEAVE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SCW_API __attribute__((visibility("default")))
#define SCW_CHECKED __attribute__((warn_unused_result))
#define SCW_PRINTF(fmt_, args_) __attribute__((format(printf, fmt_, args_)))
#else
#define SCW_API
#define SCW_CHECKED
#define SCW_PRINTF(fmt_, args_)
#endif

typedef enum scw_status {
    SCW_OK = 0,
    SCW_EINVAL,       /* an argument or option has a value outside its range */
    SCW_ENOMEM,       /* memory ran out */
    SCW_EIO,          /* a file cannot be opened, read or written */
    SCW_EFORMAT,      /* a file is not what it claims to be, or is damaged */
    SCW_ENOTFOUND,    /* a key, column, modality or class is absent */
    SCW_EDATA,        /* the data cannot be used for this task */
    SCW_ENUMERIC,     /* a computation left the finite numbers */
    SCW_ECANCELLED,   /* a callback asked to stop */
    SCW_EUNSUPPORTED, /* a valid request this build does not serve */
    SCW_EINTERNAL     /* a defect of scweave itself */
} scw_status;

/* Short constant name of a status, e.g. "not found". Never NULL. */
SCW_API const char *scw_status_name(scw_status status);

/* The message of the last failure on this thread; "" if none. Valid until the next scweave call on
 * this thread. */
SCW_API const char *scw_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
