/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave bench: what this machine can do, and how near a training step comes to it.
 *
 * The limit of a step is the time its arithmetic takes at the measured peak of products plus the
 * time its unavoidable memory traffic takes at the measured bandwidth. Traffic: the optimizer's
 * pass over values, gradients and two moments (read all, write all). Activations of a batch fit in
 * cache and are not counted. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "kernel/peak.h"
#include "scweave/evaluate.h"
#include "train/fit.h"

#define SHORT_RUN 60 /* steps */
#define LONG_RUN 1000
#define OPTIMIZER_BYTES (8.0 * sizeof(float)) /* a parameter and step: 4 arrays read, 4 written */

typedef struct step_cost {
    double flops, bytes;
} step_cost;

/* Multiplications and additions of one training step (forward and both gradients). */
static step_cost cost_of(const scw_model *m, const reference *ref, double batch)
{
    const matilda_config *c = &m->net.config;
    step_cost cost = {0};
    double hidden = 0.0, joint = (double)c->n_joint, z = (double)c->z_dim;

    for (int k = 0; k < c->n_modalities; k++) {
        const matilda_modality *x = &c->modality[k];
        double h = (double)x->n_hidden, f = (double)x->n_vars, u = (double)x->n_components;
        double nnz = (double)matrix_nnz(&ref->modality[k].counts) / (double)ref->n;
        /* Sparse input: forward and weight gradient touch the non-zeros; a fixed projection has no
         * gradient, and what follows it is dense. */
        cost.flops += u > 0 ? 2.0 * batch * (nnz * u + 3.0 * u * h) : 2.0 * batch * nnz * 2.0 * h;
        cost.flops += 2.0 * batch * 3.0 * z * f;
        hidden += h;
    }
    cost.flops += 2.0 * batch * 3.0 * (hidden * joint + 2.0 * joint * z);
    cost.flops += 2.0 * batch * 3.0 * z * (double)c->n_classes;
    cost.bytes = OPTIMIZER_BYTES * (double)m->net.p.n_trainable;
    return cost;
}

/* Seconds and steps of a fit limited to about `steps`. */
static scw_status timed_fit(double *seconds, double *steps, step_cost *cost, const reference *ref,
                            const scw_model_kind *kind, const matilda_options *from, int64_t limit)
{
    scw_status st = SCW_OK;
    scw_model *m = NULL;
    int64_t *rows = NULL;
    matilda_options options = *from;

    options.min_steps = options.max_steps = limit;
    options.validation = 0.0;
    options.augmentation = AUGMENT_OFF;
    /* What is chosen before the first step is not measured here: the less of it, the less noise in
     * the difference of two runs. */
    options.shortcut_c = 10.0;
    options.library = 1e4;
    options.modality_weights = 0;
    options.calibration_folds = 0;
    options.likelihood = LIKELIHOOD_GAUSSIAN;
    TRY(mem_new(&rows, ref->n));
    for (int64_t i = 0; i < ref->n; i++)
        rows[i] = i;
    double start = clock_wall();
    TRY(fit_model(&m, kind, ref, rows, ref->n, &options, 1, NULL, NULL));
    *seconds = clock_wall() - start;
    *steps = (double)json_integer_value(json_object_get(m->record, "n_steps"));
    *cost = cost_of(m, ref, (double)options.batch_size);
done:
    mem_free(rows);
    scw_model_free(m);
    return st;
}

static scw_status bench_setting(json_t *list, const char *path, const char *preset,
                                const reference *ref, double gflops, double gbs)
{
    scw_status st = SCW_OK;
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    matilda_options options;
    double short_time, short_steps, long_time, long_steps;
    step_cost cost;

    TRY(scw_options_init(kind->options, &options));
    if (preset) TRY(kind->preset(&options, preset));
    TRY(timed_fit(&short_time, &short_steps, &cost, ref, kind, &options, SHORT_RUN));
    TRY(timed_fit(&long_time, &long_steps, &cost, ref, kind, &options, LONG_RUN));
    double step = long_steps > short_steps ? (long_time - short_time) / (long_steps - short_steps)
                                           : long_time / long_steps;
    double arithmetic = cost.flops / (gflops * 1e9), traffic = cost.bytes / (gbs * 1e9);
    json_t *row = json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f}", "file", path, "settings",
                            preset ? preset : "default", "n_obs", (json_int_t)ref->n, "step_ms",
                            1e3 * step, "arithmetic_ms", 1e3 * arithmetic, "traffic_ms",
                            1e3 * traffic, "ratio", step / (arithmetic + traffic));
    if (!row || json_array_append_new(list, row) != 0) FAIL(SCW_ENOMEM, "out of memory");
done:
    return st;
}

static scw_status bench_file(json_t *list, const char *path, double gflops, double gbs,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    reference ref = {0};
    scw_source source = {.path = path};

    TRY(scw_dataset_open(&d, &source, 1, NULL, hooks));
    TRY(reference_build(&ref, d, "cell_type", NULL, true, hooks));
    TRY(bench_setting(list, path, NULL, &ref, gflops, gbs));
    TRY(bench_setting(list, path, "compat", &ref, gflops, gbs));
done:
    reference_clear(&ref);
    scw_dataset_free(d);
    return st;
}

scw_status scw_bench(char **out_json, const char *const *paths, int n_paths, int threads,
                     const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    json_t *all = NULL, *list = json_array();
    char *dumped = NULL;

    *out_json = NULL;
    threads_set(threads);
    double fp32 = peak_gemm_gflops(), bf16 = peak_bf16_gflops(), gbs = peak_bandwidth_gbs();
    all = json_pack("{s:i, s:s, s:s, s:f, s:f, s:f, s:o}", "threads", threads_get(), "isa",
                    kernel_isa(), "products", kernel_gemm_name(), "fp32_gflops", fp32,
                    "bf16_gflops", bf16, "bandwidth_gb_per_s", gbs, "steps", list);
    if (!all) FAIL(SCW_ENOMEM, "out of memory");
    for (int k = 0; k < n_paths; k++)
        TRY(bench_file(list, paths[k], fp32, gbs, hooks));
    dumped = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory");
    TRY(mem_strdup(out_json, dumped));
done:
    free(dumped);
    json_decref(all);
    return st;
}
