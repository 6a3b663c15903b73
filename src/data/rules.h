/* SPDX-License-Identifier: BSD-3-Clause */
/* What a file must hold to, as one table: readers name the rule that a file breaks, `scweave validate`
 * lists all that are broken, docs/formats.md has the same table (tests/bad/test_crafted.py compares).
 *
 * To add a rule: a row in rules.c, its identifier here in the same place, a line in docs/formats.md, and
 * rule_broken() or BREAK() where it is checked. Identifiers that users see do not change. */
#ifndef DATA_RULES_H
#define DATA_RULES_H

#include "base/status.h"

typedef enum rule_id {
    /* the file */
    RULE_FILE_KNOWN,
    RULE_FILE_WHOLE,
    RULE_READABLE,
    RULE_LINK_INSIDE,
    RULE_LINK_TARGET,
    RULE_LINK_CYCLE,
    RULE_NESTING_DEPTH,
    RULE_STORAGE_INSIDE,
    RULE_FILTER_AVAILABLE,
    RULE_SIZE_HONEST,
    RULE_ATTRIBUTE_SIZE,
    RULE_ATTRIBUTE_STORAGE,
    /* encodings */
    RULE_ENCODING_KNOWN,
    RULE_ENCODING_READ,
    RULE_ENCODING_FITS,
    /* frames */
    RULE_FRAME_PRESENT,
    RULE_INDEX_PRESENT,
    RULE_INDEX_TEXT,
    RULE_AXIS_NOT_EMPTY,
    RULE_CELL_NAMES_UNIQUE,
    RULE_FEATURE_NAMES_UNIQUE,
    RULE_NAMES_FILLED,
    RULE_TEXT_UTF8,
    RULE_TEXT_NUL,
    RULE_COLUMNS_PRESENT,
    RULE_COLUMNS_LISTED,
    RULE_COLUMNS_UNIQUE,
    RULE_COLUMN_LENGTH,
    RULE_COLUMN_READ,
    RULE_CODES_IN_RANGE,
    RULE_CATEGORIES_PRESENT,
    RULE_CATEGORIES_UNIQUE,
    RULE_MASK_AGREES,
    /* matrices */
    RULE_MATRIX_PRESENT,
    RULE_SHAPE_DECLARED,
    RULE_SHAPE_AGREES,
    RULE_SHAPE_IN_RANGE,
    RULE_VALUES_NUMERIC,
    RULE_VECTORS_COMPLETE,
    RULE_VECTORS_EQUAL,
    RULE_INDPTR_LENGTH,
    RULE_INDPTR_START,
    RULE_INDPTR_MONOTONE,
    RULE_INDPTR_END,
    RULE_ENTRIES_COVERED,
    RULE_INDICES_IN_RANGE,
    RULE_INDICES_SORTED,
    RULE_INDICES_UNIQUE,
    RULE_VALUES_FINITE,
    RULE_LAYER_FINITE,
    RULE_COUNTS_INTEGER,
    /* several modalities */
    RULE_AXIS_KNOWN,
    RULE_MODALITIES_PRESENT,
    RULE_MOD_ORDER_AGREES,
    RULE_OBSMAP_VALID,
    RULE_OBSMAP_AGREES,
    RULE_CELLS_SHARED,
    RULE_CELLS_COVERED,
    /* text */
    RULE_HEADER_VALID,
    RULE_FIELD_COUNT,
    RULE_FIELD_NUMBER,
    RULE_ENTRY_IN_RANGE,
    RULE_ENTRY_COUNT,
    RULE_NAMES_AGREE,
    RULE_MEMBERS_COMPLETE,
    N_RULES
} rule_id;

/* What the readers do with a file that breaks the rule. */
typedef enum rule_effect {
    RULE_REFUSES, /* a command that reads the element ends with an error: the rule is an error */
    RULE_REPAIRS, /* the element is read as if it held to the rule; this and the others are warnings */
    RULE_IGNORES, /* it is left out, with a warning */
    RULE_COPIES   /* it is read or copied as it is */
} rule_effect;

typedef struct rule_row {
    const char *name;
    rule_effect effect;
    const char *expected; /* the rule as a sentence */
    const char *action;   /* what scweave does: begins with the word of the effect */
} rule_row;

const rule_row *rule_get(rule_id id);

/* Who wants to hear of all broken rules instead of the first. */
typedef struct rule_sink {
    void *user;
    /* `message` as of a failure: "path: element: what was found". SCW_OK: go on. */
    scw_status (*take)(void *user, rule_id id, const char *message);
} rule_sink;

/* A rule is broken. With a sink: told, and SCW_OK lets the caller go on. Without: the failure `code`
 * with the message, which rule_of_failure() then names. */
scw_status rule_broken(const rule_sink *sink, rule_id id, scw_status code, const char *format, ...)
    SCW_PRINTF(4, 5);

/* Name the rule that the failure `st` broke. Returns `st`. */
scw_status rule_name_failure(scw_status st, rule_id id);

/* The rule that the last failure of this thread broke; `otherwise` when it named none. */
rule_id rule_of_failure(rule_id otherwise);

/* FAIL, naming the rule. */
#define BREAK(id_, code_, ...)                                                                     \
    do {                                                                                           \
        st = rule_broken(NULL, (id_), (code_), __VA_ARGS__);                                       \
        goto done;                                                                                 \
    } while (0)

#endif
