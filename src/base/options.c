/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing options structs through their tables (scweave/options.h). */
#include "scweave/options.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

static void *field(const scw_option *o, void *options)
{
    return (char *)options + o->offset;
}

static const void *field_const(const scw_option *o, const void *options)
{
    return (const char *)options + o->offset;
}

const scw_option *scw_options_find(const scw_option *table, const char *name)
{
    for (; table->type != SCW_OPTION_END; table++)
        if (strcmp(table->name, name) == 0) return table;
    return NULL;
}

/* Position of `word` in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t length = strlen(word);
    int k = 0;

    for (const char *c = choices; c; k++) {
        const char *bar = strchr(c, '|');
        size_t n = bar ? (size_t)(bar - c) : strlen(c);
        if (n == length && strncmp(c, word, n) == 0) return k;
        c = bar ? bar + 1 : NULL;
    }
    return -1;
}

static bool parse_bool(int *out, const char *s)
{
    static const char *const yes[] = {"on", "yes", "true", "1"};
    static const char *const no[] = {"off", "no", "false", "0"};

    for (int k = 0; k < 4; k++) {
        if (strcmp(s, yes[k]) == 0) return *out = 1, true;
        if (strcmp(s, no[k]) == 0) return *out = 0, true;
    }
    return false;
}

/* A whole number with an optional suffix k, M or G. */
static bool parse_int(int64_t *out, const char *s)
{
    char digits[32];
    size_t n = strlen(s);
    int64_t unit = 1;

    if (n == 0 || n >= sizeof digits) return false;
    memcpy(digits, s, n + 1);
    if (digits[n - 1] == 'k') unit = 1000;
    if (digits[n - 1] == 'M') unit = 1000000;
    if (digits[n - 1] == 'G') unit = 1000000000;
    if (unit > 1) digits[n - 1] = '\0';
    return text_to_int(out, digits) && !__builtin_mul_overflow(*out, unit, out);
}

static scw_status check_range(const scw_option *o, double v, const char *text)
{
    if (!isfinite(v))
        return status_fail(SCW_EINVAL, "--%s: '%s' is not a finite number", o->name, text);
    if (o->minimum < o->maximum && (v < o->minimum || v > o->maximum))
        return status_fail(SCW_EINVAL, "--%s: %s is out of range, expected %.10g to %.10g", o->name, text,
                           o->minimum, o->maximum);
    return SCW_OK;
}

static scw_status set_text(const scw_option *o, void *options, const char *text)
{
    scw_status st = SCW_OK;
    char *copy = NULL;

    TRY(mem_strdup(&copy, text));
    char **slot = field(o, options);
    mem_free(*slot);
    *slot = copy;
done:
    return st;
}

static scw_status set_row(const scw_option *o, void *options, const char *text)
{
    scw_status st = SCW_OK;
    int64_t whole;
    double number;

    switch (o->type) {
    case SCW_OPTION_BOOL:
        if (!parse_bool(field(o, options), text))
            FAIL(SCW_EINVAL, "--%s: '%s' is not on or off", o->name, text);
        break;
    case SCW_OPTION_INT:
        if (!parse_int(&whole, text))
            FAIL(SCW_EINVAL, "--%s: '%s' is not a whole number", o->name, text);
        TRY(check_range(o, (double)whole, text));
        *(int64_t *)field(o, options) = whole;
        break;
    case SCW_OPTION_REAL:
        if (!text_to_real(&number, text))
            FAIL(SCW_EINVAL, "--%s: '%s' is not a number", o->name, text);
        TRY(check_range(o, number, text));
        *(double *)field(o, options) = number;
        break;
    case SCW_OPTION_TEXT: TRY(set_text(o, options, text)); break;
    case SCW_OPTION_CHOICE: {
        int k = choice_index(o->choices, text);
        if (k < 0)
            FAIL(SCW_EINVAL, "--%s: '%s' is not one of %s", o->name, text, o->choices);
        *(int *)field(o, options) = k;
        break;
    }
    case SCW_OPTION_END: FAIL(SCW_EINTERNAL, "option table row without a type");
    }
done:
    return st;
}

scw_status scw_options_init(const scw_option *table, void *options)
{
    scw_status st = SCW_OK;

    for (const scw_option *o = table; o->type != SCW_OPTION_END; o++)
        if (o->type == SCW_OPTION_TEXT) *(char **)field(o, options) = NULL;
    for (const scw_option *o = table; o->type != SCW_OPTION_END; o++)
        if (o->default_text) TRY(set_row(o, options, o->default_text));
done:
    return st;
}

scw_status scw_options_set(const scw_option *table, void *options, const char *name,
                           const char *text)
{
    const scw_option *o = scw_options_find(table, name);

    if (!o) return status_fail(SCW_ENOTFOUND, "there is no option --%s", name);
    return set_row(o, options, text);
}

/* Shortest decimal text that reads back as the same double. */
static void shortest(char *out, size_t size, double v)
{
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        (void)snprintf(out, size, "%.*g", digits, v);
        if (text_to_real(&back, out) && back == v) return;
    }
}

scw_status scw_options_get(char **out, const scw_option *table, const void *options,
                           const char *name)
{
    scw_status st = SCW_OK;
    char word[64];
    const scw_option *o = scw_options_find(table, name);

    *out = NULL;
    if (!o) FAIL(SCW_ENOTFOUND, "there is no option --%s", name);
    const void *value = field_const(o, options);
    switch (o->type) {
    case SCW_OPTION_BOOL:
        (void)snprintf(word, sizeof word, "%s", *(const int *)value ? "on" : "off");
        break;
    case SCW_OPTION_INT:
        (void)snprintf(word, sizeof word, "%lld", (long long)*(const int64_t *)value);
        break;
    case SCW_OPTION_REAL: shortest(word, sizeof word, *(const double *)value); break;
    case SCW_OPTION_TEXT: TRY(mem_strdup(out, *(char *const *)value)); goto done;
    case SCW_OPTION_CHOICE: {
        const char *c = o->choices;
        int at = *(const int *)value;
        for (int k = at; k > 0 && c; k--) {
            c = strchr(c, '|');
            if (c) c++;
        }
        if (at < 0 || !c)
            FAIL(SCW_EINVAL, "--%s: choice number %d is not one of %s", o->name, at, o->choices);
        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(c, "|"), c);
        break;
    }
    case SCW_OPTION_END: FAIL(SCW_EINTERNAL, "option table row without a type");
    }
    TRY(mem_strdup(out, word));
done:
    return st;
}

void scw_options_clear(const scw_option *table, void *options)
{
    if (!options) return;
    for (const scw_option *o = table; o->type != SCW_OPTION_END; o++) {
        if (o->type != SCW_OPTION_TEXT) continue;
        char **slot = field(o, options);
        mem_free(*slot);
        *slot = NULL;
    }
}
