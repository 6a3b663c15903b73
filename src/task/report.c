/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_report: finds what a folder holds, chooses the columns, writes the sections in their order.
 */
#include "task/report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "scweave/version.h"
#include "task/obs.h"

enum { MOST_GROUPS = 40 };

static void report_clear(report *r)
{
    text_clear(&r->page);
    run_files_clear(&r->files);
    scw_model_free(r->model);
    scw_dataset_free(r->cells);
    mem_free(r->prediction);
}

/* A file that turned out to be unreadable is named with the reason; the page does without it. */
static scw_status give_up(report *r, scw_status why, char **path)
{
    scw_status st = SCW_OK;
    textbuf line = {0};

    if (why == SCW_OK) return SCW_OK;
    if (why == SCW_ENOMEM || why == SCW_ECANCELLED) return why;
    log_warning(r->hooks, "%s", scw_error_message());
    TRY(text_add(&line, "%s", scw_error_message()));
    TRY(strings_add(&r->files.others, text_get(&line)));
    mem_free(*path);
    *path = NULL;
done:
    text_clear(&line);
    return st;
}

static scw_status open_files(report *r)
{
    scw_status st = SCW_OK;

    TRY(run_files_find(&r->files, r->request->folder, r->hooks));
    run_files *f = &r->files;
    if (f->model) TRY(give_up(r, scw_model_load(&r->model, f->model), &f->model));
    if (f->cells) {
        const scw_source source = {.path = f->cells};
        TRY(give_up(r, scw_dataset_open(&r->cells, &source, 1, &(scw_read_options){.leave_matrices = 1}, r->hooks), &f->cells));
    }
    if (!f->model && !f->cells && !f->folds && !f->evaluation && !f->markers)
        FAIL(SCW_ENOTFOUND,
             "%s: holds nothing that a page could be about: no model file, no cells, "
             "no scores, no markers",
             r->request->folder);
done:
    return st;
}

/* A column that was named must be there; one that is only usual may be absent. */
static scw_status choose_column(const char **out, const report *r, const char *named,
                                const char *usual)
{
    scw_status st = SCW_OK;
    const column *c;

    *out = NULL;
    if (!r->cells) return SCW_OK;
    if (named) {
        st = dataset_obs_column(&c, r->cells, named);
        if (st != SCW_OK) return status_prefix(st, "%s", r->files.cells);
        *out = named;
    } else if (usual && frame_find(&r->cells->obs, usual)) {
        *out = usual;
    }
    return st;
}

/* The first usual name of a column whose groups are few enough for bars. */
static scw_status choose_group(report *r)
{
    static const char *const usual[] = {"batch",    "Batch",     "donor",  "Donor",
                                        "donor_id", "sample",    "Sample", "sample_id",
                                        "patient",  "replicate", "group",  "Group"};
    scw_status st = SCW_OK;
    int32_t *codes = NULL;
    strings names = {0};

    TRY(choose_column(&r->group, r, r->request->group_key, NULL));
    for (size_t k = 0; k < sizeof usual / sizeof *usual && r->cells && !r->group; k++) {
        if (!frame_find(&r->cells->obs, usual[k])) continue;
        mem_free(codes);
        strings_clear(&names);
        TRY(obs_classes(&codes, &names, r->cells, r->files.cells, usual[k]));
        if (names.n > 1 && names.n <= MOST_GROUPS) r->group = usual[k];
    }
done:
    mem_free(codes);
    strings_clear(&names);
    return st;
}

static scw_status choose_columns(report *r)
{
    scw_status st = SCW_OK;
    const json_t *record = r->model ? r->model->record : NULL;
    const char *prediction;
    char usual[128] = "";

    TRY(choose_column(&r->label, r, r->request->label_key,
                      json_string_value(json_object_get(record, "label_key"))));
    if (r->model) (void)snprintf(usual, sizeof usual, "%s_label", r->model->kind->name);
    TRY(choose_column(&prediction, r, r->request->prediction_key, usual));
    TRY(mem_strdup(&r->prediction, prediction));
    TRY(choose_group(r));
done:
    return st;
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

static scw_status write_contents(report *r)
{
    scw_status st = SCW_OK;
    static const char *const headings[] = {"found in the folder", ""};
    const run_files *f = &r->files;
    const char *rows[][2] = {{"model", f->model},
                             {"cells", f->cells},
                             {"cross-validation", f->folds},
                             {"evaluation", f->evaluation},
                             {"markers", f->markers}};

    TRY(html_table(&r->page, "ll", headings));
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        rows[k][1] = rows[k][1] ? base_name(rows[k][1]) : "not there";
        TRY(html_row(&r->page, "ll", rows[k]));
    }
    for (int64_t k = 0; k < f->others.n; k++)
        TRY(html_row(&r->page, "ll", (const char *[]){"not used", f->others.at[k]}));
    TRY(html_table_end(&r->page));
done:
    return st;
}

/* The folder's own name, also of ".". */
static scw_status folder_name(char **out, const char *folder)
{
    scw_status st = SCW_OK;
    char whole[PATH_MAX];
    const char *name = base_name(realpath(folder, whole) ? whole : folder);

    TRY(mem_strdup(out, *name ? name : folder));
done:
    return st;
}

static scw_status write_page(report *r)
{
    scw_status st = SCW_OK;
    char *name = NULL;

    TRY(folder_name(&name, r->request->folder));
    TRY(html_begin(&r->page, r->request->title ? r->request->title : name));
    TRY(text_add(&r->page, "<p class=\"soft\">A run of scweave; page by version %s</p>\n",
                 scw_version()));
    TRY(write_contents(r));
    TRY(report_model(r));
    TRY(report_data(r));
    TRY(report_scores(r));
    TRY(report_training(r));
    TRY(report_pictures(r));
    TRY(html_end(&r->page));
done:
    mem_free(name);
    return st;
}

scw_status scw_report(const char *output, const scw_report_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    report r = {.request = request, .hooks = hooks};

    if (!output || !request || !request->folder)
        FAIL(SCW_EINVAL, "a report needs a folder and an output");
    TRY(atomic_file_probe(output));
    TRY(open_files(&r));
    TRY(choose_columns(&r));
    TRY(write_page(&r));
    TRY(atomic_file_write(output, text_get(&r.page), r.page.length));
done:
    report_clear(&r);
    return st;
}
