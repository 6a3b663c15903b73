/* SPDX-License-Identifier: BSD-3-Clause */
/* A ranking of features in the layout of scanpy's rank_genes_groups:
 *
 *   uns/<name>/params          dict
 *             /names           records, a field a class, texts: the feature at each rank
 *             /modalities      the same: the feature's modality
 *             /scores, ...     the same, numbers */
#include <string.h>

#include "base/alloc.h"
#include "io/write_element.h"

#define LONGEST_FIELD 255 /* bytes of a class's name that are kept */

/* Field names of records must differ and not be empty: a suffix tells equal ones apart. */
static scw_status field_names(strings *out, const strings *groups)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    for (int64_t k = 0; k < groups->n; k++) {
        const char *group = *groups->at[k] ? groups->at[k] : "_";
        bool taken = true;
        for (int turn = 1; taken; turn++) {
            text_clear(&name);
            TRY(text_add(&name, turn == 1 ? "%.*s" : "%.*s_%d", LONGEST_FIELD, group, turn));
            taken = false;
            for (int64_t i = 0; i < out->n; i++)
                taken = taken || strcmp(out->at[i], text_get(&name)) == 0;
        }
        TRY(strings_add(out, text_get(&name)));
    }
done:
    text_clear(&name);
    return st;
}

static scw_status write_numbers(hid_t group, const char *name, const strings *fields, int64_t n,
                                const double *values)
{
    scw_status st = SCW_OK;
    hid_t d = 0;

    TRY(h5_write_number_records(&d, group, name, fields, n, values));
    TRY(write_encoding(d, "rec-array", "0.2.0"));
done:
    h5_close(&d);
    return st;
}

static scw_status write_texts(hid_t group, const char *name, const strings *fields, int64_t n,
                              const strings *values)
{
    scw_status st = SCW_OK;
    hid_t d = 0;

    TRY(h5_write_text_records(&d, group, name, fields, n, values));
    TRY(write_encoding(d, "rec-array", "0.2.0"));
done:
    h5_close(&d);
    return st;
}

scw_status write_ranking(hid_t uns, const results_ranking *r)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    strings fields = {0};

    TRY(field_names(&fields, &r->groups));
    TRY(h5_remove(uns, r->name));
    TRY(h5_make_group(&group, uns, r->name));
    TRY(write_encoding(group, "dict", "0.1.0"));
    TRY(write_record(group, "params", r->params_json));
    TRY(write_texts(group, "names", &fields, r->n_ranks, &r->features));
    TRY(write_texts(group, "modalities", &fields, r->n_ranks, &r->modalities));
    for (int k = 0; k < RESULTS_RANKING_VALUES; k++)
        TRY(write_numbers(group, results_ranking_names[k], &fields, r->n_ranks, r->values[k]));
done:
    strings_clear(&fields);
    h5_close(&group);
    return st;
}
