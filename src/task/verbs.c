/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs on models: each goes to the row of the model's kind (models/kind.h), here and nowhere
 * else. Out-parameters are NULL unless it succeeds. */
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "task/model_file.h"

static scw_status not_offered(const scw_model_kind *kind, const char *what)
{
    return status_fail(SCW_EUNSUPPORTED,
                       "a %s model does not %s; docs/models/%s.md says what it does", kind->name,
                       what, kind->name);
}

/* ------------------------------------------------------------------- a fit that starts from a model */

/* Is `name` one of the names separated by |? */
static bool among(const char *names, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = names; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == '|' || at[n] == '\0')) return true;
    return false;
}

/* What the options say otherwise than the model, of those that must not. */
static scw_status compare_options(textbuf *out, const scw_model *from, const void *options)
{
    scw_status st = SCW_OK;
    const struct scw_model_ops *ops = from->kind->ops;
    char *had = NULL, *now = NULL;

    for (const scw_option *o = from->kind->options; o->type != SCW_OPTION_END; o++) {
        if (!among(ops->kept_groups, o->group) || among(ops->free_options, o->name)) continue;
        mem_free(had);
        mem_free(now);
        had = now = NULL;
        TRY(scw_options_get(&had, from->kind->options, model_options(from), o->name));
        TRY(scw_options_get(&now, from->kind->options, options, o->name));
        if (had && now && strcmp(had, now) != 0)
            TRY(text_add(out, "%s--%s %s, not %s", out->length ? "; " : "", o->name, had, now));
    }
done:
    mem_free(had);
    mem_free(now);
    return st;
}

static scw_status check_start(const scw_model_kind *kind, const scw_fit_request *request,
                              const void *options)
{
    scw_status st = SCW_OK;
    const scw_model *from = request->from;
    const char *key;
    textbuf differs = {0};

    if (!kind->ops->kept_groups) {
        st = not_offered(kind, "start from a fitted model");
        goto done;
    }
    if (from->kind != kind)
        FAIL(SCW_EINVAL, "the model to start from is of the kind %s, this fit is of %s", from->kind->name,
             kind->name);
    if (request->modalities)
        FAIL(SCW_EINVAL, "a fit that starts from a model has its modalities; leave the list of them out");
    TRY(compare_options(&differs, from, options));
    if (differs.length > 0)
        FAIL(SCW_EINVAL, "the model to start from has %s; a fit that starts from it cannot change that",
             text_get(&differs));
    key = json_string_value(json_object_get(from->record, "batch_key"));
    if (model_n_batches(from) > 0 && !request->batch_key)
        FAIL(SCW_EINVAL,
             "the model to start from tells batches apart%s%s%s; name the column with the batch of each "
             "cell (--batch-key)",
             key ? " by obs['" : "", key ? key : "", key ? "']" : "");
done:
    text_clear(&differs);
    return st;
}

static scw_status record_start(scw_model *m, const scw_model *from)
{
    scw_status st = SCW_OK;
    char fingerprint[FINGERPRINT];

    TRY(model_fingerprint(fingerprint, from));
    if (json_object_set_new(m->record, "from", json_string(fingerprint)) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the training record");
done:
    return st;
}

/* A label key where the kind learns classes, none where it does not. */
static scw_status check_label(const scw_model_kind *kind, const scw_fit_request *request)
{
    if (kind->labels == SCW_LABELS_NEEDED && !request->label_key)
        return status_fail(SCW_EINVAL, "%s learns classes: name the obs column that has them", kind->name);
    if (kind->labels == SCW_LABELS_NONE && request->label_key)
        return status_fail(SCW_EINVAL, "%s learns no classes: leave the label key out", kind->name);
    return SCW_OK;
}

/* -------------------------------------------------------------------------------------- the verbs */

scw_status scw_model_fit(scw_model **out, const scw_model_kind *kind, const scw_dataset *reference,
                         const scw_fit_request *request, const void *options,
                         const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    *out = NULL;
    threads_set(request->threads);
    TRY(check_label(kind, request));
    if (request->from) TRY(check_start(kind, request, options));
    TRY(kind->ops->fit(out, kind, reference, request, options, hooks));
    if (request->from) TRY(record_start(*out, request->from));
done:
    if (st != SCW_OK) {
        scw_model_free(*out);
        *out = NULL;
    }
    return st;
}

scw_status scw_model_cross_validate(char **out_json, const scw_model_kind *kind,
                                    const scw_dataset *reference, const char *splits_path,
                                    const scw_fit_request *request, const void *options,
                                    const scw_hooks *hooks)
{
    *out_json = NULL;
    if (request->from)
        return status_fail(SCW_EINVAL, "cross-validation fits from the start: the model to start from may "
                                       "have seen the cells that judge");
    if (!kind->ops->cross_validate) return not_offered(kind, "judge itself by cross-validation");
    threads_set(request->threads);
    return kind->ops->cross_validate(out_json, kind, reference, splits_path, request, options,
                                     hooks);
}

scw_status scw_model_apply(scw_results **out, const scw_model *m, const scw_dataset *query,
                           const scw_task_request *request, const scw_hooks *hooks)
{
    *out = NULL;
    if (request->annotate && m->classes.n == 0) return not_offered(m->kind, "annotate cells");
    if (!m->kind->ops->apply) return not_offered(m->kind, "embed cells");
    threads_set(request->threads);
    return m->kind->ops->apply(out, m, query, request, hooks);
}

scw_status scw_model_translate(scw_results **out, const scw_model *m, const scw_dataset *query,
                               const scw_translate_request *request, const scw_hooks *hooks)
{
    *out = NULL;
    if (!m->kind->ops->translate) return not_offered(m->kind, "translate modalities");
    threads_set(request->threads);
    return m->kind->ops->translate(out, m, query, request, hooks);
}

scw_status scw_model_simulate(const scw_model *m, const scw_dataset *reference,
                              const scw_simulate_request *request, const char *path,
                              const scw_hooks *hooks)
{
    if (!m->kind->ops->simulate) return not_offered(m->kind, "simulate cells");
    return m->kind->ops->simulate(m, reference, request, path, hooks);
}

scw_status scw_model_markers(scw_markers **out, const scw_model *m, const scw_dataset *data,
                             const scw_markers_request *request, const scw_hooks *hooks)
{
    *out = NULL;
    if (!m->kind->ops->markers) return not_offered(m->kind, "find markers");
    return m->kind->ops->markers(out, m, data, request, hooks);
}
