/* SPDX-License-Identifier: BSD-3-Clause */
/* Any JSON report as text for people, by the shape of its values alone: a report that gains a member
 * needs no change here. */
#include <stdio.h>
#include <string.h>

#include "print.h"

/* Lists longer than this are cut in text; --json has all. */
enum { SHOWN = 12 };

static int is_plain(const json_t *v)
{
    return !json_is_object(v) && !json_is_array(v);
}

static void format(char *out, size_t size, const json_t *v)
{
    char count[32];

    if (json_is_string(v))
        (void)snprintf(out, size, "%s", json_string_value(v));
    else if (json_is_integer(v))
        (void)snprintf(out, size, "%s", print_count(count, json_number_value(v)));
    else if (json_is_real(v))
        (void)snprintf(out, size, "%.4g", json_real_value(v));
    else if (json_is_true(v) || json_is_false(v))
        (void)snprintf(out, size, "%s", json_is_true(v) ? "yes" : "no");
    else
        (void)snprintf(out, size, "-");
}

/* [3, 4] or ["a", "b"] on one line. */
static void print_list(const json_t *list)
{
    char text[1024];
    size_t k;
    const json_t *v;

    json_array_foreach(list, k, v)
    {
        if (k == SHOWN) {
            (void)printf(", ... (%zu in all)", json_array_size(list));
            break;
        }
        format(text, sizeof text, v);
        (void)printf("%s%s", k ? ", " : "", text);
    }
    (void)putchar('\n');
}

/* Rows of a table: objects whose members are all plain. */
static int is_table(const json_t *list)
{
    size_t k;
    const char *key;
    json_t *row, *v;

    json_array_foreach(list, k, row)
    {
        if (!json_is_object(row)) return 0;
        json_object_foreach(row, key, v) if (!is_plain(v)) return 0;
    }
    return 1;
}

static void print_rows(const json_t *list, int indent)
{
    char text[1024];
    size_t k;
    const char *key;
    json_t *v, *row, *first = json_array_get(list, 0);

    if (json_object_size(first) == 0) return;
    print_table *t = print_table_new((int)json_object_size(first));
    json_object_foreach(first, key, v) print_table_cell(t, "%s", key);
    json_array_foreach(list, k, row)
    {
        json_object_foreach(first, key, v)
        {
            format(text, sizeof text, json_object_get(row, key));
            print_table_cell(t, "%s", text);
        }
    }
    print_table_end(t, indent);
}

static int is_list_of_plain(const json_t *list)
{
    size_t k;
    const json_t *v;

    json_array_foreach(list, k, v) if (!is_plain(v)) return 0;
    return 1;
}

static void print_member(const char *key, const json_t *v, int indent, int name_width)
{
    char text[1024];

    if (is_plain(v)) {
        format(text, sizeof text, v);
        (void)printf("%*s%-*s  %s\n", indent, "", name_width, key, text);
    } else if (json_is_array(v) && is_list_of_plain(v)) {
        (void)printf("%*s%-*s  ", indent, "", name_width, key);
        if (json_array_size(v) == 0) (void)fputs("none", stdout);
        print_list(v);
    } else if (json_is_array(v) && is_table(v)) {
        (void)printf("%*s%s\n", indent, "", key);
        print_rows(v, indent + 2);
    } else if (json_is_array(v)) {
        size_t k;
        const json_t *item;
        (void)printf("%*s%s\n", indent, "", key);
        json_array_foreach(v, k, item)
        {
            if (k) (void)putchar('\n');
            print_report(item, indent + 2);
        }
    } else {
        (void)printf("%*s%s\n", indent, "", key);
        print_report(v, indent + 2);
    }
}

void print_report(const json_t *report, int indent)
{
    const char *key;
    json_t *v;
    int name_width = 0;

    if (!json_is_object(report)) {
        print_member("", report, indent, 0);
        return;
    }
    json_object_foreach((json_t *)report, key, v)
        if (is_plain(v) || (json_is_array(v) && is_list_of_plain(v)))
            if ((int)strlen(key) > name_width) name_width = (int)strlen(key);
    json_object_foreach((json_t *)report, key, v) print_member(key, v, indent, name_width);
}
