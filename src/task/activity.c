/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave activity: a modality of genes from one of peaks. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/write_part.h"
#include "prep/activity.h"
#include "scweave/preprocess.h"
#include "task/gene_table.h"
#include "task/streaming.h"

#define AT(field_) offsetof(scw_activity_options, field_)

static const scw_option table[] = {
    {"genes", SCW_OPTION_TEXT, AT(genes), NULL, 0, 0, NULL, "FILE", "Activity",
     "where genes lie: a .gtf, or a tab-separated table with gene_id or gene_name, chrom, and tss "
     "or "
     "start and end, and strand if known"},
    {"modality", SCW_OPTION_TEXT, AT(modality), NULL, 0, 0, NULL, "NAME", "Activity",
     "the modality with the peaks; atac unless said"},
    {"name", SCW_OPTION_TEXT, AT(name), "gene_activity", 0, 0, NULL, "NAME", "Activity",
     "name of the new modality"},
    {"weight", SCW_OPTION_CHOICE, AT(weight), "window", 0, 0, "window|decay", NULL, "Activity",
     "window: peaks over the gene or upstream of it, each whole; decay: all peaks around the start "
     "of transcription, less with distance"},
    {"upstream", SCW_OPTION_INT, AT(upstream), "2000", 0, 1e8, NULL, "BASES", "Activity",
     "window: bases before the gene; on both sides where the strand is not known"},
    {"downstream", SCW_OPTION_INT, AT(downstream), "0", 0, 1e8, NULL, "BASES", "Activity",
     "window: bases behind the gene"},
    {"half", SCW_OPTION_INT, AT(half), "10000", 1, 1e9, NULL, "BASES", "Activity",
     "decay: the distance that halves the weight"},
    {"reach", SCW_OPTION_INT, AT(reach), "100000", 0, 1e9, NULL, "BASES", "Activity",
     "decay: the distance beyond which peaks do not count"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_activity_option_table(void)
{
    return table;
}

/* What the reader of the new matrix borrows. */
typedef struct kept {
    activity_map map;
} kept;

static void free_kept(void *keep)
{
    kept *k = keep;

    activity_map_clear(&k->map);
    mem_free(k);
}

/* ------------------------------------------------------------------ where peaks lie */

static int32_t find_chromosome(const gene_table *genes, const char *name)
{
    for (int64_t k = 0; k < genes->chromosomes.n; k++)
        if (strcmp(genes->chromosomes.at[k], name) == 0) return (int32_t)k;
    return -1;
}

static const column *any_column(const frame *var, const char *const *names, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (frame_find(var, names[k])) return frame_find(var, names[k]);
    return NULL;
}

/* Columns chrom, start, end of var, or NULL. */
static void position_columns(const column *out[3], const frame *var)
{
    static const char *const chromosome[] = {"chrom", "chr", "chromosome", "seqnames"};

    out[0] = any_column(var, chromosome, sizeof chromosome / sizeof *chromosome);
    out[1] = frame_find(var, "start");
    out[2] = frame_find(var, "end");
}

static bool column_int(int64_t *out, const column *c, int64_t i)
{
    if (column_is_missing(c, i)) return false;
    if (c->kind == COLUMN_INT) {
        *out = c->i64[i];
        return true;
    }
    if (c->kind == COLUMN_FLOAT && isfinite(c->f64[i])) {
        *out = (int64_t)c->f64[i];
        return true;
    }
    if (c->kind == COLUMN_CATEGORICAL) return text_to_int(out, c->categories.at[c->codes[i]]);
    return c->kind == COLUMN_STRING && text_to_int(out, c->text.at[i]);
}

static const char *column_word(const column *c, int64_t i)
{
    if (c->kind == COLUMN_STRING) return c->text.at[i];
    return c->kind == COLUMN_CATEGORICAL && c->codes[i] >= 0 ? c->categories.at[c->codes[i]] : NULL;
}

/* By its name, else by the columns; false: neither can be read. */
static bool place_of(textbuf *name, int64_t *start, int64_t *end, const modality *m,
                     const column *const columns[3], int64_t j)
{
    if (interval_parse(name, start, end, m->var.index.at[j])) return true;
    if (!columns[0] || !columns[1] || !columns[2]) return false;
    const char *word = column_word(columns[0], j);
    text_clear(name);
    return word && text_add(name, "%s", word) == SCW_OK && column_int(start, columns[1], j) &&
           column_int(end, columns[2], j) && *end > *start;
}

static scw_status read_peaks(interval **out, const modality *m, const gene_table *genes,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const int64_t n = m->x.n_cols;
    const column *columns[3];
    textbuf name = {0}, scratch = {0};
    int64_t unread = 0, unknown = 0, start, end;
    const char *chromosome;

    position_columns(columns, &m->var);
    TRY(mem_new(out, n));
    for (int64_t j = 0; j < n; j++) {
        (*out)[j] = (interval){-1, 0, 0};
        if (!place_of(&name, &start, &end, m, columns, j)) {
            unread++;
            continue;
        }
        TRY(chromosome_name(&chromosome, &scratch, text_get(&name)));
        (*out)[j] = (interval){find_chromosome(genes, chromosome), start, end};
        unknown += (*out)[j].chromosome < 0;
    }
    if (unread == n)
        FAIL(SCW_EDATA,
             "%s: '%s' is no position like chr1:100-200, and var has no columns chrom, "
             "start and end",
             m->name, m->var.index.at[0]);
    if (unread + unknown == n)
        FAIL(SCW_EDATA,
             "%s: no peak lies on a chromosome that the genes lie on; is '%s' of the same "
             "genome?",
             m->name, m->var.index.at[0]);
    if (unread + unknown > 0)
        log_warning(hooks,
                    "%s: %lld of %lld peaks are left out: %lld without a position, %lld on "
                    "chromosomes without genes",
                    m->name, (long long)(unread + unknown), (long long)n, (long long)unread,
                    (long long)unknown);
done:
    text_clear(&name);
    text_clear(&scratch);
    return st;
}

/* ------------------------------------------------------------------ the new modality */

/* Names made unique as anndata does: a second GENE becomes GENE-1. */
static scw_status unique_names(strings *out, const gene_table *genes, const int64_t *of, int64_t n)
{
    scw_status st = SCW_OK;
    strings symbols = {0};
    name_index index = {0};
    int64_t *times = NULL;
    textbuf name = {0};

    for (int64_t g = 0; g < n; g++)
        TRY(strings_add(&symbols, genes->symbols.at[of[g]]));
    TRY(name_index_build(&index, (const char *const *)symbols.at, n, NULL));
    TRY(mem_new(&times, n));
    for (int64_t g = 0; g < n; g++) {
        int64_t first = name_index_find(&index, symbols.at[g]);
        text_clear(&name);
        TRY(text_add(&name, "%s", symbols.at[g]));
        while (times[first] > 0) { /* the number may make a name that is there */
            text_clear(&name);
            TRY(text_add(&name, "%s-%lld", symbols.at[g], (long long)times[first]));
            if (name_index_find(&index, text_get(&name)) < 0) break;
            times[first]++;
        }
        times[first]++;
        TRY(strings_add(out, text_get(&name)));
    }
done:
    strings_clear(&symbols);
    name_index_clear(&index);
    mem_free(times);
    text_clear(&name);
    return st;
}

static scw_status add_var(results_part *part, const gene_table *genes, const int64_t *of,
                          const int64_t *n_peaks, int64_t n)
{
    scw_status st = SCW_OK;
    column c = {0};

    TRY(unique_names(&part->var.index, genes, of, n));
    TRY(column_init(&c, "gene_ids", COLUMN_STRING, n));
    for (int64_t g = 0; g < n; g++)
        TRY(strings_add(&c.text, genes->ids.at[of[g]]));
    TRY(results_part_column(&part->var, &c));
    TRY(column_init(&c, "chrom", COLUMN_CATEGORICAL, n));
    TRY(strings_copy(&c.categories, &genes->chromosomes));
    for (int64_t g = 0; g < n; g++)
        c.codes[g] = genes->genes[of[g]].body.chromosome;
    TRY(results_part_column(&part->var, &c));
    TRY(column_init(&c, "tss", COLUMN_INT, n));
    for (int64_t g = 0; g < n; g++)
        c.i64[g] = genes->genes[of[g]].tss;
    TRY(results_part_column(&part->var, &c));
    TRY(streaming_ints(&c, "n_peaks", n_peaks, n));
    TRY(results_part_column(&part->var, &c));
done:
    column_clear(&c);
    return st;
}

/* Names of the modality's own cells; rows that are not in the set's obs get a number. */
static scw_status own_names(strings *out, const scw_dataset *d, const modality *m)
{
    scw_status st = SCW_OK;
    int64_t *cells = NULL;
    textbuf name = {0};

    TRY(mem_new(&cells, m->x.n_rows));
    for (int64_t r = 0; r < m->x.n_rows; r++)
        cells[r] = -1;
    for (int64_t i = 0; i < d->n_obs; i++)
        if (m->row_of_obs[i] >= 0) cells[m->row_of_obs[i]] = i;
    for (int64_t r = 0; r < m->x.n_rows; r++) {
        text_clear(&name);
        if (cells[r] < 0) TRY(text_add(&name, "unlisted_%lld", (long long)r));
        TRY(strings_add(out, cells[r] < 0 ? text_get(&name) : d->obs.index.at[cells[r]]));
    }
done:
    text_clear(&name);
    mem_free(cells);
    return st;
}

/* Genes that have peaks, in the order of the table: of [n] their places there, n_peaks [n]. */
static scw_status drop_empty(int64_t **of, int64_t **n_peaks, int64_t *n, activity_map *map)
{
    scw_status st = SCW_OK;
    int64_t *all = NULL;
    int32_t *number = NULL;

    TRY(mem_new(&all, map->n_genes));
    TRY(mem_new(&number, map->n_genes));
    TRY(mem_new(of, map->n_genes));
    TRY(mem_new(n_peaks, map->n_genes));
    *n = 0;
    for (int64_t e = 0; e < map->start[map->n_peaks]; e++)
        all[map->gene[e]]++;
    for (int64_t g = 0; g < map->n_genes; g++) {
        number[g] = all[g] ? (int32_t)*n : -1;
        if (!all[g]) continue;
        (*of)[*n] = g;
        (*n_peaks)[(*n)++] = all[g];
    }
    activity_map_renumber(map, number, *n);
done:
    mem_free(all);
    mem_free(number);
    return st;
}

static scw_status add_part(scw_results *results, kept **k, const scw_dataset *d, int which,
                           const char *name, const gene_table *genes, int64_t *n_genes)
{
    scw_status st = SCW_OK;
    const modality *m = &d->modalities[which];
    int64_t *of = NULL, *n_peaks = NULL;
    results_part *part;
    results_matrix x = {0};
    block_reader *peaks;

    TRY(drop_empty(&of, &n_peaks, n_genes, &(*k)->map));
    if (*n_genes == 0)
        FAIL(SCW_EDATA, "%s: no peak lies near a gene; are both of the same genome?", m->name);
    TRY(results_part_of(&part, results, name, m->x.n_rows, *n_genes));
    part->keep = *k;
    part->keep_free = free_kept;
    TRY(own_names(&part->obs.index, d, m));
    TRY(add_var(part, genes, of, n_peaks, *n_genes));
    TRY(mem_new(&part->row_of_obs, d->n_obs));
    memcpy(part->row_of_obs, m->row_of_obs, (size_t)d->n_obs * sizeof *part->row_of_obs);
    TRY(streaming_open(&peaks, d, which));
    TRY(activity_reader(&x.rows, peaks, &((kept *)part->keep)->map));
    TRY(results_part_matrix(part, &x));
done:
    if (results->n_parts) *k = NULL; /* the part has it */
    block_reader_free(x.rows);
    mem_free(of);
    mem_free(n_peaks);
    return st;
}

/* ------------------------------------------------------------------ the verb */

static scw_status make_report(char **out, const modality *m, const kept *k, const gene_table *genes,
                              const char *name, int64_t n_genes)
{
    scw_status st = SCW_OK;
    json_int_t used = 0;

    for (int64_t j = 0; j < k->map.n_peaks; j++)
        used += k->map.start[j + 1] > k->map.start[j];
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "modality", m->name, "name", name, "n_peaks",
                  (json_int_t)m->x.n_cols, "n_peaks_used", used, "n_genes_in_table",
                  (json_int_t)genes->n, "n_genes", (json_int_t)n_genes);
    TRY(streaming_json(!root));
    TRY(streaming_report(out, root));
done:
    json_decref(root);
    return st;
}

scw_status scw_dataset_gene_activity(scw_results **out, char **report, const scw_dataset *dataset,
                                     const scw_prep_request *request,
                                     const scw_activity_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    gene_table genes = {0};
    interval *peaks = NULL;
    kept *k = NULL;
    int which;
    int64_t n_genes = 0;

    *out = NULL;
    if (report) *report = NULL;
    if (!dataset || !options || !options->genes)
        FAIL(SCW_EINVAL, "gene activity needs a data set and a table of genes");
    const char *name = options->name && *options->name ? options->name : "gene_activity";
    const activity_options how = {options->upstream, options->downstream,
                                  options->weight == SCW_ACTIVITY_DECAY, options->half,
                                  options->reach};
    threads_set(request ? request->threads : 0);
    TRY(streaming_modality(&which, dataset, options->modality, "atac"));
    const modality *m = &dataset->modalities[which];
    if (dataset_find_modality(dataset, name))
        FAIL(SCW_EINVAL, "there is a modality '%s' already; name the new one otherwise", name);
    TRY(write_parts_check(dataset));
    TRY(gene_table_read(&genes, options->genes));
    TRY(read_peaks(&peaks, m, &genes, hooks));
    TRY(mem_new(&k, 1));
    TRY(activity_map_build(&k->map, peaks, m->x.n_cols, genes.genes, genes.n, &how));
    TRY(results_new(out, dataset->n_obs));
    TRY(add_part(*out, &k, dataset, which, name, &genes, &n_genes));
    if (report) TRY(make_report(report, m, (*out)->parts[0].keep, &genes, name, n_genes));
    log_info(hooks, "%lld genes have peaks", (long long)n_genes);
done:
    if (k) free_kept(k);
    gene_table_clear(&genes);
    mem_free(peaks);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
