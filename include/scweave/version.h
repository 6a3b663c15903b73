/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SCWEAVE_VERSION_H
#define SCWEAVE_VERSION_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SCW_VERSION_MAJOR 0
#define SCW_VERSION_MINOR 1
#define SCW_VERSION_PATCH 0

/* Version of the library that is linked, e.g. "0.1.0". */
SCW_API const char *scw_version(void);

#ifdef __cplusplus
}
#endif
#endif
