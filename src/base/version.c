/* SPDX-License-Identifier: BSD-3-Clause */
#include "scweave/version.h"

#define TEXT(x_) #x_
#define JOIN(a_, b_, c_) TEXT(a_) "." TEXT(b_) "." TEXT(c_)

const char *scw_version(void)
{
    return JOIN(SCW_VERSION_MAJOR, SCW_VERSION_MINOR, SCW_VERSION_PATCH);
}
