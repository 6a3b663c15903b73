/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/record.h"

#include <stdlib.h>

#include "base/alloc.h"

scw_status record_add_options(json_t *record, int *failed, const scw_option *table,
                              const void *options)
{
    scw_status st = SCW_OK;
    char *value = NULL;

    for (const scw_option *o = table; !*failed && o->type != SCW_OPTION_END; o++) {
        mem_free(value);
        TRY(scw_options_get(&value, table, options, o->name));
        *failed |= json_object_set_new(record, o->name, json_string(value));
    }
done:
    mem_free(value);
    return st;
}

scw_status record_text(char **out, const json_t *record)
{
    scw_status st = SCW_OK;
    char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text) FAIL(SCW_ENOMEM, "out of memory in the record of the results");
    TRY(mem_strdup(out, text)); /* jansson's memory is not ours to hand out */
done:
    free(text);
    return st;
}
