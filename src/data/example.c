/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulation, in the order of the file:
 *
 *   panel     names of features, and for each batch and type the mean profile of each modality
 *   cells     batch, type, lean towards a neighbouring type, second type of a doublet, depth
 *   counts    of each cell: negative binomial (RNA, ADT) or Poisson (ATAC) around
 *             depth * (1 - w) profile of its type + w profile of the other type
 *
 * RNA profiles are a marker table over lognormal background, with some ambient RNA; each batch
 * bends all features a little and a few of them a lot. */
#include "data/example.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/distribution.h"
#include "base/rng.h"
#include "base/threads.h"
#include "data/example_panel.h"

#define N_TYPES EXAMPLE_N_TYPES
#define N_BATCHES 2
#define N_PEAKS 3000
#define PEAKS_PER_GENE 3
#define PEAK_WIDTH 600
#define N_CHROMOSOMES 22 /* that background peaks are spread over */
#define CELL_BLOCK 128   /* cells whose dense counts exist at a time */

#define MEDIAN_RNA 2000.0
#define WRONG_LABELS 0.02
#define DOUBLETS 0.02

/* Features and the profiles of the types are drawn from this seed, cells from the caller's: sets of
 * different seeds are other cells of the same tissue, so that a model of one serves the other. */
#define PANEL_SEED 1

/* Sub-streams of RNG_EXAMPLE. */
enum {
    STREAM_CELL = 1,
    STREAM_GENE,
    STREAM_PROTEIN,
    STREAM_PEAK,
    STREAM_RNA,
    STREAM_ADT,
    STREAM_ATAC
};

typedef struct profiles {
    int64_t n;
    strings names;
    double *mean;       /* [N_BATCHES, N_TYPES, n] */
    double *dispersion; /* [n] shape of the gamma, or NULL: Poisson */
} profiles;

typedef struct cell {
    int batch, type, other, label;
    bool is_doublet;
    double lean; /* share of the profile of `other` */
    double depth[3]; /* of RNA, ADT, ATAC */
} cell;

typedef struct peak {
    int chromosome; /* 23: X */
    int32_t start;
    int gene; /* marker gene nearby, or -1 */
} peak;

static double *profile_of(const profiles *p, int batch, int type)
{
    return p->mean + ((int64_t)batch * N_TYPES + type) * p->n;
}

static void profiles_clear(profiles *p)
{
    strings_clear(&p->names);
    mem_free(p->mean);
    mem_free(p->dispersion);
}

static rng_key stream_key(uint64_t seed, uint32_t stream)
{
    return rng_make_key(seed, RNG_EXAMPLE, stream);
}

/* 0 for '.', 1..9 for the digits. */
static int level_at(const char *levels, int type)
{
    return levels[type] == '.' ? 0 : levels[type] - '0';
}

/* ------------------------------------------------------------- RNA panel */

typedef enum gene_family { MARKER, ABUNDANT, RIBOSOMAL, MITOCHONDRIAL, OTHER } gene_family;

/* Mean per 10,000 molecules of a gene in a type. `z` are its own normal numbers. */
static double gene_mean(gene_family family, int64_t g, int type, rng_key key)
{
    /* Ribosomal RNA content by type, relative. */
    static const double ribosomal[N_TYPES] = {1.3, 1.1, 1.0, 1.3, .8, .9, .7, 1.2, 1.0, .9,
                                              .6,  .5,  .8,  .9,  .2};
    double own = rng_normal(key, 0, (uint64_t)g);
    double in_type = rng_normal(key, 1, (uint64_t)(g * N_TYPES + type));
    int level;

    switch (family) {
    case MARKER:
        level = level_at(example_genes[g].levels, type);
        return level ? 0.10 * pow(2.05, level - 1) * exp(0.12 * in_type) : 0.02;
    case ABUNDANT: return 18.0 * exp(1.1 * own + 0.15 * in_type);
    case RIBOSOMAL: return 17.0 * exp(0.7 * own) * ribosomal[type];
    case MITOCHONDRIAL: return 16.0 * exp(0.8 * own + 0.1 * in_type);
    case OTHER: return 0.012 * exp(1.7 * own + 0.25 * in_type);
    }
    return 0.0;
}

/* Split a list at its spaces and append the words. */
static scw_status add_words(strings *names, const char *words)
{
    scw_status st = SCW_OK;
    char *copy = NULL, *rest = NULL;

    TRY(mem_strdup(&copy, words));
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        TRY(strings_add(names, w));
done:
    mem_free(copy);
    return st;
}

/* Names of the genes; first[f] .. first[f + 1] are those of family f. A narrow panel has no others. */
static scw_status name_genes(strings *names, example_panel panel, int64_t first[OTHER + 2])
{
    scw_status st = SCW_OK;
    const char *const lists[] = {example_abundant_genes, example_ribosomal_genes,
                                 example_mitochondrial_genes, example_other_genes};

    first[MARKER] = 0;
    for (int g = 0; g < example_n_genes; g++) TRY(strings_add(names, example_genes[g].name));
    for (int f = ABUNDANT; f <= OTHER; f++) {
        first[f] = names->n;
        if (f == OTHER && panel == EXAMPLE_NARROW) continue;
        TRY(add_words(names, lists[f - ABUNDANT]));
    }
    first[OTHER + 1] = names->n;
done:
    return st;
}

/* Factor by which a batch bends a feature; the first batch is the reference. */
static double batch_factor(rng_key key, int batch, int64_t feature, double usual, double strong)
{
    if (batch == 0) return 1.0;
    bool is_strong = rng_uniform(key, 3, (uint64_t)feature) < 0.06;
    return exp((is_strong ? strong : usual) * rng_normal(key, 2, (uint64_t)feature));
}

static void scale_to_one(double *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t g = 0; g < n; g++) sum += v[g];
    for (int64_t g = 0; g < n; g++) v[g] /= sum;
}

/* Mix the average over the types into the profiles of one batch, then give each a sum of one. */
static void add_ambient(profiles *p, int batch, double share)
{
    for (int t = 0; t < N_TYPES; t++) scale_to_one(profile_of(p, batch, t), p->n);
    for (int64_t g = 0; g < p->n; g++) {
        double average = 0.0;
        for (int t = 0; t < N_TYPES; t++)
            average += example_types[t].share * profile_of(p, batch, t)[g];
        for (int t = 0; t < N_TYPES; t++) {
            double *v = profile_of(p, batch, t) + g;
            *v = (1.0 - share) * *v + share * average;
        }
    }
    for (int t = 0; t < N_TYPES; t++) scale_to_one(profile_of(p, batch, t), p->n);
}

static scw_status make_rna(profiles *p, example_panel panel, uint64_t seed)
{
    scw_status st = SCW_OK;
    rng_key key = stream_key(seed, STREAM_GENE);
    int64_t first[OTHER + 2];

    TRY(name_genes(&p->names, panel, first));
    p->n = p->names.n;
    TRY(mem_new(&p->mean, N_BATCHES * N_TYPES * p->n));
    TRY(mem_new(&p->dispersion, p->n));
    for (int f = MARKER; f <= OTHER; f++) {
        for (int64_t g = first[f]; g < first[f + 1]; g++) {
            p->dispersion[g] = f == RIBOSOMAL ? 8.0 : f == ABUNDANT ? 4.0 : 1.6;
            for (int t = 0; t < N_TYPES; t++) {
                double mean = gene_mean((gene_family)f, g, t, key);
                for (int b = 0; b < N_BATCHES; b++)
                    profile_of(p, b, t)[g] = mean * batch_factor(key, b, g, 0.2, 0.8);
            }
        }
    }
    for (int b = 0; b < N_BATCHES; b++) add_ambient(p, b, b == 0 ? 0.015 : 0.03);
done:
    return st;
}

/* ------------------------------------------------------------- protein panel */

static scw_status make_adt(profiles *p, uint64_t seed)
{
    scw_status st = SCW_OK;
    rng_key key = stream_key(seed, STREAM_PROTEIN);

    p->n = example_n_proteins;
    TRY(mem_new(&p->mean, N_BATCHES * N_TYPES * p->n));
    TRY(mem_new(&p->dispersion, p->n));
    for (int64_t a = 0; a < p->n; a++) {
        double background = 7.0 * exp(0.7 * rng_normal(key, 0, (uint64_t)a));
        double titre = exp(0.5 * rng_normal(key, 1, (uint64_t)a)); /* how well the antibody works */
        TRY(strings_add(&p->names, example_proteins[a].name));
        p->dispersion[a] = 2.5;
        for (int t = 0; t < N_TYPES; t++) {
            int level = level_at(example_proteins[a].levels, t);
            double bound = level ? 3.0 * titre * pow(2.0, level) : 0.0;
            for (int b = 0; b < N_BATCHES; b++)
                profile_of(p, b, t)[a] = background * (b == 0 ? 1.0 : 1.6) +
                                         bound * batch_factor(key, b, a, 0.25, 0.6);
        }
    }
done:
    return st;
}

/* ------------------------------------------------------------- peak panel */

static int compare_peaks(const void *left, const void *right)
{
    const peak *a = left, *b = right;
    if (a->chromosome != b->chromosome) return a->chromosome < b->chromosome ? -1 : 1;
    return (a->start > b->start) - (a->start < b->start);
}

static int64_t count_peaks(example_panel panel)
{
    return panel == EXAMPLE_NARROW ? example_n_genes * PEAKS_PER_GENE : N_PEAKS;
}

/* A promoter and two distal peaks for each marker gene, the rest spread over the autosomes. */
static void place_peaks(peak *peaks, int64_t n_peaks, rng_key key)
{
    static const int megabases[N_CHROMOSOMES] = {248, 242, 198, 190, 181, 170, 159, 145,
                                                 138, 133, 135, 133, 114, 107, 101, 90,
                                                 83,  80,  58,  64,  46,  50};
    int n = 0, n_linked = example_n_genes * PEAKS_PER_GENE;
    int per_chromosome = (N_PEAKS - n_linked + N_CHROMOSOMES - 1) / N_CHROMOSOMES;

    for (int g = 0; g < example_n_genes; g++) {
        const char *name = example_genes[g].chromosome;
        int chromosome = strcmp(name, "X") == 0 ? 23 : atoi(name);
        for (int q = 0; q < PEAKS_PER_GENE; q++, n++) {
            double u = rng_uniform(key, 0, (uint64_t)n);
            double away = q == 0 ? -400.0 : (q == 1 ? 1.0 : -1.0) * (4000.0 + 50000.0 * u);
            peaks[n] = (peak){chromosome, example_genes[g].start + (int32_t)away, g};
        }
    }
    for (int k = 0; n < n_peaks; k++, n++) {
        int chromosome = k % N_CHROMOSOMES;
        double place = ((double)(k / N_CHROMOSOMES) + 0.9 * rng_uniform(key, 0, (uint64_t)n)) /
                       per_chromosome;
        double start = (0.02 + 0.96 * place) * 1e6 * megabases[chromosome];
        peaks[n] = (peak){chromosome + 1, (int32_t)start, -1};
    }
    qsort(peaks, (size_t)n_peaks, sizeof *peaks, compare_peaks);
}

static double peak_rate(const peak *q, int64_t index, int type, rng_key key)
{
    double own = exp(0.5 * rng_normal(key, 1, (uint64_t)index));

    if (q->gene < 0) {
        double in_type = rng_normal(key, 2, (uint64_t)(index * N_TYPES + type));
        return 0.022 * own * own * exp(0.3 * in_type);
    }
    int level = level_at(example_genes[q->gene].levels, type);
    return (level >= 5 ? 0.21 : level >= 3 ? 0.07 : 0.012) * own;
}

static scw_status make_atac(profiles *p, peak *peaks, int64_t n_peaks, uint64_t seed)
{
    scw_status st = SCW_OK;
    rng_key key = stream_key(seed, STREAM_PEAK);
    char name[64];

    place_peaks(peaks, n_peaks, key);
    p->n = n_peaks;
    TRY(mem_new(&p->mean, N_BATCHES * N_TYPES * p->n));
    for (int64_t q = 0; q < p->n; q++) {
        char chromosome[16] = "X";
        if (peaks[q].chromosome <= N_CHROMOSOMES)
            (void)snprintf(chromosome, sizeof chromosome, "%d", peaks[q].chromosome);
        (void)snprintf(name, sizeof name, "chr%s:%d-%d", chromosome, (int)peaks[q].start,
                       (int)peaks[q].start + PEAK_WIDTH);
        TRY(strings_add(&p->names, name));
        for (int t = 0; t < N_TYPES; t++)
            for (int b = 0; b < N_BATCHES; b++)
                profile_of(p, b, t)[q] =
                    peak_rate(&peaks[q], q, t, key) * batch_factor(key, b, q, 0.15, 0.6);
    }
done:
    return st;
}

/* ------------------------------------------------------------- cells */

/* A type drawn by share; `u` uniform. The second batch holds more lymphocytes. */
static int draw_type(double u, int batch)
{
    double weight[N_TYPES], total = 0.0;

    for (int t = 0; t < N_TYPES; t++) {
        bool is_myeloid = t >= 10;
        weight[t] = example_types[t].share * (batch == 1 && is_myeloid ? 0.7 : 1.0);
        total += weight[t];
    }
    double left = u * total;
    for (int t = 0; t < N_TYPES; t++) {
        if (left < weight[t]) return t;
        left -= weight[t];
    }
    return N_TYPES - 1;
}

static cell draw_cell(rng_key key, int64_t i)
{
    cell c = {0};
    rng_stream s = {key, (uint32_t)i, 0};

    c.batch = rng_next_uniform(&s) < 0.45;
    c.type = c.label = draw_type(rng_next_uniform(&s), c.batch);
    c.is_doublet = rng_next_uniform(&s) < DOUBLETS;
    double lean = rng_next_uniform(&s), other = rng_next_uniform(&s), wrong = rng_next_uniform(&s);
    if (c.is_doublet) {
        c.other = draw_type(other, c.batch);
        c.lean = 0.3 + 0.3 * lean;
    } else {
        c.other = example_types[c.type].neighbour;
        c.lean = 0.7 * pow(lean, 24.0); /* most cells hardly lean, a few are half-way */
    }
    if (wrong < WRONG_LABELS) {
        c.label = draw_type(wrong / WRONG_LABELS, c.batch);
        if (c.label == c.type) c.label = example_types[c.type].neighbour;
    }
    double size = example_types[c.type].depth * (c.is_doublet ? 1.7 : 1.0);
    c.depth[0] = MEDIAN_RNA * 1.08 * size * (c.batch ? 0.8 : 1.1) * exp(0.38 * rng_next_normal(&s));
    c.depth[1] = sqrt(size) * exp(0.3 * rng_next_normal(&s));
    c.depth[2] = sqrt(size) * exp(0.45 * rng_next_normal(&s));
    return c;
}

/* ------------------------------------------------------------- counts */

static void draw_row(float *row, const profiles *p, const cell *c, double depth, rng_key key,
                     int64_t i)
{
    const double *main = profile_of(p, c->batch, c->type),
                 *other = profile_of(p, c->batch, c->other);

    for (int64_t f = 0; f < p->n; f++) {
        double mean = depth * ((1.0 - c->lean) * main[f] + c->lean * other[f]);
        double u = rng_uniform(key, (uint32_t)i, (uint64_t)f);
        row[f] = (float)count_quantile(u, mean, p->dispersion ? p->dispersion[f] : 0.0);
    }
}

/* Append the non-zeros of `n` dense rows to the matrix, growing it. */
static scw_status append_rows(matrix *m, int64_t *capacity, int64_t first, int64_t n,
                              const float *rows)
{
    scw_status st = SCW_OK;
    int64_t p = m->n_cols, nnz = m->indptr[first];

    if (*capacity - nnz < n * p) {
        int64_t wanted = nnz + nnz / 2 + n * p;
        TRY(mem_resize(&m->indices, wanted));
        TRY(mem_resize(&m->values, wanted));
        *capacity = wanted;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < p; j++) {
            if (rows[i * p + j] == 0.0f) continue;
            m->indices[nnz] = (int32_t)j;
            m->values[nnz++] = rows[i * p + j];
        }
        m->indptr[first + i + 1] = nnz;
    }
done:
    return st;
}

/* Counts of all cells, block by block. */
static scw_status draw_matrix(matrix *m, const profiles *p, const cell *cells, int64_t n_obs,
                              int which, bool sparse, rng_key key)
{
    scw_status st = SCW_OK;
    float *rows = NULL;
    int64_t capacity = 0;

    if (sparse) {
        TRY(matrix_init_csr(m, n_obs, p->n, 0));
        TRY(mem_new(&rows, CELL_BLOCK * p->n));
    } else {
        TRY(matrix_init_dense(m, n_obs, p->n));
    }
    for (int64_t first = 0; first < n_obs; first += CELL_BLOCK) {
        int64_t n = n_obs - first < CELL_BLOCK ? n_obs - first : CELL_BLOCK;
        float *to = sparse ? rows : m->values + first * p->n;
        PARALLEL_FOR
        for (int64_t i = 0; i < n; i++)
            draw_row(to + i * p->n, p, &cells[first + i], cells[first + i].depth[which], key,
                     first + i);
        if (sparse) TRY(append_rows(m, &capacity, first, n, rows));
    }
    if (sparse) { /* give back what was reserved */
        TRY(mem_resize(&m->indices, m->indptr[n_obs]));
        TRY(mem_resize(&m->values, m->indptr[n_obs]));
    }
done:
    mem_free(rows);
    return st;
}

/* ------------------------------------------------------------- the data set */

static scw_status add_modality(scw_dataset *d, const char *name, const profiles *p,
                               const cell *cells, int which, bool sparse, rng_key key)
{
    scw_status st = SCW_OK;
    modality *m = &d->modalities[d->n_modalities++];

    TRY(mem_strdup(&m->name, name));
    TRY(mem_strdup(&m->var.index_name, "_index"));
    m->var.n_rows = p->n;
    TRY(strings_copy(&m->var.index, &p->names));
    TRY(mem_new(&m->row_of_obs, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++) m->row_of_obs[i] = i;
    m->n_present = d->n_obs;
    TRY(draw_matrix(&m->x, p, cells, d->n_obs, which, sparse, key));
done:
    return st;
}

static scw_status add_gene_column(modality *m, const peak *peaks)
{
    scw_status st = SCW_OK;
    column c = {0};

    TRY(column_init(&c, "gene", COLUMN_STRING, m->x.n_cols));
    for (int64_t q = 0; q < m->x.n_cols; q++)
        TRY(strings_add(&c.text, peaks[q].gene < 0 ? "" : example_genes[peaks[q].gene].name));
    TRY(frame_add(&m->var, &c));
done:
    column_clear(&c);
    return st;
}

/* Add obs column `name` with the member of each cell that `offset` points at as its code. */
static scw_status add_codes(scw_dataset *d, const char *name, const cell *cells, size_t offset,
                            bool of_types)
{
    scw_status st = SCW_OK;
    column c = {0};

    TRY(column_init(&c, name, COLUMN_CATEGORICAL, d->n_obs));
    for (int t = 0; of_types && t < N_TYPES; t++)
        TRY(strings_add(&c.categories, example_types[t].name));
    for (int b = 0; !of_types && b < N_BATCHES; b++)
        TRY(strings_add(&c.categories, b == 0 ? "batch1" : "batch2"));
    for (int64_t i = 0; i < d->n_obs; i++) {
        int code;
        memcpy(&code, (const char *)&cells[i] + offset, sizeof code);
        c.codes[i] = code;
    }
    TRY(frame_add(&d->obs, &c));
done:
    column_clear(&c);
    return st;
}

/* A barcode that is a one-to-one image of the cell's number: two bits a letter. */
static scw_status add_barcode(strings *names, int64_t i, int batch)
{
    char text[32];
    uint32_t word = (uint32_t)i * 2654435769u + 0x5bd1e995u;

    for (int b = 0; b < 16; b++) text[b] = "ACGT"[word >> (2 * b) & 3];
    (void)snprintf(text + 16, sizeof text - 16, "-%d", batch + 1);
    return strings_add(names, text);
}

static scw_status add_obs(scw_dataset *d, const cell *cells)
{
    scw_status st = SCW_OK;
    column doublet = {0};

    d->obs.n_rows = d->n_obs;
    TRY(mem_strdup(&d->obs.index_name, "_index"));
    for (int64_t i = 0; i < d->n_obs; i++) TRY(add_barcode(&d->obs.index, i, cells[i].batch));
    TRY(add_codes(d, "cell_type", cells, offsetof(cell, label), true));
    TRY(add_codes(d, "batch", cells, offsetof(cell, batch), false));
    TRY(add_codes(d, "truth", cells, offsetof(cell, type), true));
    TRY(column_init(&doublet, "is_doublet", COLUMN_BOOL, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++) doublet.boolean[i] = cells[i].is_doublet;
    TRY(frame_add(&d->obs, &doublet));
done:
    column_clear(&doublet);
    return st;
}

scw_status example_make(scw_dataset **out, int64_t n_obs, example_panel panel, uint64_t seed)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    profiles rna = {0}, adt = {0}, atac = {0};
    peak *peaks = NULL;
    cell *cells = NULL;

    *out = NULL;
    if (n_obs < 1 || n_obs > 10000000)
        FAIL(SCW_EINVAL, "an example of %lld cells: expected 1 to 10000000", (long long)n_obs);
    TRY(mem_new(&d, 1));
    TRY(mem_new(&d->modalities, 3));
    TRY(mem_new(&peaks, N_PEAKS));
    TRY(mem_new(&cells, n_obs));
    d->n_obs = n_obs;
    for (int64_t i = 0; i < n_obs; i++) cells[i] = draw_cell(stream_key(seed, STREAM_CELL), i);
    TRY(make_rna(&rna, panel, PANEL_SEED));
    TRY(make_adt(&adt, PANEL_SEED));
    TRY(make_atac(&atac, peaks, count_peaks(panel), PANEL_SEED));
    TRY(add_obs(d, cells));
    TRY(add_modality(d, "rna", &rna, cells, 0, true, stream_key(seed, STREAM_RNA)));
    TRY(add_modality(d, "adt", &adt, cells, 1, false, stream_key(seed, STREAM_ADT)));
    TRY(add_modality(d, "atac", &atac, cells, 2, true, stream_key(seed, STREAM_ATAC)));
    TRY(add_gene_column(&d->modalities[2], peaks));
    *out = d;
    d = NULL;
done:
    scw_dataset_free(d);
    profiles_clear(&rna);
    profiles_clear(&adt);
    profiles_clear(&atac);
    mem_free(peaks);
    mem_free(cells);
    return st;
}
