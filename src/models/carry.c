/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/carry.h"

#include <string.h>

static bool applies(const carry_rule *r, const char *name)
{
    const size_t n = strlen(name), head = strlen(r->prefix), tail = strlen(r->suffix);

    return n >= head + tail && strncmp(name, r->prefix, head) == 0 &&
           strcmp(name + n - tail, r->suffix) == 0;
}

static const carry_rule *find_rule(const carry_rule *rules, int n, const char *name)
{
    for (int k = 0; k < n; k++)
        if (applies(&rules[k], name)) return &rules[k];
    return NULL;
}

/* Rows and columns of what has at most two axes. */
static int64_t extent(const param *p, int axis)
{
    return axis < p->n_dims ? p->dim[axis] : 1;
}

/* Is `to` as `from`, or longer along this axis only? */
static bool fits(const param *to, const param *from, int axis)
{
    if (to->n_dims != from->n_dims) return false;
    for (int d = 0; d < to->n_dims; d++)
        if (d == axis ? to->dim[d] < from->dim[d] : to->dim[d] != from->dim[d]) return false;
    return true;
}

/* Two matrices that begin alike; entries of `axis` behind those of `from` become the mean of its last
 * `known`. */
static void grow(real *to, const param *wide, const real *from, const param *narrow, int axis, int64_t known)
{
    const int64_t n_cols = extent(wide, 1), had_cols = extent(narrow, 1), had = extent(narrow, axis);
    const int64_t step = axis == 0 ? had_cols : 1; /* from one entry of the axis to the next, in `from` */

    for (int64_t i = 0; i < extent(wide, 0); i++)
        for (int64_t j = 0; j < n_cols; j++) {
            const int64_t at = axis == 0 ? i : j;
            const real *first = from + (axis == 0 ? j : i * had_cols);
            double sum = 0.0;
            if (at < had) {
                to[i * n_cols + j] = from[i * had_cols + j];
                continue;
            }
            for (int64_t e = had - known; e < had; e++) sum += (double)first[e * step];
            to[i * n_cols + j] = (real)(known > 0 ? sum / (double)known : 0.0);
        }
}

scw_status carry_params(params *to, const params *from, const carry_rule *rules, int n)
{
    for (int k = 0; k < to->n; k++) {
        const param *p = &to->at[k], *old = params_find(from, p->name);
        const carry_rule *r = find_rule(rules, n, p->name);
        if (!old && r) continue;
        if (!old)
            return status_fail(SCW_EINVAL, "the model to start from has no parameter '%s'", p->name);
        const bool same = fits(p, old, -1);
        if (!same && (!r || p->n_dims > 2 || !fits(p, old, r->axis) || r->known > extent(old, r->axis)))
            return status_fail(SCW_EINVAL,
                               "parameter '%s' is of another shape in the model to start from", p->name);
        if (same)
            memcpy(to->value + p->offset, from->value + old->offset, (size_t)p->size * sizeof(real));
        else
            grow(to->value + p->offset, p, from->value + old->offset, old, r->axis, r->known);
    }
    return SCW_OK;
}
