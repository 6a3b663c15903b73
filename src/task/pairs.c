/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/pairs.h"

#include "base/alloc.h"
#include "task/embedding.h"
#include "task/obs.h"

void pair_sides_clear(pair_sides *p)
{
    mem_free(p->x);
    mem_free(p->y);
    mem_free(p->batch_x);
    mem_free(p->batch_y);
    strings_clear(&p->batches);
    mem_free(p->partner);
    *p = (pair_sides){0};
}

static const char *path_of(const scw_dataset *d)
{
    return d->n_files > 0 ? d->files[0].path : "the data";
}

scw_status pair_sides_classes(int32_t **of_a, int32_t **of_b, strings *names, const pair_sides *p,
                              const char *key)
{
    scw_status st = SCW_OK;
    strings other = {0};

    TRY(obs_classes(of_a, names, p->a, path_of(p->a), key));
    TRY(obs_classes(of_b, &other, p->b, path_of(p->b), key));
    TRY(obs_join_codes(*of_b, names, p->b->n_obs, &other));
done:
    strings_clear(&other);
    return st;
}

static scw_status find_partners(pair_sides *p)
{
    scw_status st = SCW_OK;
    name_index index = {0};

    TRY(mem_new(&p->partner, p->a->n_obs));
    TRY(name_index_build(&index, (const char *const *)p->b->obs.index.at, p->b->n_obs, NULL));
    for (int64_t i = 0; i < p->a->n_obs; i++)
        p->partner[i] = name_index_find(&index, p->a->obs.index.at[i]);
done:
    name_index_clear(&index);
    return st;
}

/* What both ways of reading have in common, once x and y are there. */
static scw_status pair_up(pair_sides *p, const char *batch_key)
{
    scw_status st = SCW_OK;

    TRY(find_partners(p));
    if (batch_key) TRY(pair_sides_classes(&p->batch_x, &p->batch_y, &p->batches, p, batch_key));
done:
    return st;
}

scw_status pair_sides_read(pair_sides *out, const scw_dataset *a, const char *use_a,
                           const scw_dataset *b, const char *use_b, const char *batch_key)
{
    scw_status st = SCW_OK;
    int64_t d_b;

    *out = (pair_sides){.a = a, .b = b};
    TRY(embedding_read(&out->x, &out->d, a, use_a));
    TRY(embedding_read(&out->y, &d_b, b, use_b));
    if (out->d != d_b)
        FAIL(SCW_EDATA, "%s: '%s' has %lld columns and %s: '%s' has %lld: they are not one space",
             path_of(a), use_a, (long long)out->d, path_of(b), use_b, (long long)d_b);
    TRY(pair_up(out, batch_key));
done:
    if (st != SCW_OK) pair_sides_clear(out);
    return st;
}

scw_status pair_sides_share(pair_sides *out, const shared_side *a, const shared_side *b,
                            const char *map, const char *batch_key)
{
    scw_status st = SCW_OK;

    *out = (pair_sides){.a = a->data, .b = b->data};
    TRY(shared_features_read(&out->x, &out->y, &out->d, a, b, map));
    TRY(pair_up(out, batch_key));
done:
    if (st != SCW_OK) pair_sides_clear(out);
    return st;
}
