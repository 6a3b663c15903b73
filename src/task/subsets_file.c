/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/subsets_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "task/calibration_file.h"

static void prefix(char out[64], int k)
{
    (void)snprintf(out, 64, "subset.%d.calibration", k);
}

/* ------------------------------------------------------------------------------------- save */

static json_t *path_to_json(const matilda_model *m, const subset_path *path)
{
    json_t *names = json_array();
    json_t *row = json_pack("{s:o, s:f}", "modalities", names, "penalty", path->penalty);
    int failed = row == NULL;

    for (int k = 0; !failed && k < m->base.n_modalities; k++)
        if (path->mask >> k & 1u)
            failed = json_array_append_new(names, json_string(m->base.modality[k].name)) != 0;
    if (!failed && path->calibration.n > 0)
        failed = json_object_set_new(row, "calibration", calibration_to_json(&path->calibration));
    if (!failed) return row;
    json_decref(row);
    return NULL;
}

scw_status subsets_to_json(json_t **out, const matilda_model *m)
{
    scw_status st = SCW_OK;

    *out = NULL;
    if (m->subsets.n == 0) return SCW_OK;
    *out = json_array();
    for (int k = 0; k < m->subsets.n; k++)
        if (!*out || json_array_append_new(*out, path_to_json(m, &m->subsets.at[k])) != 0)
            FAIL(SCW_ENOMEM, "out of memory in the description of a model");
done:
    return st;
}

scw_status subsets_write(model_writer *w, const matilda_model *m)
{
    scw_status st = SCW_OK;
    char start[64];

    for (int k = 0; k < m->subsets.n; k++) {
        prefix(start, k);
        TRY(calibration_write(w, start, &m->subsets.at[k].calibration));
    }
done:
    return st;
}

/* ------------------------------------------------------------------------------------- load */

/* 0: damaged. */
static uint32_t mask_from_json(const matilda_model *m, const json_t *row)
{
    const json_t *names = json_object_get(row, "modalities");
    uint32_t mask = 0;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int k = 0;
        while (k < m->base.n_modalities && (!name || strcmp(name, m->base.modality[k].name) != 0))
            k++;
        if (k == m->base.n_modalities) return 0;
        mask |= 1u << k;
    }
    return mask + 1u < 1u << m->base.n_modalities ? mask : 0;
}

scw_status subsets_from_json(matilda_model *m, const json_t *list, const char *path)
{
    scw_status st = SCW_OK;
    uint32_t mask[SUBSETS_MAX];
    const size_t n = json_array_size(list);

    if (!list) return SCW_OK;
    if (n == 0 || n > SUBSETS_MAX || m->base.n_modalities > SUBSETS_MAX_MODALITIES)
        FAIL(SCW_EFORMAT, "%s: the model's list of subsets is damaged", path);
    for (size_t k = 0; k < n; k++) {
        mask[k] = mask_from_json(m, json_array_get(list, k));
        bool known = mask[k] == 0;
        for (size_t j = 0; j < k; j++) known = known || mask[j] == mask[k];
        for (int q = 0; q < m->base.n_modalities; q++)
            known = known ||
                    ((mask[k] >> q & 1u) != 0 && m->net.config.modality[q].n_components == 0);
        if (known) FAIL(SCW_EFORMAT, "%s: the model's list of subsets is damaged", path);
    }
    TRY(subsets_init(&m->subsets, &m->net.config, mask, (int)n));
    for (size_t k = 0; k < n; k++)
        m->subsets.at[k].penalty =
            json_number_value(json_object_get(json_array_get(list, k), "penalty"));
done:
    return st;
}

scw_status subsets_load_calibration(matilda_model *m, const json_t *list, const safetensors_file *f,
                                    const char *path)
{
    scw_status st = SCW_OK;
    char start[64];

    for (int k = 0; k < m->subsets.n; k++) {
        prefix(start, k);
        TRY(calibration_load(&m->subsets.at[k].calibration,
                             json_object_get(json_array_get(list, (size_t)k), "calibration"), f,
                             path, start, m->base.classes.n, m->options.z_dim));
    }
done:
    return st;
}
