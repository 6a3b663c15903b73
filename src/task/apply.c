/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/apply.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "scweave/version.h"
#include "task/record.h"

scw_status apply_add_array(scw_results *r, const uint8_t *covered, const char *name, float **values,
                           int64_t width, const strings *names)
{
    scw_status st = SCW_OK;
    results_array array = {.n_rows = r->n_obs, .n_cols = width};

    TRY(mem_strdup(&array.name, name));
    if (names) TRY(strings_copy(&array.col_names, names));
    array.values = *values;
    *values = NULL;
    for (int64_t i = 0; i < r->n_obs; i++)
        for (int64_t k = 0; !covered[i] && k < width; k++)
            array.values[i * width + k] = NAN;
    TRY(results_add_array(r, &array));
done:
    results_array_clear(&array);
    return st;
}

scw_status apply_set_record(scw_results *r, const scw_model *m, const scw_task_request *request,
                            const model_coverage *coverage)
{
    scw_status st = SCW_OK;
    json_t *record = json_pack("{s:s, s:s}", "version", scw_version(), "model", m->kind->name);
    char key[128];
    int failed = record == NULL;

    if (!failed && request->command)
        failed |= json_object_set_new(record, "command", json_string(request->command));
    if (!failed) failed |= json_object_set(record, "seed", json_object_get(m->record, "seed"));
    for (int k = 0; !failed && k < m->n_modalities; k++) {
        (void)snprintf(key, sizeof key, "features_found_%s", m->modality[k].name);
        failed |= json_object_set_new(record, key, json_integer(coverage[k].n_found));
    }
    for (const scw_option *o = m->kind->options; !failed && o->type != SCW_OPTION_END; o++) {
        char *value = NULL;
        TRY(scw_options_get(&value, m->kind->options, model_options(m), o->name));
        (void)snprintf(key, sizeof key, "option_%s", o->name);
        if (value) failed |= json_object_set_new(record, key, json_string(value));
        mem_free(value);
    }
    if (failed) FAIL(SCW_ENOMEM, "out of memory in the record of the results");
    TRY(record_text(&r->record_json, record));
done:
    json_decref(record);
    return st;
}

#define PART_BYTES 3e7 /* of counts */
#define ENTRY_BYTES 8.0 /* of CSR */
#define PART_CELLS 512 /* cells of a part are a multiple of this: the blocks of inference stay */

int64_t apply_at_a_time(const scw_dataset *query)
{
    int64_t n = query->n_obs;

    for (int k = 0; k < query->n_modalities; k++) {
        const modality *m = &query->modalities[k];
        const row_store *s = m->store;
        double bytes = s ? (double)s->bytes : (double)matrix_nnz(&m->x) * ENTRY_BYTES;
        double room = s ? fmin(PART_BYTES, (double)s->memory_bytes / 8.0) : PART_BYTES;
        double fit = room / (bytes / (double)(m->x.n_rows + 1) + 1.0);
        if (fit < (double)n) n = (int64_t)fit;
    }
    if (n == query->n_obs) return n;
    return n < PART_CELLS ? PART_CELLS : n / PART_CELLS * PART_CELLS;
}
