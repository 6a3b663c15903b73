/* SPDX-License-Identifier: BSD-3-Clause */
/* Does a file hold to the rules of its format? */
#ifndef SCWEAVE_VALIDATE_H
#define SCWEAVE_VALIDATE_H

#include <stdint.h>

#include "hooks.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed: the defaults. */
typedef struct scw_validate_options {
    int64_t memory_bytes; /* for blocks of matrices; 0: half of the memory that is free */
    int64_t most_listed;  /* findings of one rule that are listed; 0: 20. All are counted. */
} scw_validate_options;

/* Look at everything in a file or folder of any format that is read, whether a command reads it or only
 * copies it. *out: newly allocated JSON, free with scw_free:
 *
 *   path, format, version    what the file is, "" where it does not say
 *   valid                    no errors
 *   n_errors, n_warnings     of all findings
 *   findings                 each with severity ("error", "warning"), element (its path in the file, or
 *                            "line 12" of text), rule, found, expected, action (what scweave does with it)
 *   not_listed               of each rule with more than most_listed findings, how many more
 *
 * docs/formats.md lists the rules; their names do not change. *valid: 1 when there are no errors.
 * Matrices are read in blocks; names and columns are held in memory (about 100 bytes a cell), one column
 * at a time. Cost: one pass over the file. `options` NULL: the defaults.
 * Errors: SCW_EIO (no such file, or it cannot be read), SCW_ENOMEM, SCW_ECANCELLED. A file that is
 * damaged, empty or of no known format is no error of the call: the report says so. */
SCW_API SCW_CHECKED scw_status scw_validate(char **out, int *valid, const char *path,
                                            const scw_validate_options *options,
                                            const scw_hooks *hooks);

/* The k-th rule, from 0: its name, severity, what must hold and what scweave does with a file that
 * breaks it; all constants. 0 past the end, *out is then untouched. */
typedef struct scw_rule {
    const char *name, *severity, *expected, *action;
} scw_rule;
SCW_API int scw_rule_at(scw_rule *out, int k);

#ifdef __cplusplus
}
#endif
#endif
