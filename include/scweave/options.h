/* SPDX-License-Identifier: BSD-3-Clause */
/* Options are data: an options struct is described by one table. The command line, --help with live
 * defaults, the settings stored in a model file and a form in a portal are all made from the table. */
#ifndef SCWEAVE_OPTIONS_H
#define SCWEAVE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum scw_option_type {
    SCW_OPTION_END = 0, /* closes a table */
    SCW_OPTION_BOOL,    /* int field; text: on/off, yes/no, true/false, 1/0 */
    SCW_OPTION_INT,     /* int64_t field; text: a whole number, suffixes k, M and G */
    SCW_OPTION_REAL,    /* double field */
    SCW_OPTION_TEXT,    /* char * field, owned by the struct; NULL when not set */
    SCW_OPTION_CHOICE   /* int field: index into `choices`; text: one of the words */
} scw_option_type;

typedef struct scw_option {
    const char *name;         /* long name without dashes: "hidden-rna" */
    scw_option_type type;
    size_t offset;            /* offsetof(struct, field) */
    const char *default_text; /* parsed by the same rules as user text; NULL: TEXT not set */
    double minimum, maximum;  /* inclusive; used by INT and REAL when minimum < maximum */
    const char *choices;      /* CHOICE only: "auto|on|off" */
    const char *argument;     /* name of the value in help: "N", "KEY"; NULL for BOOL */
    const char *group;        /* heading in help */
    const char *help;         /* one or two plain sentences, no final full stop needed */
} scw_option;

/* Set every field of `options` to its default. TEXT fields are assumed to hold garbage before. */
SCW_API SCW_CHECKED scw_status scw_options_init(const scw_option *table, void *options);

/* Set one option from text, strictly. SCW_ENOTFOUND: no such option; SCW_EINVAL: bad value (the
 * message names the option, the value and what is accepted). */
SCW_API SCW_CHECKED scw_status scw_options_set(const scw_option *table, void *options,
                                               const char *name, const char *text);

/* Current value as text that scw_options_set accepts and that reproduces it exactly. *out is newly
 * allocated (scw_free); NULL for a TEXT option that is not set. */
SCW_API SCW_CHECKED scw_status scw_options_get(char **out, const scw_option *table,
                                               const void *options, const char *name);

/* Row of the table called `name`, or NULL. */
SCW_API const scw_option *scw_options_find(const scw_option *table, const char *name);

/* Free the TEXT fields. NULL-safe. */
SCW_API void scw_options_clear(const scw_option *table, void *options);

/* Free memory that an scw function handed over (strings). NULL-safe. */
SCW_API void scw_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
