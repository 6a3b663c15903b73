/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave preprocess: normalisation, variable features, components as one list of steps. */
#include <string.h>

#include "cli.h"
#include "print.h"

typedef struct options {
    char *output;
    int64_t threads;
    int list, json;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "where the copy of the data with the results goes"},
    {"list", SCW_OPTION_BOOL, offsetof(options, list), "off", 0, 0, NULL, NULL, "Task",
     "print the steps with their options, and the presets"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Task",
     "print what each step found as JSON"},
    {.type = SCW_OPTION_END},
};

static void print_options(const scw_option *o)
{
    for (; o->type != SCW_OPTION_END; o++) {
        (void)printf("      %s", o->name);
        if (o->default_text) (void)printf("=%s", o->default_text);
        if (o->choices) (void)printf(" (%s)", o->choices);
        (void)printf("  %s\n", o->help);
    }
}

static int list_all(void)
{
    const scw_prep_step *s;
    const scw_prep_preset *p;

    (void)puts("Steps\n");
    for (int k = 0; (s = scw_prep_step_at(k)); k++) {
        (void)printf("  %-10s %s\n             writes: %s\n", s->name, s->summary, s->writes);
        print_options(s->options);
        (void)putchar('\n');
    }
    (void)puts("Presets\n");
    for (int k = 0; (p = scw_prep_preset_at(k)); k++)
        (void)printf("  %-10s %s\n             %s\n", p->name, p->summary, p->steps);
    return CLI_OK;
}

/* "normalize: fitted_target 1253" */
static void print_step(const json_t *step)
{
    static const char *const figures[] = {"fitted_target", "n_highly_variable", "components",
                                          "variance_explained"};

    (void)printf("  %-10s", print_text(step, "step"));
    for (size_t k = 0; k < sizeof figures / sizeof *figures; k++)
        if (json_is_number(json_object_get(step, figures[k])))
            (void)printf(" %s %.6g", figures[k], print_number(step, figures[k]));
    (void)putchar('\n');
}

static void print_steps(const json_t *root)
{
    size_t k, i;
    const json_t *m, *step;

    json_array_foreach(json_object_get(root, "modalities"), k, m)
    {
        (void)printf("%s\n", print_text(m, "modality"));
        json_array_foreach(json_object_get(m, "steps"), i, step) print_step(step);
    }
}

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the file with the counts");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    return cli_finish(r, scw_output_check(o->output));
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_prep_request request = {(int)o->threads, r->record};
    scw_dataset *data = NULL;
    scw_results *results = NULL;
    char *report = NULL;

    if (o->list) return list_all();
    int result = check(r);
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK)
        st = scw_dataset_preprocess(&results, &report, data, &request, r->settings, r->hooks);
    if (st == SCW_OK) st = scw_results_write(results, data, o->output, r->hooks);
    result = cli_finish(r, st);
    if (result == CLI_OK) result = print_either(report, o->json, print_steps);
    scw_free(report);
    scw_results_free(results);
    scw_dataset_free(data);
    return result;
}

const cli_command cli_cmd_preprocess = {
    "preprocess",
    run,
    "normalise, choose variable features, reduce: a list of steps",
    "FILE -o OUT [--steps STEPS | --preset NAME] [options]",
    "Runs steps in their order over one or more modalities and writes a copy of the file with what "
    "they leave: X with the new values, the counts as layers['counts'], columns of var, arrays of "
    "obsm and varm, settings in uns. Without --steps: log-normalised genes with PCA, CLR proteins "
    "with PCA, TF-IDF peaks with LSI. --list prints the steps. docs/preprocess.md has the "
    "formulas.",
    "scweave preprocess pbmc.h5mu -o ready.h5mu\n"
    "scweave preprocess pbmc.h5ad --steps normalize,log1p,hvg:n=3000,pca:k=30 -o ready.h5ad\n"
    "scweave preprocess bmmc.h5mu --preset cite --batch-key batch -o ready.h5mu\n"
    "scweave preprocess --list",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_PREPROCESS,
};
