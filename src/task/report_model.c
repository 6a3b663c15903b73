/* SPDX-License-Identifier: BSD-3-Clause */
/* Of the page about a run: how the model was made. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "io/safetensors.h"
#include "task/report.h"

/* Any plain value of a record as text; "" for others. */
static void value_text(char *out, size_t size, const json_t *v)
{
    *out = '\0';
    if (json_is_string(v)) (void)snprintf(out, size, "%s", json_string_value(v));
    if (json_is_integer(v)) (void)snprintf(out, size, "%lld", (long long)json_integer_value(v));
    if (json_is_real(v)) (void)snprintf(out, size, "%.4g", json_real_value(v));
    if (json_is_boolean(v)) (void)snprintf(out, size, "%s", json_is_true(v) ? "yes" : "no");
}

static scw_status write_record(report *r)
{
    scw_status st = SCW_OK;
    static const char *const headings[] = {"record", ""};
    char value[512];
    const char *key;
    json_t *v;
    safetensors_file file = {0};

    TRY(html_table(&r->page, "ll", headings));
    TRY(safetensors_read(&file, r->files.model));
    const char *version = safetensors_text(&file, "version");
    const char *rows[][2] = {{"model", r->model->kind->name},
                             {"made by scweave", version ? version : "?"}};
    for (int k = 0; k < 2; k++)
        TRY(html_row(&r->page, "ll", rows[k]));
    json_object_foreach(r->model->record, key, v)
    {
        value_text(value, sizeof value, v);
        if (*value) TRY(html_row(&r->page, "ll", (const char *[]){key, value}));
    }
    TRY(html_table_end(&r->page));
done:
    safetensors_clear(&file);
    return st;
}

static scw_status write_modalities(report *r)
{
    scw_status st = SCW_OK;
    static const char *const headings[] = {"modality", "kind", "features", "transform"};
    char n[32];

    TRY(html_table(&r->page, "llrl", headings));
    for (int k = 0; k < r->model->n_modalities; k++) {
        const model_modality *m = &r->model->modality[k];
        (void)snprintf(n, sizeof n, "%lld", (long long)m->features.n);
        TRY(html_row(&r->page, "llrl",
                     (const char *[]){m->name, modality_kind_name(m->kind), n,
                                      transform_name(m->prep.kind)}));
    }
    TRY(html_table_end(&r->page));
    TRY(html_note(&r->page, "%lld classes.", (long long)r->model->classes.n));
done:
    return st;
}

/* Options whose value is not the default, with both. */
static scw_status write_options(report *r)
{
    scw_status st = SCW_OK;
    static const char *const headings[] = {"option", "value", "default"};
    const scw_model_kind *kind = r->model->kind;
    void *defaults = NULL;
    char *value = NULL, *usual = NULL;
    int n = 0;

    TRY(mem_new_raw(&defaults, 1, kind->options_size));
    TRY(scw_options_init(kind->options, defaults));
    for (const scw_option *o = kind->options; o->type != SCW_OPTION_END; o++) {
        mem_free(value);
        mem_free(usual);
        value = usual = NULL;
        TRY(scw_options_get(&value, kind->options, model_options(r->model), o->name));
        TRY(scw_options_get(&usual, kind->options, defaults, o->name));
        if (strcmp(value ? value : "", usual ? usual : "") == 0) continue;
        if (n++ == 0) TRY(html_table(&r->page, "lll", headings));
        TRY(html_row(&r->page, "lll", (const char *[]){o->name, value, usual}));
    }
    TRY(n ? html_table_end(&r->page) : html_note(&r->page, "All options have their defaults."));
done:
    mem_free(value);
    mem_free(usual);
    if (defaults) scw_options_clear(kind->options, defaults);
    mem_free(defaults);
    return st;
}

scw_status report_model(report *r)
{
    scw_status st = SCW_OK;

    TRY(html_section(&r->page, "Model and settings"));
    if (r->model) {
        TRY(write_record(r));
        TRY(write_modalities(r));
        TRY(write_options(r));
    } else {
        TRY(html_missing(&r->page, "There is no model file in the folder.",
                         "scweave fit matilda REF.h5mu --label KEY -o model.safetensors"));
    }
    TRY(html_section_end(&r->page));
done:
    return st;
}

/* Losses of the first and the last epoch. */
static scw_status write_losses(report *r, const json_t *history)
{
    scw_status st = SCW_OK;
    static const char *const headings[] = {"", "first epoch", "last epoch"};
    json_t *first = json_array_get(history, 0);
    const json_t *last = json_array_get(history, json_array_size(history) - 1);
    const char *key;
    json_t *v;
    char texts[2][64];

    TRY(html_table(&r->page, "lrr", headings));
    json_object_foreach(first, key, v)
    {
        if (!json_is_real(v)) continue;
        value_text(texts[0], sizeof texts[0], v);
        value_text(texts[1], sizeof texts[1], json_object_get(last, key));
        TRY(html_row(&r->page, "lrr", (const char *[]){key, texts[0], texts[1]}));
    }
    TRY(html_table_end(&r->page));
done:
    return st;
}

scw_status report_training(report *r)
{
    scw_status st = SCW_OK;

    if (!r->model) return SCW_OK;
    const json_t *history = json_object_get(r->model->record, "history");
    TRY(html_section(&r->page, "Training"));
    if (json_array_size(history)) {
        TRY(report_picture(r, "training", r->files.model, NULL,
                           "Losses over the epochs, each on its own scale."));
        TRY(write_losses(r, history));
    } else {
        TRY(html_missing(&r->page, "The model file has no record of its training.", NULL));
    }
    TRY(html_section_end(&r->page));
done:
    return st;
}
