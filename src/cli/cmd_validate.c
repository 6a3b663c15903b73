/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave validate: does a file hold to the rules of its format? A verdict for users and scripts. */
#include <string.h>

#include "cli.h"
#include "print.h"

typedef struct options {
    int json, rules;
    int64_t mem, most;
} options;

static const scw_option table[] = {
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Validation",
     "print one JSON document a file (docs/formats.md)"},
    {"most", SCW_OPTION_INT, offsetof(options, most), "20", 1, 1e9, NULL, "N", "Validation",
     "findings of one rule that are listed; all are counted"},
    {"mem", SCW_OPTION_INT, offsetof(options, mem), "0", 0, 1e15, NULL, "BYTES", "Validation",
     "memory for blocks of matrices, 512M or 2G say; 0: half of what is free"},
    {"rules", SCW_OPTION_BOOL, offsetof(options, rules), "off", 0, 0, NULL, NULL, "Validation",
     "list the rules instead: name, severity, what must hold, what scweave does"},
    {.type = SCW_OPTION_END},
};

static const char *plural(double n)
{
    return n == 1 ? "" : "s";
}

static void print_verdict(const json_t *file)
{
    const char *path = print_text(file, "path");
    const double errors = print_number(file, "n_errors"), warnings = print_number(file, "n_warnings");

    if (errors > 0)
        (void)printf("%s: %.0f error%s", path, errors, plural(errors));
    else
        (void)printf("%s: valid", path);
    if (warnings > 0)
        (void)printf("%s%.0f warning%s", errors > 0 ? ", " : " with ", warnings, plural(warnings));
    (void)putchar('\n');
}

/* One finding a line: severity: element: rule: found; expected; what scweave does. */
static void print_file(const json_t *file)
{
    const char *format = print_text(file, "format"), *version = print_text(file, "version"), *rule;
    const json_t *f, *n;
    size_t k;

    if (*format)
        (void)printf("%s: %s%s%s\n", print_text(file, "path"), format, *version ? ", " : "", version);
    json_array_foreach(json_object_get(file, "findings"), k, f)
    {
        const char *element = print_text(f, "element");
        (void)printf("%s: %s%s%s: %s; expected: %s; scweave %s\n", print_text(f, "severity"), element,
                     *element ? ": " : "", print_text(f, "rule"), print_text(f, "found"),
                     print_text(f, "expected"), print_text(f, "action"));
    }
    json_object_foreach(json_object_get(file, "not_listed"), rule, n)
        (void)printf("%s: %lld more; --most lists them\n", rule, (long long)json_integer_value(n));
    print_verdict(file);
}

static int check(cli_run *r, const char *path, int *valid)
{
    const options *o = r->options;
    const scw_validate_options how = {.memory_bytes = o->mem, .most_listed = o->most};
    char *text = NULL;

    int result = cli_finish(r, scw_validate(&text, valid, path, &how, r->hooks));
    if (result == CLI_OK) result = print_either(text, o->json, print_file);
    scw_free(text);
    return result;
}

static int list_rules(void)
{
    scw_rule rule;
    print_table *t = print_table_new(4);

    for (const char *const *h = (const char *const[]){"rule", "severity", "what must hold",
                                                      "scweave ...", NULL}; *h; h++)
        print_table_cell(t, "%s", *h);
    for (int k = 0; scw_rule_at(&rule, k); k++) {
        print_table_cell(t, "%s", rule.name);
        print_table_cell(t, "%s", rule.severity);
        print_table_cell(t, "%s", rule.expected);
        print_table_cell(t, "%s", rule.action);
    }
    print_table_end(t, 0);
    return CLI_OK;
}

/* Every file is looked at, also behind one that is not valid. */
static int run(cli_run *r)
{
    const options *o = r->options;
    int result = CLI_OK;

    if (o->rules) return r->n_arguments ? cli_misuse(r, "--rules takes no files") : list_rules();
    if (r->n_arguments == 0) return cli_misuse(r, "name the files to check");
    for (int k = 0; k < r->n_arguments; k++) {
        int valid = 0, one = check(r, r->arguments[k], &valid);
        if (one == CLI_OK && !valid) one = CLI_FAILURE;
        if (one != CLI_OK && result != CLI_INTERRUPTED) result = one;
        if (one == CLI_INTERRUPTED) break;
    }
    return result;
}

const cli_command cli_cmd_validate = {
    "validate",
    run,
    "check files against the rules of their formats; exit status 1 if one breaks them",
    "FILE... [--json] [--most N] [--mem BYTES]",
    "Looks at every element of files of any format that is read, in blocks, so that a file of any size "
    "can be checked. Each finding is a line: severity, element, rule, what was found and expected, and "
    "what scweave does with such a file. An error is what some command refuses; a warning is what is "
    "repaired, left out or doubtful. The exit status is 0 when no file has errors, 1 when one has, 2 "
    "after wrong use.\n"
    "docs/formats.md and --rules list the rules; their names do not change.",
    "scweave validate pbmc.h5mu\n"
    "scweave validate --json -q run1/*.h5ad",
    table,
    sizeof(options),
    0,
};
