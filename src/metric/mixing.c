/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/mixing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/distribution.h"
#include "base/threads.h"

#define STEPS 50
#define ENTROPY_TOLERANCE 1e-5
#define KBET_LEVEL 0.05

/* p [k] for one beta; returns their entropy, of which log p_e = -beta d_e - log sum leaves a sum.
 * Distances are taken from the least, which cancels. */
static double weigh(double *p, const double *distance, int64_t k, double beta)
{
    double sum = 0.0, moment = 0.0;

    for (int64_t e = 0; e < k; e++) {
        double farther = distance[e] - distance[0];
        p[e] = exp(-beta * farther);
        sum += p[e];
        moment += p[e] * farther;
    }
    for (int64_t e = 0; e < k; e++) p[e] /= sum;
    return log(sum) + beta * moment / sum;
}

/* From beta 1, doubled or halved until the entropy is passed, then between the two. */
static void find_weights(double *p, const double *distance, int64_t k, double perplexity)
{
    double beta = 1.0, low = 0.0, high = INFINITY, wanted = log(perplexity);

    for (int step = 0; step < STEPS; step++) {
        double gap = weigh(p, distance, k, beta) - wanted;
        if (fabs(gap) < ENTROPY_TOLERANCE) return;
        if (gap > 0.0) {
            low = beta;
            beta = isinf(high) ? 2.0 * beta : 0.5 * (low + high);
        } else {
            high = beta;
            beta = 0.5 * (low + high);
        }
    }
    weigh(p, distance, k, beta);
}

scw_status mixing_weights(double **out, const neighbors *nn)
{
    scw_status st = SCW_OK;
    double perplexity = (double)nn->k / 3.0;

    if (perplexity < 1.0) perplexity = 1.0;
    TRY(mem_new(out, nn->n * nn->k));
    if (nn->k == 0) goto done;
    PARALLEL_FOR
    for (int64_t i = 0; i < nn->n; i++)
        find_weights(*out + i * nn->k, nn->distance + i * nn->k, nn->k, perplexity);
done:
    return st;
}

scw_status mixing_lisi(double *lisi, const neighbors *nn, const double *weights,
                       const int32_t *group, int32_t n_groups)
{
    scw_status st = SCW_OK;
    double *mass = NULL;

    TRY(mem_new(&mass, n_groups));
    for (int64_t i = 0; i < nn->n; i++) {
        const int32_t *row = nn->row + i * nn->k;
        const double *p = weights + i * nn->k;
        double square = 0.0;
        lisi[i] = 1.0;
        if (nn->k == 0) continue;
        memset(mass, 0, (size_t)n_groups * sizeof *mass);
        for (int64_t e = 0; e < nn->k; e++) mass[group[row[e]]] += p[e];
        for (int32_t g = 0; g < n_groups; g++) square += mass[g] * mass[g];
        lisi[i] = 1.0 / square;
    }
done:
    mem_free(mass);
    return st;
}

/* ------------------------------------------------------------------------ connectivity */

/* Root of a tree of cells, whose paths become shorter on the way. */
static int64_t root_of(int64_t *parent, int64_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

scw_status mixing_connectivity(double *out, const neighbors *nn, const int32_t *group,
                               int32_t n_groups)
{
    scw_status st = SCW_OK;
    int64_t *parent = NULL, *piece = NULL, *size = NULL, *largest = NULL, n_used = 0;

    *out = 0.0;
    TRY(mem_new(&parent, nn->n));
    TRY(mem_new(&piece, nn->n));
    TRY(mem_new(&size, n_groups));
    TRY(mem_new(&largest, n_groups));
    for (int64_t i = 0; i < nn->n; i++) parent[i] = i;
    for (int64_t i = 0; i < nn->n; i++)
        for (int64_t e = i * nn->k; e < (i + 1) * nn->k && group[i] >= 0; e++)
            if (group[nn->row[e]] == group[i])
                parent[root_of(parent, i)] = root_of(parent, nn->row[e]);
    for (int64_t i = 0; i < nn->n; i++) {
        if (group[i] < 0) continue;
        int64_t root = root_of(parent, i);
        size[group[i]]++;
        if (++piece[root] > largest[group[i]]) largest[group[i]] = piece[root];
    }
    for (int32_t g = 0; g < n_groups; g++) {
        if (size[g] == 0) continue;
        n_used++;
        *out += (double)largest[g] / (double)size[g];
    }
    *out = n_used ? *out / (double)n_used : NAN;
done:
    mem_free(parent);
    mem_free(piece);
    mem_free(size);
    mem_free(largest);
    return st;
}

/* -------------------------------------------------------------------------------- kBET */

scw_status mixing_kbet(double *out, const neighbors *nn, const int32_t *batch, int32_t n_batches)
{
    scw_status st = SCW_OK;
    double *share = NULL;
    int64_t *seen = NULL, n_accepted = 0;
    int32_t n_used = 0;

    *out = NAN;
    TRY(mem_new(&share, n_batches));
    TRY(mem_new(&seen, n_batches));
    for (int64_t i = 0; i < nn->n; i++) share[batch[i]] += 1.0 / (double)nn->n;
    for (int32_t b = 0; b < n_batches; b++) n_used += share[b] > 0.0;
    if (n_used < 2 || nn->n == 0) goto done;
    for (int64_t i = 0; i < nn->n; i++) {
        double chi = 0.0, size = (double)(nn->k + 1);
        memset(seen, 0, (size_t)n_batches * sizeof *seen);
        seen[batch[i]]++;
        for (int64_t e = i * nn->k; e < (i + 1) * nn->k; e++) seen[batch[nn->row[e]]]++;
        for (int32_t b = 0; b < n_batches; b++) {
            double expected = share[b] * size, gap = (double)seen[b] - expected;
            if (expected > 0.0) chi += gap * gap / expected;
        }
        n_accepted += chi_square_tail(chi, (double)(n_used - 1)) >= KBET_LEVEL;
    }
    *out = (double)n_accepted / (double)nn->n;
done:
    mem_free(share);
    mem_free(seen);
    return st;
}
