/* SPDX-License-Identifier: BSD-3-Clause */
/* The library in one page: train on a reference, annotate a query, write the result.
 *
 *     cc annotate.c $(pkg-config --cflags --libs scweave) -o annotate
 *     ./annotate reference.h5mu cell_type query.h5mu annotated.h5mu */
#include <stdio.h>
#include <stdlib.h>

#include <scweave/scweave.h>

static void print_log(void *user, scw_log_level level, const char *message)
{
    (void)user;
    if (level <= SCW_LOG_INFO) (void)fprintf(stderr, "%s\n", message);
}

static const scw_hooks hooks = {print_log, NULL, NULL, NULL};

/* Train with the kind's default options. */
static scw_status train(scw_model **out, const char *path, const char *label_key)
{
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    const scw_source source = {.path = path};
    const scw_fit_request request = {
        .label_key = label_key, .seed = 1, .command = "examples/annotate.c"};
    scw_dataset *reference = NULL;

    void *options = calloc(1, kind->options_size);
    if (!options) return SCW_ENOMEM;
    scw_status st = scw_options_init(kind->options, options);
    if (st == SCW_OK) st = scw_dataset_open(&reference, &source, 1, NULL, &hooks);
    if (st == SCW_OK) st = scw_model_fit(out, kind, reference, &request, options, &hooks);
    scw_dataset_free(reference);
    scw_options_clear(kind->options, options);
    free(options);
    return st;
}

static scw_status annotate(const scw_model *model, const char *path, const char *output)
{
    const scw_source source = {.path = path};
    const scw_task_request request = {.annotate = 1, .embed = 1, .command = "examples/annotate.c"};
    scw_dataset *query = NULL;
    scw_results *results = NULL;

    scw_status st = scw_dataset_open(&query, &source, 1, NULL, &hooks);
    if (st == SCW_OK) st = scw_model_apply(&results, model, query, &request, &hooks);
    if (st == SCW_OK) st = scw_results_write(results, query, output, &hooks);
    scw_results_free(results);
    scw_dataset_free(query);
    return st;
}

int main(int argc, char **argv)
{
    scw_model *model = NULL;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: annotate REFERENCE LABEL-KEY QUERY OUTPUT\n");
        return 2;
    }
    scw_status st = train(&model, argv[1], argv[2]);
    if (st == SCW_OK) st = annotate(model, argv[3], argv[4]);
    if (st != SCW_OK) (void)fprintf(stderr, "%s: %s\n", scw_status_name(st), scw_error_message());
    scw_model_free(model);
    return st == SCW_OK ? 0 : 1;
}
