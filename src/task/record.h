/* SPDX-License-Identifier: BSD-3-Clause */
/* What the verbs leave in uns about themselves, as text. */
#ifndef TASK_RECORD_H
#define TASK_RECORD_H

#include <jansson.h>

#include "base/status.h"
#include "scweave/options.h"

/* Each option under its name; *failed, as json_object_set_new has it, when one cannot be added. Nothing
 * is done when *failed is set already. */
SCW_CHECKED scw_status record_add_options(json_t *record, int *failed, const scw_option *table,
                                          const void *options);
/* One line with sorted keys, so that equal records are equal bytes; in new memory. */
SCW_CHECKED scw_status record_text(char **out, const json_t *record);

#endif
