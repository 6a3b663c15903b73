/* SPDX-License-Identifier: BSD-3-Clause */
/* A kind of model is one row of functions, and the verbs of include/scweave call no model by any
 * other way. How to add a kind:
 *
 *   src/models  its network, its options, a struct that begins with a scw_model
 *   src/train   how it is fitted
 *   src/task    <kind>.c with its row, which says all that it does, and a line in registry.c
 *
 * The row stands in src/task because its verbs see all layers; it is declared here because a model
 * of any layer can be made and freed. */
#ifndef MODELS_KIND_H
#define MODELS_KIND_H

#include "models/model.h"
#include "scweave/markers.h"

/* What a query must look like to be a model's input. */
typedef struct model_intake {
    double min_coverage; /* share of a modality's features that the query must have */
    int fractional;      /* values that are not whole numbers are taken for counts */
    int own_library;     /* a query is scaled to its own mean library size (published) */
} model_intake;

struct model_writer; /* task/model_file.h */
struct model_reader;

struct scw_model_ops {
    size_t size;                 /* bytes of the kind's struct */
    size_t options;              /* where its options are in it */
    void (*init)(scw_model *m);  /* of zeroed memory; NULL: that will do */
    void (*clear)(scw_model *m); /* what it has beside the scw_model */
    void (*intake)(model_intake *out, const scw_model *m);

    /* The model file: facts are JSON values by key, beside those that every model has; what `write`
     * adds, `read` finds. All three come after what all models have. */
    scw_status (*describe)(json_t *facts, const scw_model *m);
    scw_status (*write)(struct model_writer *to, const scw_model *m);
    scw_status (*read)(scw_model *m, const struct model_reader *from);

    /* The verbs, as include/scweave documents them under scw_model_<verb>. NULL: the kind does not
     * offer it, and the caller is told so. */
    scw_status (*fit)(scw_model **out, const scw_model_kind *kind, const scw_dataset *reference,
                      const scw_fit_request *request, const void *options, const scw_hooks *hooks);
    /* Can a fit start from a fitted model of the kind (request->from)? Then these groups of options stay
     * as that model has them, but for single options, names separated by |; NULL: it cannot. `fit` is
     * called with a model of the kind whose options agree, and takes features, transforms and parameters
     * from it (train/reference.h, models/carry.h). */
    const char *kept_groups, *free_options;
    scw_status (*cross_validate)(char **out_json, const scw_model_kind *kind,
                                 const scw_dataset *reference, const char *splits_path,
                                 const scw_fit_request *request, const void *options,
                                 const scw_hooks *hooks);
    scw_status (*apply)(scw_results **out, const scw_model *model, const scw_dataset *query,
                        const scw_task_request *request, const scw_hooks *hooks);
    scw_status (*translate)(scw_results **out, const scw_model *model, const scw_dataset *query,
                            const scw_translate_request *request, const scw_hooks *hooks);
    scw_status (*simulate)(const scw_model *model, const scw_dataset *reference,
                           const scw_simulate_request *request, const char *path,
                           const scw_hooks *hooks);
    scw_status (*markers)(scw_markers **out, const scw_model *model, const scw_dataset *data,
                          const scw_markers_request *request, const scw_hooks *hooks);
};

#endif
