/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave bench: what this machine can do, and how near a training step comes to it.
 *
 * The limit of a step is the time its arithmetic takes at the measured peak of products plus the
 * time its unavoidable memory traffic takes at the measured bandwidth. Traffic: the optimizer's
 * pass over values, gradients, two moments and the running average (read all, write all).
 * Activations of a batch fit in cache and are not counted.
 *
 * A step lasts from one look at the cancel hook, which the trainer takes before each, to the next. So
 * the last step of an epoch, whose batch is smaller, does not count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "kernel/peak.h"
#include "scweave/evaluate.h"
#include "train/fit.h"

#define N_STEPS 1000
#define WARM_UP 20                            /* steps before the first that counts */
#define OPTIMIZER_BYTES (8.0 * sizeof(float)) /* a parameter and step: 4 arrays read, 4 written */
#define AVERAGE_BYTES (2.0 * sizeof(float))   /* the running average, read and written */

typedef struct step_cost {
    double flops, bytes;
} step_cost;

/* Multiplications and additions of one training step (forward and both gradients). */
static step_cost cost_of(const matilda_model *m, const reference *ref, double batch, double average)
{
    const matilda_config *c = &m->net.config;
    step_cost cost = {0};
    double hidden = 0.0, joint = (double)c->n_joint, z = (double)c->z_dim;

    for (int k = 0; k < c->n_modalities; k++) {
        const matilda_modality *x = &c->modality[k];
        double h = (double)x->n_hidden, f = (double)x->n_vars, u = (double)x->n_components;
        double nnz = (double)matrix_nnz(&ref->modality[k].counts) / (double)ref->n;
        /* Sparse input: forward and weight gradient touch the non-zeros. A fixed projection is done
         * before training, and what follows it is dense. */
        cost.flops += 2.0 * batch * (u > 0 ? 3.0 * u * h : 2.0 * nnz * h);
        cost.flops += 2.0 * batch * 3.0 * z * f;
        hidden += h;
    }
    cost.flops += 2.0 * batch * 3.0 * (hidden * joint + 2.0 * joint * z);
    cost.flops += 2.0 * batch * 3.0 * z * (double)c->n_classes;
    cost.bytes = (OPTIMIZER_BYTES + (average > 0.0 ? AVERAGE_BYTES : 0.0)) *
                 (double)m->net.p.n_trainable;
    return cost;
}

/* ---------------------------------------------------------------------------------- stopwatch */

/* Times of steps, from the hooks of a fit. */
typedef struct stopwatch {
    const scw_hooks *outer;
    double *look; /* [per_epoch] the latest looks at the cancel hook, look k at k % per_epoch */
    int64_t n_looks, per_epoch;
    double *seconds; /* [n] */
    int64_t n, most, step;
} stopwatch;

static int on_look(void *user)
{
    stopwatch *w = user;

    w->look[w->n_looks++ % w->per_epoch] = clock_wall();
    return w->outer && w->outer->cancelled ? w->outer->cancelled(w->outer->user) : 0;
}

/* The epoch's steps follow the latest looks. A step that is an epoch ends now. */
static void on_epoch(void *user, const scw_progress *progress)
{
    stopwatch *w = user;
    int64_t steps = progress->step - w->step, first = w->n_looks - steps;

    for (int64_t k = 0; k < steps && steps <= w->per_epoch && w->n < w->most; k++) {
        double start = w->look[(first + k) % w->per_epoch];
        if (w->step + k < WARM_UP || (k == steps - 1 && steps > 1)) continue;
        double end = steps > 1 ? w->look[(first + k + 1) % w->per_epoch] : clock_wall();
        w->seconds[w->n++] = end - start;
    }
    w->step = progress->step;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The share `q` of the steps is not slower; 0 when none was timed. */
static double quantile(stopwatch *w, double q)
{
    if (w->n == 0) return 0.0;
    qsort(w->seconds, (size_t)w->n, sizeof *w->seconds, by_size);
    return w->seconds[(int64_t)(q * (double)(w->n - 1))];
}

/* ---------------------------------------------------------------------------------- fits */

/* N_STEPS steps of a fit. What is chosen before and after them is left out. */
static scw_status timed_fit(stopwatch *w, step_cost *cost, const reference *ref,
                            const scw_model_kind *kind, const matilda_options *from)
{
    scw_status st = SCW_OK;
    matilda_model *m = NULL;
    int64_t *rows = NULL;
    matilda_options options = *from;
    scw_hooks hooks = {.progress = on_epoch, .cancelled = on_look, .user = w};

    options.min_steps = options.max_steps = N_STEPS;
    options.validation = 0.0;
    options.augmentation = AUGMENT_OFF;
    options.shortcut_c = 10.0;
    options.library = 1e4;
    options.modality_weights = 0;
    options.subsets = 0;
    options.calibration_folds = 0;
    options.likelihood = LIKELIHOOD_GAUSSIAN;
    w->per_epoch = ref->n / options.batch_size + 2;
    w->most = w->per_epoch + 2 * N_STEPS;
    TRY(mem_new(&w->look, w->per_epoch));
    TRY(mem_new(&w->seconds, w->most));
    TRY(mem_new(&rows, ref->n));
    for (int64_t i = 0; i < ref->n; i++)
        rows[i] = i;
    TRY(fit_model(&m, kind, ref, rows, ref->n, &options, 1, NULL, &hooks));
    *cost = cost_of(m, ref, fmin((double)options.batch_size, (double)ref->n), options.average);
done:
    mem_free(rows);
    matilda_free(m);
    return st;
}

static scw_status bench_setting(json_t *list, const char *path, const char *preset,
                                const reference *ref, int64_t batch_size, double gflops,
                                double gbs, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    matilda_options options;
    stopwatch w = {.outer = hooks};
    step_cost cost;

    TRY(scw_options_init(kind->options, &options));
    if (preset) TRY(kind->preset(&options, preset));
    if (batch_size > 0) options.batch_size = batch_size;
    TRY(timed_fit(&w, &cost, ref, kind, &options));
    double step = quantile(&w, 0.5), quick = quantile(&w, 0.1);
    double arithmetic = cost.flops / (gflops * 1e9), traffic = cost.bytes / (gbs * 1e9);
    json_t *row = json_pack(
        "{s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "file", path, "settings",
        preset ? preset : "default", "n_obs", (json_int_t)ref->n, "batch_size",
        (json_int_t)options.batch_size, "step_ms", 1e3 * step, "quickest_tenth_ms", 1e3 * quick,
        "arithmetic_ms", 1e3 * arithmetic, "traffic_ms", 1e3 * traffic, "ratio",
        step / (arithmetic + traffic), "quickest_tenth_ratio", quick / (arithmetic + traffic));
    if (!row || json_array_append_new(list, row) != 0) FAIL(SCW_ENOMEM, "out of memory");
done:
    mem_free(w.look);
    mem_free(w.seconds);
    return st;
}

static scw_status bench_file(json_t *list, const char *path, int64_t batch_size, double gflops,
                             double gbs, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    reference ref = {0};
    scw_source source = {.path = path};

    TRY(scw_dataset_open(&d, &source, 1, NULL, hooks));
    TRY(reference_build(&ref, d, "cell_type", NULL, true, hooks));
    TRY(bench_setting(list, path, NULL, &ref, batch_size, gflops, gbs, hooks));
    TRY(bench_setting(list, path, "compat", &ref, batch_size, gflops, gbs, hooks));
done:
    reference_clear(&ref);
    scw_dataset_free(d);
    return st;
}

scw_status scw_bench(char **out_json, const char *const *paths, int n_paths, int64_t batch_size,
                     int threads, const scw_hooks *hooks)
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
        TRY(bench_file(list, paths[k], batch_size, fp32, gbs, hooks));
    dumped = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory");
    TRY(mem_strdup(out_json, dumped));
done:
    free(dumped);
    json_decref(all);
    return st;
}
