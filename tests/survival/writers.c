/* SPDX-License-Identifier: BSD-3-Clause */
#include "writers.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "data/dataset.h"
#include "data/results.h"
#include "scweave/scweave.h"

#define OLD "precious"
#define CORPUS(name_) CORPUS_FOLDER "/" name_

static const char *const folder_files[] = {"barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz"};

/* ------------------------------------------------------------------ results */

static scw_status make_results(scw_results **out, int64_t n)
{
    scw_status st = SCW_OK;
    column c = {0};
    results_array a = {.n_rows = n, .n_cols = 2};

    TRY(results_new(out, n));
    TRY(column_init(&c, "label", COLUMN_CATEGORICAL, n));
    TRY(strings_add(&c.categories, "T"));
    TRY(results_add_column(*out, &c));
    TRY(column_init(&c, "real", COLUMN_FLOAT, n));
    TRY(results_add_column(*out, &c));
    TRY(mem_strdup(&a.name, "X_test"));
    TRY(mem_new(&a.values, n * 2));
    TRY(strings_add(&a.col_names, "one"));
    TRY(strings_add(&a.col_names, "two"));
    TRY(results_add_array(*out, &a));
    TRY(mem_strdup(&(*out)->record_json, "{\"seed\": 7, \"options\": {\"epochs\": 3}}"));
done:
    column_clear(&c);
    results_array_clear(&a);
    return st;
}

static scw_status write_results(const char *output, const scw_source *sources, int n)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(scw_dataset_open(&d, sources, n, NULL, NULL));
    TRY(make_results(&r, d->n_obs));
    TRY(scw_results_write(r, d, output, NULL));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    return st;
}

static scw_status copy_with_results(const char *output)
{
    return write_results(output, &(scw_source){.path = CORPUS("hdf5/full.h5ad")}, 1);
}

static scw_status copy_of_records(const char *output)
{
    return write_results(output, &(scw_source){.path = CORPUS("hdf5/records.h5ad")}, 1);
}

static scw_status files_joined(const char *output)
{
    const scw_source two[] = {{.path = CORPUS("hdf5/csr.h5ad"), .modality = "rna"},
                              {.path = CORPUS("hdf5/dense.h5ad"), .modality = "adt"}};
    return write_results(output, two, 2);
}

static scw_status written_anew(const char *output)
{
    return write_results(output, &(scw_source){.path = CORPUS("text/cells.csv")}, 1);
}

static scw_status obs_table(const char *output)
{
    const scw_obs_request request = {.table = CORPUS("model/columns.csv")};
    const scw_source source = {.path = CORPUS("hdf5/axis0.h5mu")};
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(scw_dataset_open(&d, &source, 1, NULL, NULL));
    TRY(scw_obs_from_table(&r, d, &request, NULL));
    TRY(scw_results_write(r, d, output, NULL));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    return st;
}

/* ------------------------------------------------------------------ convert */

static scw_status h5mu_to_h5ad(const char *output)
{
    const scw_source source = {.path = CORPUS("hdf5/axis0.h5mu")};
    const scw_convert_options o = {.modality = "adt", .compression = SCW_COMPRESSION_LZF};
    return scw_convert(&source, 1, output, &o, NULL);
}

static scw_status h5ad_to_h5mu(const char *output)
{
    return scw_convert(&(scw_source){.path = CORPUS("hdf5/full.h5ad")}, 1, output, NULL, NULL);
}

static scw_status tenx_to_h5mu(const char *output)
{
    return scw_convert(&(scw_source){.path = CORPUS("hdf5/tenx.h5")}, 1, output, NULL, NULL);
}

static scw_status loom_to_h5ad(const char *output)
{
    return scw_convert(&(scw_source){.path = CORPUS("hdf5/loom.loom")}, 1, output, NULL, NULL);
}

static scw_status archive_to_h5ad(const char *output)
{
    return scw_convert(&(scw_source){.path = CORPUS("text/tenx.tar.gz")}, 1, output, NULL, NULL);
}

static scw_status batches_to_h5ad(const char *output)
{
    const scw_source two[] = {{.path = CORPUS("hdf5/csc.h5ad"), .batch = "a"},
                              {.path = CORPUS("hdf5/old.h5ad"), .batch = "b"}};
    return scw_convert(two, 2, output, NULL, NULL);
}

static scw_status h5ad_to_folder(const char *output)
{
    return scw_convert(&(scw_source){.path = CORPUS("hdf5/full.h5ad")}, 1, output, NULL, NULL);
}

/* ------------------------------------------------------------------ preprocessing */

static scw_status filtered(const char *output)
{
    const scw_source source = {.path = CORPUS("hdf5/full.h5ad")};
    scw_status st = SCW_OK;
    scw_filter_options o = {0};
    scw_dataset *d = NULL;
    char *report = NULL;

    TRY(scw_options_init(scw_filter_option_table(), &o));
    o.min_counts = 4;
    TRY(scw_dataset_open(&d, &source, 1, NULL, NULL));
    TRY(scw_dataset_filter(&report, d, NULL, &o, output, NULL));
done:
    scw_free(report);
    scw_dataset_free(d);
    scw_options_clear(scw_filter_option_table(), &o);
    return st;
}

static scw_status preprocessed(const char *output)
{
    const scw_source source = {.path = CORPUS("hdf5/full.h5ad")};
    scw_status st = SCW_OK;
    scw_preprocess_options o = {0};
    scw_dataset *d = NULL;
    scw_results *r = NULL;
    char *report = NULL;

    TRY(scw_options_init(scw_preprocess_option_table(), &o));
    TRY(scw_options_set(scw_preprocess_option_table(), &o, "steps", "normalize,log1p"));
    TRY(scw_dataset_open(&d, &source, 1, NULL, NULL));
    TRY(scw_dataset_preprocess(&r, &report, d, NULL, &o, NULL));
    TRY(scw_results_write(r, d, output, NULL));
done:
    scw_free(report);
    scw_results_free(r);
    scw_dataset_free(d);
    scw_options_clear(scw_preprocess_option_table(), &o);
    return st;
}

static scw_status quality_table(const char *output)
{
    const scw_source source = {.path = CORPUS("hdf5/axis0.h5mu")};
    scw_status st = SCW_OK;
    scw_qc_options o = {0};
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(scw_options_init(scw_qc_option_table(), &o));
    TRY(scw_dataset_open(&d, &source, 1, NULL, NULL));
    TRY(scw_dataset_qc(&r, NULL, d, NULL, &o, NULL));
    TRY(scw_results_write_table(r, d, 0, output));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    scw_options_clear(scw_qc_option_table(), &o);
    return st;
}

/* ------------------------------------------------------------------ the rest */

static scw_status model_file(const char *output)
{
    scw_status st = SCW_OK;
    scw_model *m = NULL;

    TRY(scw_model_load(&m, CORPUS("model/adt.safetensors")));
    TRY(scw_model_save(m, output));
done:
    scw_model_free(m);
    return st;
}

/* ------------------------------------------------------------------ paired modalities */

/* A simulated set, the same with the result of cca, and two models of it, fitted before. */
static struct {
    char folder[64], set[96], placed[96];
    scw_model *clue, *clip;
} paired;

static scw_status open_paired(scw_dataset **out, const char *path)
{
    return scw_dataset_open(out, &(scw_source){.path = path}, 1, NULL, NULL);
}

static scw_status correlated(const char *output)
{
    scw_status st = SCW_OK;
    const scw_cca_request request = {.first = "rna", .second = "adt", .threads = 1};
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(open_paired(&d, paired.set));
    TRY(scw_dataset_cca(&r, d, &request, NULL, NULL));
    TRY(scw_results_write(r, d, output, NULL));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    return st;
}

static scw_status fit_paired(scw_model **out, const char *kind, const char *const (*settings)[2])
{
    scw_status st = SCW_OK;
    const scw_model_kind *k = scw_model_kind_find(kind);
    const scw_fit_request request = {.modalities = "rna,adt", .seed = 1, .threads = 1};
    scw_dataset *d = NULL;
    void *options = NULL;
    char *block = NULL;

    TRY(mem_new(&block, (int64_t)k->options_size));
    options = block;
    TRY(scw_options_init(k->options, options));
    for (; (*settings)[0]; settings++)
        TRY(scw_options_set(k->options, options, (*settings)[0], (*settings)[1]));
    TRY(open_paired(&d, paired.set));
    TRY(scw_model_fit(out, k, d, &request, options, NULL));
done:
    mem_free(block);
    scw_dataset_free(d);
    return st;
}

bool writers_prepare(void)
{
    static const char *const clue[][2] = {{"epochs", "1"}, {"decoder-epochs", "1"}, {"components", "4"},
                                          {"z-dim", "3"}, {"encoder-width", "4"}, {"decoder-width", "4"},
                                          {"discriminator-width", "4"}, {"library", "1000"}, {NULL, NULL}};
    static const char *const clip[][2] = {{"epochs", "1"}, {"components", "4"}, {"z-dim", "3"},
                                          {"width", "4"}, {"library", "1000"}, {NULL, NULL}};
    scw_status st = SCW_OK;

    if (!writers_make_folder(paired.folder)) return false;
    (void)snprintf(paired.set, sizeof paired.set, "%s/set.h5mu", paired.folder);
    (void)snprintf(paired.placed, sizeof paired.placed, "%s/placed.h5mu", paired.folder);
    TRY(scw_example_write(paired.set, 40, true, 1, NULL));
    TRY(correlated(paired.placed));
    TRY(fit_paired(&paired.clue, "clue", clue));
    TRY(fit_paired(&paired.clip, "clip", clip));
done:
    if (st != SCW_OK) (void)fprintf(stderr, "%s\n", scw_error_message());
    return st == SCW_OK;
}

void writers_release(void)
{
    scw_model_free(paired.clue);
    scw_model_free(paired.clip);
    (void)unlink(paired.set);
    (void)unlink(paired.placed);
    (void)rmdir(paired.folder);
}

static scw_status clue_file(const char *output)
{
    return scw_model_save(paired.clue, output);
}

static scw_status clip_file(const char *output)
{
    return scw_model_save(paired.clip, output);
}

static scw_status embed_by(const scw_model *m, const char *output)
{
    scw_status st = SCW_OK;
    const scw_task_request request = {.embed = 1, .threads = 1};
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(open_paired(&d, paired.set));
    TRY(scw_model_apply(&r, m, d, &request, NULL));
    TRY(scw_results_write(r, d, output, NULL));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    return st;
}

static scw_status embedded_by_clue(const char *output)
{
    return embed_by(paired.clue, output);
}

static scw_status embedded_by_clip(const char *output)
{
    return embed_by(paired.clip, output);
}

static scw_status translated(const char *output)
{
    scw_status st = SCW_OK;
    const scw_translate_request request = {.from = "rna", .to = "adt", .threads = 1};
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(open_paired(&d, paired.set));
    TRY(scw_model_translate(&r, paired.clue, d, &request, NULL));
    TRY(scw_results_write(r, d, output, NULL));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    return st;
}

static scw_status match_to(const char *output, bool as_pairs)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    scw_match *m = NULL;

    TRY(open_paired(&d, paired.placed));
    const scw_match_request request = {.a = {d, "rna:X_cca"}, .b = {d, "adt:X_cca"}, .threads = 1};
    TRY(scw_match_cells(&m, &request, NULL, NULL));
    TRY(as_pairs ? scw_match_write_pairs(m, output) : scw_match_write(m, output, NULL));
done:
    scw_match_free(m);
    scw_dataset_free(d);
    return st;
}

static scw_status matched(const char *output)
{
    return match_to(output, false);
}

static scw_status matched_pairs(const char *output)
{
    return match_to(output, true);
}

static scw_status inspected(const char *output)
{
    static const char *const paths[] = {CORPUS("hdf5/full.h5ad"), CORPUS("hdf5/axis1.h5mu"),
                                        CORPUS("text/long.tar")};
    scw_status st = SCW_OK;
    char *report = NULL;

    (void)output;
    for (int k = 0; k < 3; k++) {
        TRY(scw_inspect(&report, paths[k], NULL));
        scw_free(report);
        report = NULL;
    }
done:
    scw_free(report);
    return st;
}

const writer writers[] = {
    {"a copy with results", "out.h5ad", copy_with_results},
    {"a copy of records with results", "out.h5ad", copy_of_records},
    {"results of joined files", "out.h5mu", files_joined},
    {"results written anew", "out.h5ad", written_anew},
    {"obs from a table", "out.h5mu", obs_table},
    {"h5mu to h5ad", "out.h5ad", h5mu_to_h5ad},
    {"h5ad to h5mu", "out.h5mu", h5ad_to_h5mu},
    {"10x to h5mu", "out.h5mu", tenx_to_h5mu},
    {"loom to h5ad", "out.h5ad", loom_to_h5ad},
    {"an archive to h5ad", "out.h5ad", archive_to_h5ad},
    {"batches to h5ad", "out.h5ad", batches_to_h5ad},
    {"h5ad to a folder", "out/", h5ad_to_folder},
    {"filter", "out.h5ad", filtered},
    {"preprocess", "out.h5ad", preprocessed},
    {"a table of quality", "out.tsv", quality_table},
    {"a model file", "out.safetensors", model_file},
    {"canonical correlation", "out.h5mu", correlated},
    {"a model file of clue", "out.safetensors", clue_file},
    {"a model file of clip", "out.safetensors", clip_file},
    {"an embedding by clue", "out.h5mu", embedded_by_clue},
    {"an embedding by clip", "out.h5mu", embedded_by_clip},
    {"a translation", "out.h5mu", translated},
    {"a match", "out.h5ad", matched},
    {"pairs of a match", "out.tsv", matched_pairs},
    {"inspect", NULL, inspected},
};
const int n_writers = sizeof writers / sizeof *writers;

/* ------------------------------------------------------------------ what lies there */

static bool is_folder(const writer *w)
{
    return strchr(w->output, '/') != NULL;
}

bool writers_make_folder(char out[64])
{
    (void)snprintf(out, 64, "%s/scw-writers-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(out) != NULL;
}

static void place(const char *path)
{
    FILE *f = fopen(path, "wb");

    if (f) (void)fputs(OLD, f);
    if (f) (void)fclose(f);
}

void writer_place_old(const writer *w, const char *path)
{
    char one[512];

    if (!is_folder(w)) {
        place(path);
        return;
    }
    (void)mkdir(path, 0777);
    for (int k = 0; k < 3; k++) {
        (void)snprintf(one, sizeof one, "%s%s", path, folder_files[k]);
        place(one);
    }
}

/* 'o'ld, 'n'ew, 'a'bsent; the hash of what is there goes on. */
static char look_at(const char *path, uint64_t *hash)
{
    static char bytes[1 << 20];
    FILE *f = fopen(path, "rb");

    if (!f) return 'a';
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    *hash = hash_bytes(*hash, bytes, (int64_t)n);
    return n == strlen(OLD) && memcmp(bytes, OLD, n) == 0 ? 'o' : 'n';
}

writer_found writer_look(const writer *w, const char *path, unsigned long *hash)
{
    uint64_t now = HASH_START;
    char one[512], seen[4] = {0};

    if (is_folder(w)) {
        for (int k = 0; k < 3; k++) {
            (void)snprintf(one, sizeof one, "%s%s", path, folder_files[k]);
            seen[k] = look_at(one, &now);
        }
    } else {
        memset(seen, look_at(path, &now), 3);
    }
    if (seen[2] == 'a') return FOUND_ABSENT;
    if (strcmp(seen, "ooo") == 0) return FOUND_OLD;
    if (strcmp(seen, "nnn") != 0) return FOUND_MIXED;
    if (*hash == 0) *hash = now;
    return now == *hash ? FOUND_NEW : FOUND_MIXED;
}

static int empty(const char *folder, const char *keep)
{
    DIR *list = opendir(folder);
    char one[800];
    int n = 0;

    for (struct dirent *e = list ? readdir(list) : NULL; e; e = readdir(list)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        (void)snprintf(one, sizeof one, "%s/%s", folder, e->d_name);
        bool known = strcmp(e->d_name, keep) == 0;
        for (int k = 0; k < 3; k++) known |= strcmp(e->d_name, folder_files[k]) == 0;
        n += !known;
        if (unlink(one) != 0) {
            n += empty(one, keep);
            (void)rmdir(one);
        }
    }
    if (list) (void)closedir(list);
    return n;
}

int writer_remove(const writer *w, const char *path)
{
    char folder[512], name[64];
    const char *slash = strrchr(path, '/');

    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(w->output, "/"), w->output);
    (void)snprintf(folder, sizeof folder, "%.*s",
                   (int)(slash - path) - (is_folder(w) ? (int)strlen(name) + 1 : 0), path);
    return empty(folder, name);
}
