/* SPDX-License-Identifier: BSD-3-Clause */
/* probe WHAT IN OUT: read arrays from the file IN, compute, write arrays to OUT; for the comparison
 * with scikit-learn. IN holds int64 sizes, then the arrays in the order that the code below reads.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "metric/baseline.h"
#include "metric/classification.h"
#include "metric/clustering.h"
#include "metric/integration.h"
#include "metric/kmeans.h"
#include "metric/mixing.h"
#include "metric/pairing.h"
#include "metric/ranking.h"
#include "metric/silhouette.h"
#include "metric/translation.h"
#include "prep/cca.h"
#include "prep/pca.h"
#include "../probe.h"

/* sizes: n p classes weighted; C; x f32, y i32, sample weights f32, class weights f64
 * -> weights, intercepts f64 */
static void logistic_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    double *c = read_array(in, 1, 8);
    float *x = read_array(in, s[0] * s[1], 4);
    int32_t *y = read_array(in, s[0], 4);
    logistic_options o = logistic_defaults();
    logistic m;

    o.c = *c;
    float *sample = read_array(in, s[3] ? s[0] : 0, 4);
    double *class = read_array(in, s[3] ? s[2] : 0, 8);
    if (s[3]) {
        o.sample_weight = sample;
        o.class_weight = class;
    }
    must(logistic_fit(&m, x, s[0], s[1], y, (int32_t)s[2], &o) == SCW_OK, "logistic_fit");
    write_array(out, m.weight, s[2] * s[1], 8);
    write_array(out, m.intercept, s[2], 8);
    logistic_clear(&m);
    free(s);
    free(c);
    free(x);
    free(y);
    free(sample);
    free(class);
}

/* n_train n_query p classes k; train f32, y i32, query f32 -> i32 */
static void knn_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 5, 8);
    float *train = read_array(in, s[0] * s[2], 4);
    int32_t *y = read_array(in, s[0], 4);
    float *query = read_array(in, s[1] * s[2], 4);
    int32_t *said = calloc((size_t)s[1], sizeof *said);

    must(said &&
             knn_predict(said, train, y, s[0], query, s[1], s[2], (int32_t)s[3], s[4]) == SCW_OK,
         "knn_predict");
    write_array(out, said, s[1], 4);
    free(s);
    free(train);
    free(y);
    free(query);
    free(said);
}

/* n d k seed; x f32 -> inertia f64, clusters i32 */
static void kmeans_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    float *x = read_array(in, s[0] * s[1], 4);
    kmeans k;

    must(kmeans_fit(&k, x, s[0], s[1], &(kmeans_options){.k = s[2], .seed = (uint64_t)s[3]}) ==
             SCW_OK,
         "kmeans_fit");
    write_array(out, &k.inertia, 1, 8);
    write_array(out, k.clusters, s[0], 4);
    kmeans_clear(&k);
    free(s);
    free(x);
}

/* n classes; truth, prediction i32 -> accuracy macro_f1 balanced ari nmi fm jaccard(pairs) rand
 * f64, then precision, recall, f1 f64 by class */
static void figures_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 2, 8);
    int32_t *truth = read_array(in, s[0], 4), *said = read_array(in, s[0], 4);
    classification c;
    clustering g;

    must(classification_measure(&c, truth, said, s[0], (int32_t)s[1]) == SCW_OK, "classification");
    must(clustering_measure(&g, truth, said, s[0]) == SCW_OK, "clustering");
    const double all[] = {c.accuracy, c.macro_f1, c.balanced_accuracy, g.ari,
                          g.nmi, g.fm, g.jaccard, g.rand};
    write_array(out, all, 8, 8);
    write_array(out, c.precision, s[1], 8);
    write_array(out, c.recall, s[1], 8);
    write_array(out, c.f1, s[1], 8);
    classification_clear(&c);
    free(s);
    free(truth);
    free(said);
}

/* n p nnz k centred seed; indptr i64, indices i32, values f32, column scale f32
 * -> components [p, k], variances [k], total f64, scores [n, k] f32 */
static void pca_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 6, 8);
    matrix m;
    pca c;

    must(matrix_init_csr(&m, s[0], s[1], s[2]) == SCW_OK, "matrix");
    must(fread(m.indptr, 8, (size_t)s[0] + 1, in) == (size_t)s[0] + 1, "input is short");
    must(fread(m.indices, 4, (size_t)s[2], in) == (size_t)s[2], "input is short");
    must(fread(m.values, 4, (size_t)s[2], in) == (size_t)s[2], "input is short");
    float *scale = read_array(in, s[1], 4);
    pca_options o = {.k = s[3], .seed = (uint64_t)s[5], .uncentred = !s[4], .col_scale = scale};
    must(pca_fit(&c, &m, &o) == SCW_OK, "pca_fit");
    float *scores = calloc((size_t)(s[0] * c.k), sizeof *scores);
    must(scores && pca_scores(scores, &c, &m) == SCW_OK, "pca_scores");
    write_array(out, c.components, c.p * c.k, 8);
    write_array(out, c.variances, c.k, 8);
    write_array(out, &c.total_variance, 1, 8);
    write_array(out, scores, s[0] * c.k, 4);
    pca_clear(&c);
    matrix_clear(&m);
    free(s);
    free(scale);
    free(scores);
}

/* sizes: n p nnz classes; csr; classes i32 -> mean_in mean_out t p_t z p_z [classes, p] f64 each,
 * then p_t of the first class adjusted */
static void ranking_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    matrix m;
    ranking r;

    must(matrix_init_csr(&m, s[0], s[1], s[2]) == SCW_OK, "matrix");
    must(fread(m.indptr, 8, (size_t)s[0] + 1, in) == (size_t)s[0] + 1, "input is short");
    must(fread(m.indices, 4, (size_t)s[2], in) == (size_t)s[2], "input is short");
    must(fread(m.values, 4, (size_t)s[2], in) == (size_t)s[2], "input is short");
    int32_t *classes = read_array(in, s[0], 4);
    must(ranking_test(&r, &m, classes, (int32_t)s[3]) == SCW_OK, "ranking_test");
    const double *parts[] = {r.mean_in, r.mean_out, r.t, r.p_t, r.z, r.p_z};
    for (int k = 0; k < 6; k++) write_array(out, parts[k], s[1] * s[3], 8);
    must(ranking_adjust(r.p_t, s[1]) == SCW_OK, "ranking_adjust");
    write_array(out, r.p_t, s[1], 8);
    ranking_clear(&r);
    matrix_clear(&m);
    free(s);
    free(classes);
}

/* n; t f64, df f64 -> p f64 */
static void student_case(FILE *in, FILE *out)
{
    int64_t *n = read_array(in, 1, 8);
    double *t = read_array(in, *n, 8), *df = read_array(in, *n, 8);

    for (int64_t i = 0; i < *n; i++) t[i] = ranking_student_p(t[i], df[i]);
    write_array(out, t, *n, 8);
    free(n);
    free(t);
    free(df);
}

/* n d groups cosine mean_other; x f32, group i32 -> widths f64 */
static void silhouette_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 5, 8);
    float *x = read_array(in, s[0] * s[1], 4);
    int32_t *group = read_array(in, s[0], 4);
    double *width = calloc((size_t)s[0], sizeof *width);
    silhouette_input how = {.x = x, .n = s[0], .d = s[1], .group = group,
                            .n_groups = (int32_t)s[2], .cosine = s[3], .mean_other = s[4]};

    must(width && silhouette_widths(width, &how) == SCW_OK, "silhouette_widths");
    write_array(out, width, s[0], 8);
    free(s);
    free(x);
    free(group);
    free(width);
}

/* n d groups k; x f32, group i32 -> LISI of each cell, connectivity, kBET f64 */
static void mixing_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    float *x = read_array(in, s[0] * s[1], 4);
    int32_t *group = read_array(in, s[0], 4);
    double *lisi = calloc((size_t)s[0] + 2, sizeof *lisi);
    double *weights;
    neighbors nn;
    neighbors_search how = {.rows = x, .n_rows = s[0], .d = s[1], .k = s[3]};

    must(lisi && neighbors_find(&nn, &how) == SCW_OK, "neighbors_find");
    must(mixing_weights(&weights, &nn) == SCW_OK, "mixing_weights");
    must(mixing_lisi(lisi, &nn, weights, group, (int32_t)s[2]) == SCW_OK, "mixing_lisi");
    mem_free(weights);
    must(mixing_connectivity(lisi + s[0], &nn, group, (int32_t)s[2]) == SCW_OK, "connectivity");
    must(mixing_kbet(lisi + s[0] + 1, &nn, group, (int32_t)s[2]) == SCW_OK, "mixing_kbet");
    write_array(out, lisi, s[0] + 2, 8);
    neighbors_clear(&nn);
    free(s);
    free(x);
    free(group);
    free(lisi);
}

/* n d labels batches; x f32, labels i32, batches i32 -> asw_label isolated_asw clisi connectivity
 * asw_batch bras ilisi cilisi kbet pcr f64 */
static void integration_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    float *x = read_array(in, s[0] * s[1], 4);
    int32_t *label = read_array(in, s[0], 4), *batch = read_array(in, s[0], 4);
    integration_input how = {.x = x, .n = s[0], .d = s[1], .label = label, .batch = batch,
                             .n_labels = (int32_t)s[2], .n_batches = (int32_t)s[3]};
    integration r;

    must(integration_measure(&r, &how, NULL) == SCW_OK, "integration_measure");
    const double all[] = {r.asw_label, r.isolated_asw, r.clisi, r.connectivity, r.asw_batch,
                          r.bras, r.ilisi, r.cilisi, r.kbet, r.pcr};
    write_array(out, all, 10, 8);
    free(s);
    free(x);
    free(label);
    free(batch);
}

/* n_x n_y d cosine; x f32, y f32, partner i64 -> foscttm, its halves, top f64 */
static void pairing_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    float *x = read_array(in, s[0] * s[2], 4), *y = read_array(in, s[1] * s[2], 4);
    int64_t *partner = read_array(in, s[0], 8);
    pairing_input how = {.x = x, .y = y, .n_x = s[0], .n_y = s[1], .d = s[2], .partner = partner,
                         .cosine = s[3]};
    pairing r;

    must(pairing_measure(&r, &how) == SCW_OK, "pairing_measure");
    const double all[] = {r.foscttm, r.foscttm_xy, r.foscttm_yx, r.top[0], r.top[1], r.top[2]};
    write_array(out, all, 6, 8);
    free(s);
    free(x);
    free(y);
    free(partner);
}

/* n p; truth f32, said f32 -> pearson by feature, by cell, AUROC by feature, by cell f64 */
static void translation_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 2, 8);
    float *truth = read_array(in, s[0] * s[1], 4), *said = read_array(in, s[0] * s[1], 4);
    const matrix dense = {.n_rows = s[0], .n_cols = s[1], .values = truth};
    translation t;

    must(translation_measure(&t, &dense, said) == SCW_OK, "translation_measure");
    write_array(out, t.pearson_feature, s[1], 8);
    write_array(out, t.pearson_cell, s[0], 8);
    write_array(out, t.auroc_feature, s[1], 8);
    write_array(out, t.auroc_cell, s[0], 8);
    translation_clear(&t);
    free(s);
    free(truth);
    free(said);
}

/* n p q k; ridge f64; x f32, y f32 -> correlations f64, scores of x and of y f32 */
static void cca_case(FILE *in, FILE *out)
{
    int64_t *s = read_array(in, 4, 8);
    double *ridge = read_array(in, 1, 8);
    float *x = read_array(in, s[0] * s[1], 4), *y = read_array(in, s[0] * s[2], 4);
    cca c;

    must(cca_fit(&c, x, s[1], y, s[2], s[0], s[3], *ridge) == SCW_OK, "cca_fit");
    float *scores = calloc((size_t)(s[0] * c.k), sizeof *scores);
    must(scores != NULL, "memory");
    write_array(out, c.correlations, c.k, 8);
    cca_scores(scores, &c, x, s[0], false);
    write_array(out, scores, s[0] * c.k, 4);
    cca_scores(scores, &c, y, s[0], true);
    write_array(out, scores, s[0] * c.k, 4);
    cca_clear(&c);
    free(s);
    free(ridge);
    free(x);
    free(y);
    free(scores);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(FILE *in, FILE *out);
    } cases[] = {{"logistic", logistic_case}, {"knn", knn_case}, {"kmeans", kmeans_case},
                 {"figures", figures_case}, {"pca", pca_case}, {"ranking", ranking_case},
                 {"student", student_case}, {"silhouette", silhouette_case},
                 {"mixing", mixing_case}, {"integration", integration_case},
                 {"pairing", pairing_case}, {"translation", translation_case},
                 {"cca", cca_case}};

    must(argc == 4, "usage: probe WHAT IN OUT");
    FILE *in = fopen(argv[2], "rb"), *out = fopen(argv[3], "wb");
    must(in && out, "cannot open the files");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        if (strcmp(argv[1], cases[k].name) == 0) cases[k].run(in, out);
    (void)fclose(in);
    must(fclose(out) == 0, "cannot write");
    return 0;
}
