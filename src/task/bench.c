/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_bench: what is run, and the report. */
#include "task/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "kernel/kernel.h"
#include "scweave/version.h"

#define MOST_SIZES 16 /* in a list */

/* ---------------------------------------------------------------------------------- rows */

scw_status bench_append(bench *b, const char *part, json_t *item)
{
    json_t *list = json_object_get(b->report, part);

    if (!list) {
        list = json_array();
        if (json_object_set_new(b->report, part, list) != 0) list = NULL;
    }
    if (!item || !list || json_array_append_new(list, item) != 0)
        return status_fail(SCW_ENOMEM, "out of memory");
    return SCW_OK;
}

static int set_number(json_t *o, const char *key, double value)
{
    return json_object_set_new(o, key, json_real(value));
}

/* The members that the row's part has. */
static json_t *row_as_json(const bench_row *r)
{
    json_t *o = json_pack("{s:s, s:s}", "what", r->what, "settings", r->settings);
    int failed = !o;

    if (r->model) failed |= json_object_set_new(o, "model", json_string(r->model));
    if (r->cells > 0.0)
        failed |= json_object_set_new(o, "cells", json_integer((json_int_t)r->cells));
    if (r->features > 0.0)
        failed |= json_object_set_new(o, "features", json_integer((json_int_t)r->features));
    if (r->cells > 0.0) failed |= set_number(o, "non_zeros", r->nnz);
    if (r->batch_size > 0 || strcmp(r->part, "ops") == 0)
        failed |= json_object_set_new(o, "batch_size", json_integer((json_int_t)r->batch_size));
    failed |= set_number(o, "ms", 1e3 * r->seconds);
    if (r->quickest > 0.0) failed |= set_number(o, "quickest_tenth_ms", 1e3 * r->quickest);
    if (r->cpu > 0.0) failed |= set_number(o, "cpu_ms", 1e3 * r->cpu);
    if (r->of_cells) failed |= set_number(o, "cells_per_s", r->cells / r->seconds);
    if (r->cost.flops > 0.0 || r->cost.seconds > 0.0)
        failed |= set_number(o, "gflops", 1e-9 * r->cost.flops / r->seconds);
    if (r->cost.bytes > 0.0 || r->cost.seconds > 0.0)
        failed |= set_number(o, "gb_per_s", 1e-9 * r->cost.bytes / r->seconds);
    if (r->cost.seconds > 0.0) {
        failed |= set_number(o, "limit_ms", 1e3 * r->cost.seconds);
        failed |= set_number(o, "share", r->cost.seconds / r->seconds);
    }
    if (!failed) return o;
    json_decref(o);
    return NULL;
}

scw_status bench_add(bench *b, const bench_row *row)
{
    scw_status st = SCW_OK;

    if (b->n_rows == b->capacity) {
        int64_t capacity = b->capacity ? 2 * b->capacity : 64;
        TRY(mem_resize(&b->rows, capacity));
        b->capacity = capacity;
    }
    b->rows[b->n_rows++] = *row;
    TRY(bench_append(b, row->part, row_as_json(row)));
done:
    return st;
}

/* ---------------------------------------------------------------------------------- machine */

/* The processor as the system calls it. */
static void processor_name(char *out, size_t size)
{
    struct utsname name;
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");

    (void)snprintf(out, size, "%s", uname(&name) == 0 ? name.machine : "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value) continue;
        (void)snprintf(out, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
        break;
    }
    if (f) (void)fclose(f);
}

static json_t *describe_machine(void)
{
    char name[256], date[32];
    time_t now = time(NULL);
    struct tm utc;

    processor_name(name, sizeof name);
    if (strftime(date, sizeof date, "%Y-%m-%d", gmtime_r(&now, &utc)) == 0) date[0] = '\0';
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "processor", name, "threads", threads_get(),
                     "isa", kernel_isa(), "products_by", kernel_gemm_name(), "version",
                     scw_version(), "date", date);
}

static scw_status csv_text(textbuf *t, const char *value)
{
    scw_status st = text_add_field(t, value, ',');
    return st == SCW_OK ? text_add(t, ",") : st;
}

static scw_status csv_number(textbuf *t, double value, bool last)
{
    const char *end = last ? "\n" : ",";
    return value > 0.0 ? text_add(t, "%.6g%s", value, end) : text_add(t, "%s", end);
}

/* One row a measurement, each with the machine before it; what does not apply is empty. */
static scw_status write_csv(const bench *b, const char *path)
{
    static const char *const described[] = {"date", "version", "processor", "isa", "products_by"};
    scw_status st = SCW_OK;
    textbuf t = {0};
    const json_t *machine = json_object_get(b->report, "machine");

    TRY(text_add(&t,
                 "date,version,processor,isa,products_by,threads,part,model,what,settings,cells,features,"
                 "non_zeros,batch_size,ms,quickest_tenth_ms,cpu_ms,gflops,gb_per_s,limit_ms,"
                 "share\n"));
    for (int64_t k = 0; k < b->n_rows; k++) {
        const bench_row *r = &b->rows[k];
        for (int d = 0; d < (int)(sizeof described / sizeof *described); d++)
            TRY(csv_text(&t, json_string_value(json_object_get(machine, described[d]))));
        TRY(text_add(&t, "%d,", threads_get()));
        TRY(csv_text(&t, r->part));
        TRY(csv_text(&t, r->model ? r->model : ""));
        TRY(csv_text(&t, r->what));
        TRY(csv_text(&t, r->settings));
        const double values[] = {r->cells,
                                 r->features,
                                 r->nnz,
                                 (double)r->batch_size,
                                 1e3 * r->seconds,
                                 1e3 * r->quickest,
                                 1e3 * r->cpu,
                                 1e-9 * r->cost.flops / r->seconds,
                                 1e-9 * r->cost.bytes / r->seconds,
                                 1e3 * r->cost.seconds,
                                 r->cost.seconds / r->seconds};
        const int n = (int)(sizeof values / sizeof *values);
        for (int v = 0; v < n; v++)
            TRY(csv_number(&t, values[v], v == n - 1));
    }
    TRY(atomic_file_write(path, text_get(&t), t.length));
done:
    text_clear(&t);
    return st;
}

/* ---------------------------------------------------------------------------------- sets and files
 */

static const int64_t batches[] = {64, 512}; /* where none is asked for */

/* Steps at the batch sizes asked for, then inference. */
static scw_status bench_setting(bench *b, const reference *ref, const char *name,
                                const char *settings)
{
    scw_status st = SCW_OK;
    bench_model m = {0};
    bench_row row;
    const int64_t asked = b->request->batch_size;

    TRY(bench_model_init(&m, b, ref, name, settings));
    for (int k = 0; k < (asked > 0 ? 1 : 2); k++) {
        TRY(bench_steps(&row, b, &m, asked > 0 ? asked : batches[k]));
        TRY(bench_add(b, &row));
    }
    TRY(bench_inference(b, &m));
done:
    bench_model_clear(&m);
    return st;
}

static scw_status bench_reference(bench *b, const reference *ref, const char *name)
{
    scw_status st = SCW_OK;
    const int64_t asked = b->request->batch_size;
    bench_row row;

    TRY(bench_setting(b, ref, name, "default"));
    TRY(bench_setting(b, ref, name, "compat"));
    if (ref->n_modalities < 2) goto done; /* the others put modalities into one space */
    for (const bench_kind *k = bench_kinds; k->model; k++)
        for (int size = 0; size < (asked > 0 ? 1 : 2); size++) {
            TRY(bench_kind_steps(&row, b, k, ref, name, asked > 0 ? asked : batches[size]));
            TRY(bench_add(b, &row));
        }
done:
    return st;
}

static scw_status open_file(bench_file *f, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_source source = {.path = path};

    TRY(scw_dataset_open(&f->data, &source, 1, NULL, hooks));
    TRY(reference_build(&f->ref, f->data, "cell_type", NULL, true, hooks));
done:
    return st;
}

static void close_files(bench *b)
{
    for (int k = 0; b->files && k < b->request->n_paths; k++) {
        reference_clear(&b->files[k].ref);
        scw_dataset_free(b->files[k].data);
    }
    mem_free(b->files);
}

/* "1000,20000": n whole numbers between 2 and ten million. */
static scw_status read_sizes(double *out, int *n, const char *list, const char *option)
{
    scw_status st = SCW_OK;
    const char *at = list;

    for (*n = 0; *n < MOST_SIZES; at++) {
        char *end;
        out[*n] = strtod(at, &end);
        if (end == at || !(out[*n] >= 2.0 && out[*n] <= 1e7) || floor(out[*n]) != out[*n] ||
            (*end && *end != ','))
            FAIL(SCW_EINVAL,
                 "--%s '%s': expected whole numbers from 2 to 10000000, with commas between them",
                 option, list);
        (*n)++;
        at = end;
        if (!*at) goto done;
    }
    FAIL(SCW_EINVAL, "--%s: more than %d numbers", option, MOST_SIZES);
done:
    return st;
}

static scw_status bench_sets(bench *b)
{
    const scw_bench_request *q = b->request;
    scw_status st = SCW_OK;
    double sizes[MOST_SIZES], features[MOST_SIZES];
    int n_cells, n_features;
    bench_set set = {0};
    bool fits;

    TRY(read_sizes(sizes, &n_cells,
                   q->cells  ? q->cells
                   : q->full ? "1000,10000,100000"
                             : "10000",
                   "cells"));
    TRY(read_sizes(features, &n_features,
                   q->features ? q->features
                   : q->full   ? "2000,20000,100000"
                               : "2000,20000",
                   "features"));
    for (int c = 0; c < n_cells; c++) {
        for (int f = 0; f < n_features; f++) {
            TRY(bench_set_fits(&fits, b, sizes[c], features[f], q->density));
            if (!fits) continue;
            log_info(b->hooks, "%.0f cells of %.0f features", sizes[c], features[f]);
            TRY(bench_set_make(&set, (int64_t)sizes[c], (int64_t)features[f], q->density));
            TRY(bench_reference(b, &set.ref, "made"));
            bench_set_clear(&set);
        }
    }
done:
    bench_set_clear(&set);
    return st;
}

/* ---------------------------------------------------------------------------------- all */

/* Before anything is measured, so that nothing fails after minutes. */
static scw_status check_request(bench *b)
{
    const scw_bench_request *q = b->request;
    scw_status st = SCW_OK;
    double sizes[MOST_SIZES];
    int n;

    if (!(q->density > 0.0 && q->density <= 1.0))
        FAIL(SCW_EINVAL, "a density of %g: expected a share above 0 and up to 1", q->density);
    if (q->cells) TRY(read_sizes(sizes, &n, q->cells, "cells"));
    if (q->features) TRY(read_sizes(sizes, &n, q->features, "features"));
    if (q->csv_path) TRY(atomic_file_probe(q->csv_path));
    TRY(mem_new(&b->files, q->n_paths > 0 ? q->n_paths : 1));
    for (int k = 0; k < q->n_paths; k++) TRY(open_file(&b->files[k], q->paths[k], b->hooks));
done:
    return st;
}

static scw_status add_limits(bench *b)
{
    const bench_limits *l = &b->limits;
    json_t *o = json_pack("{s:f, s:f, s:b, s:f, s:f}", "fp32_gflops", 1e-9 * l->fp32, "bf16_gflops",
                          1e-9 * l->bf16, "bf16_emulated", !kernel_bf16_is_native(),
                          "memory_gb_per_s", 1e-9 * l->rate[BENCH_N_SIZES - 1],
                          "decompression_gb_per_s", 1e-9 * l->inflate);

    if (!o || json_object_set_new(b->report, "limits", o) != 0)
        return status_fail(SCW_ENOMEM, "out of memory");
    return SCW_OK;
}

/* All, or after the machine what was named. */
static scw_status run_parts(bench *b)
{
    const scw_bench_request *q = b->request;
    const bool sizes = q->cells || q->features;
    scw_status st = SCW_OK;

    TRY(bench_machine(b));
    TRY(add_limits(b));
    log_info(b->hooks, "this machine: %.0f GFLOP/s in fp32, %.0f in bf16%s, %.1f GB/s from memory",
             1e-9 * b->limits.fp32, 1e-9 * b->limits.bf16,
             kernel_bf16_is_native() ? "" : " (emulated: the processor has none)",
             1e-9 * b->limits.rate[BENCH_N_SIZES - 1]);
    for (int k = 0; k < q->n_paths; k++)
        TRY(bench_reference(b, &b->files[k].ref, q->paths[k]));
    if (q->n_paths == 0 || sizes) TRY(bench_sets(b));
    if (q->n_paths > 0 || sizes) goto done;
    log_info(b->hooks, "ops");
    TRY(bench_ops(b));
    log_info(b->hooks, "sweeps");
    TRY(bench_sweeps(b));
done:
    return st;
}

scw_status scw_bench(char **out_json, const scw_bench_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    bench b = {.request = request, .hooks = hooks};
    char *dumped = NULL;

    *out_json = NULL;
    TRY(check_request(&b));
    threads_set(request->threads);
    b.report = json_object();
    if (!b.report || json_object_set_new(b.report, "machine", describe_machine()) != 0)
        FAIL(SCW_ENOMEM, "out of memory");
    TRY(run_parts(&b));
    if (request->csv_path) TRY(write_csv(&b, request->csv_path));
    dumped = json_dumps(b.report, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory");
    TRY(mem_strdup(out_json, dumped));
done:
    free(dumped);
    json_decref(b.report);
    mem_free(b.rows);
    close_files(&b);
    return st;
}
