/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb `validate`: open what is named and report on it; src/io looks. */
#include "scweave/validate.h"

#include "io/input.h"
#include "io/validate.h"

scw_status scw_validate(char **out, int *valid, const char *path,
                        const scw_validate_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_session session;
    input in = {0};
    json_t *root = NULL;
    bool sound = false;

    if (!out || !valid) return status_fail(SCW_EINVAL, "no place for the report");
    *out = NULL;
    *valid = 0;
    h5_session_begin(&session);
    st = input_open(&in, path);
    TRY(st == SCW_OK ? validate_file(&root, &sound, &in, options, hooks)
                     : validate_unopened(&root, path, st));
    /* jansson's memory comes from malloc, as scw_free expects. */
    *out = json_dumps(root, JSON_INDENT(2));
    if (!*out) FAIL(SCW_ENOMEM, "out of memory: report");
    *valid = sound;
done:
    json_decref(root);
    input_close(&in);
    h5_session_end(&session);
    return st;
}
