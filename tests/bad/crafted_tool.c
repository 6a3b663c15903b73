/* SPDX-License-Identifier: BSD-3-Clause */
/* crafted_tool OUT FILE...: what each verb makes of each file, all in one process.
 *
 * A line a file on stdout, JSON: path, the report of `validate`, and of each verb its status and message.
 * The line is begun before the file is touched, so that a crash shows which it was. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scweave/scweave.h"

static json_t *answer(scw_status st)
{
    return json_pack("{s:i,s:s}", "status", (int)st, "message", st == SCW_OK ? "" : scw_error_message());
}

static json_t *validated(const char *path)
{
    char *text = NULL;
    int valid = -1;
    scw_validate_options options = {.memory_bytes = 1 << 20};
    scw_status st = scw_validate(&text, &valid, path, &options, NULL);
    json_t *out = answer(st);

    if (st == SCW_OK) {
        (void)json_object_set_new(out, "report", json_loads(text, 0, NULL));
        (void)json_object_set_new(out, "valid", json_integer(valid));
    }
    scw_free(text);
    return out;
}

static json_t *inspected(const char *path)
{
    char *text = NULL;
    json_t *out = answer(scw_inspect(&text, path, NULL));

    scw_free(text);
    return out;
}

/* Read with so little memory that matrices stay in the file, then every value in one pass. */
static json_t *computed(const char *path)
{
    const scw_source source = {.path = path};
    const scw_read_options options = {.memory_bytes = 1};
    const scw_prep_request request = {.threads = 1};
    scw_qc_options qc;
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    scw_status st = scw_options_init(scw_qc_option_table(), &qc);
    if (st == SCW_OK) st = scw_dataset_open(&d, &source, 1, &options, NULL);
    if (st == SCW_OK) st = scw_dataset_qc(&r, NULL, d, &request, &qc, NULL);
    json_t *out = answer(st);
    scw_results_free(r);
    scw_dataset_free(d);
    scw_options_clear(scw_qc_option_table(), &qc);
    return out;
}

static json_t *converted(const char *path, const char *to, const char *ending, int again)
{
    const scw_source source = {.path = path};
    const scw_convert_options options = {
        .to = ending, .compression = again ? SCW_COMPRESSION_GZIP : SCW_COMPRESSION_KEEP};

    return answer(scw_convert(&source, 1, to, &options, NULL));
}

static void look_at(const char *folder, const char *path)
{
    static const struct {
        const char *name, *to;
        int again;
    } copies[] = {{"copy", "h5mu", 0}, {"compress", "h5mu", 1}, {"mtx", "mtx", 0}};
    char to[1200];
    const char *name = strrchr(path, '/');

    (void)printf("{\"path\": \"%s\", \"verbs\": ", path);
    (void)fflush(stdout);
    json_t *verbs = json_object();
    (void)json_object_set_new(verbs, "validate", validated(path));
    (void)json_object_set_new(verbs, "inspect", inspected(path));
    (void)json_object_set_new(verbs, "compute", computed(path));
    for (size_t k = 0; k < sizeof copies / sizeof *copies; k++) {
        (void)snprintf(to, sizeof to, "%s/%s.%s%s", folder, name ? name + 1 : path, copies[k].name,
                       strcmp(copies[k].to, "mtx") == 0 ? "/" : ".h5mu");
        (void)json_object_set_new(verbs, copies[k].name,
                                  converted(path, to, copies[k].to, copies[k].again));
    }
    (void)json_dumpf(verbs, stdout, 0);
    (void)puts("}");
    json_decref(verbs);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    for (int k = 2; k < argc; k++) look_at(argv[1], argv[k]);
    return 0;
}
