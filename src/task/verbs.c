/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs on models: each goes to the row of the model's kind (models/kind.h), here and nowhere
 * else. Out-parameters are NULL unless it succeeds. */
#include "base/threads.h"
#include "models/kind.h"

static scw_status not_offered(const scw_model_kind *kind, const char *what)
{
    return status_fail(SCW_EUNSUPPORTED,
                       "a %s model does not %s; docs/models/%s.md says what it does", kind->name,
                       what, kind->name);
}

scw_status scw_model_fit(scw_model **out, const scw_model_kind *kind, const scw_dataset *reference,
                         const scw_fit_request *request, const void *options,
                         const scw_hooks *hooks)
{
    *out = NULL;
    threads_set(request->threads);
    if (kind->labelled && !request->label_key)
        return status_fail(SCW_EINVAL, "%s learns classes: name the obs column that has them",
                           kind->name);
    return kind->ops->fit(out, kind, reference, request, options, hooks);
}

scw_status scw_model_cross_validate(char **out_json, const scw_model_kind *kind,
                                    const scw_dataset *reference, const char *splits_path,
                                    const scw_fit_request *request, const void *options,
                                    const scw_hooks *hooks)
{
    *out_json = NULL;
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
