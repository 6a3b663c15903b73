/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/checkpoint.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/text.h"

void checkpoint_add(checkpoint *c, const char *name, const real *value, int64_t n)
{
    assert(c->n_blocks < CHECKPOINT_MAX_BLOCKS);
    c->block[c->n_blocks++] = (checkpoint_block){name, value, n};
}

const checkpoint_block *checkpoint_find(const checkpoint *c, const char *name)
{
    for (int k = 0; k < c->n_blocks; k++)
        if (strcmp(c->block[k].name, name) == 0) return &c->block[k];
    return NULL;
}

scw_status checkpoint_copy(real *out, const checkpoint *c, const char *name, int64_t n)
{
    const checkpoint_block *b = checkpoint_find(c, name);

    if (!b || b->n != n)
        return status_fail(SCW_EFORMAT, "the block '%s' is %s", name,
                           b ? "of another size than the model's" : "missing");
    memcpy(out, b->value, (size_t)n * sizeof *out);
    return SCW_OK;
}

void checkpoint_clear(checkpoint *c)
{
    json_decref(c->state);
    *c = (checkpoint){0};
}

/* ---------------------------------------------------------------------------------- numbers */

/* A finite number is written with 17 digits, which bring back the same bits. */
static json_t *real_to_json(double v)
{
    if (isfinite(v)) return json_real(v);
    return json_string(isnan(v) ? "nan" : v > 0.0 ? "inf" : "-inf");
}

static bool real_from_json(double *out, const json_t *v)
{
    const char *word = json_string_value(v);

    if (json_is_number(v)) return *out = json_number_value(v), true;
    if (!word) return false;
    *out = strcmp(word, "nan") == 0 ? NAN : strcmp(word, "inf") == 0 ? INFINITY : -INFINITY;
    return true;
}

static scw_status put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return SCW_OK;
    return status_fail(SCW_ENOMEM, "out of memory in a checkpoint");
}

static scw_status lacks(const char *key)
{
    return status_fail(SCW_EFORMAT, "its state has no valid '%s'", key);
}

scw_status checkpoint_put_int(json_t *object, const char *key, int64_t value)
{
    return put(object, key, json_integer((json_int_t)value));
}

scw_status checkpoint_put_real(json_t *object, const char *key, double value)
{
    return put(object, key, real_to_json(value));
}

scw_status checkpoint_put_reals(json_t *object, const char *key, const double *value, int n)
{
    json_t *list = json_array();

    for (int k = 0; k < n; k++)
        if (json_array_append_new(list, real_to_json(value[k])) != 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    return put(object, key, list);
}

scw_status checkpoint_get_int(int64_t *out, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    *out = (int64_t)json_integer_value(v);
    return json_is_integer(v) && *out >= 0 ? SCW_OK : lacks(key);
}

scw_status checkpoint_get_real(double *out, const json_t *object, const char *key)
{
    return real_from_json(out, json_object_get(object, key)) ? SCW_OK : lacks(key);
}

scw_status checkpoint_get_reals(double *out, int *n, int most, const json_t *object,
                                const char *key)
{
    const json_t *list = json_object_get(object, key);

    if (!json_is_array(list) || json_array_size(list) > (size_t)most) return lacks(key);
    *n = (int)json_array_size(list);
    for (int k = 0; k < *n; k++)
        if (!real_from_json(&out[k], json_array_get(list, (size_t)k))) return lacks(key);
    return SCW_OK;
}
