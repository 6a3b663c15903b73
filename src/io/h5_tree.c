/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/h5_tree.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"

typedef struct walk {
    const rule_sink *sink;
    bool thorough; /* storage and attributes too */
    bool tree;     /* no group was met twice */
    const scw_hooks *hooks;
    haddr_t path[H5_MAX_DEPTH + 1]; /* groups above, by their addresses */
    haddr_t *seen;                  /* [n_slots] hash table of objects, HADDR_UNDEF: free */
    int64_t n_seen, n_slots;
} walk;

/* ------------------------------------------------------------------ objects that were seen */

static int64_t slot_of(const walk *w, haddr_t address)
{
    uint64_t at = (uint64_t)address * 0x9e3779b97f4a7c15u;
    int64_t k = (int64_t)(at >> 20) & (w->n_slots - 1);

    while (w->seen[k] != HADDR_UNDEF && w->seen[k] != address) k = (k + 1) & (w->n_slots - 1);
    return k;
}

static scw_status grow(walk *w)
{
    scw_status st = SCW_OK;
    haddr_t *old = w->seen;
    int64_t n = w->n_slots;

    w->seen = NULL;
    w->n_slots = n ? 2 * n : 256;
    st = mem_new(&w->seen, w->n_slots);
    if (st != SCW_OK) w->n_slots = 0;
    for (int64_t k = 0; k < w->n_slots; k++) w->seen[k] = HADDR_UNDEF;
    for (int64_t k = 0; w->n_slots && k < n; k++)
        if (old[k] != HADDR_UNDEF) w->seen[slot_of(w, old[k])] = old[k];
    mem_free(old);
    return st;
}

/* *again: the object was met before. */
static scw_status meet(bool *again, walk *w, haddr_t address)
{
    scw_status st = SCW_OK;

    if (2 * (w->n_seen + 1) > w->n_slots) TRY(grow(w));
    int64_t k = slot_of(w, address);
    *again = w->seen[k] == address;
    if (*again) goto done;
    w->seen[k] = address;
    w->n_seen++;
done:
    return st;
}

/* ------------------------------------------------------------------ what each object must be */

typedef struct attribute_walk {
    walk *w;
    scw_status st;
} attribute_walk;

static herr_t visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    attribute_walk *a = user;

    if (info->data_size > H5_MOST_ATTRIBUTE)
        a->st = rule_broken(a->w->sink, RULE_ATTRIBUTE_SIZE, SCW_EFORMAT,
                            "%s: attribute '%.100s' takes %llu bytes", h5_where(object), name,
                            (unsigned long long)info->data_size);
    return a->st == SCW_OK ? 0 : -1;
}

/* `failure` of a look at an object is a finding, if it is about the file. */
static scw_status tell(const walk *w, scw_status failure, rule_id otherwise)
{
    char message[1024];

    if (failure != SCW_EFORMAT && failure != SCW_EUNSUPPORTED && failure != SCW_ENOTFOUND)
        return failure;
    (void)snprintf(message, sizeof message, "%s", scw_error_message());
    return rule_broken(w->sink, rule_of_failure(otherwise), failure, "%s", message);
}

static herr_t find_text(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    bool *text = user;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type = 0;

    (void)info;
    if (attribute >= 0) type = H5Aget_type(attribute);
    *text = *text || (type > 0 && H5Tdetect_class(type, H5T_STRING) > 0 &&
                      (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0)) ||
            (type > 0 && H5Tdetect_class(type, H5T_VLEN) > 0);
    h5_close(&type);
    if (attribute >= 0) h5_close(&attribute);
    return *text ? 1 : 0;
}

static scw_status check_attributes(walk *w, hid_t object)
{
    scw_status st = SCW_OK;
    H5O_info_t info;
    hsize_t at = 0;
    bool text = false;

    if (H5Oget_info2(object, &info, H5O_INFO_META_SIZE) < 0) goto done; /* named types have none */
    if (info.meta_size.attr.index_size == 0) goto done;
    (void)H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, find_text, &text);
    if (text)
        TRY(rule_broken(w->sink, RULE_ATTRIBUTE_STORAGE, SCW_EFORMAT,
                        "%s: has text among attributes that lie outside of its header; write the file "
                        "without libver='latest'", h5_where(object)));
done:
    return st;
}

static scw_status check_object(walk *w, hid_t object)
{
    scw_status st = SCW_OK;
    attribute_walk a = {w, SCW_OK};
    hsize_t at = 0;
    h5_info info;

    TRY(log_check_cancel(w->hooks));
    if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, visit_attribute, &a) < 0) {
        TRY(a.st);
        TRY(rule_broken(w->sink, RULE_FILE_WHOLE, SCW_EFORMAT, "%s: cannot read its attributes (%s)",
                        h5_where(object), h5_reason()));
    }
    if (h5_kind_of(object) == H5_DATASET)
        TRY(tell(w, h5_describe(&info, object), RULE_READABLE));
done:
    return st;
}

/* ------------------------------------------------------------------ walking */

static scw_status walk_group(walk *w, hid_t group, int depth);

static scw_status walk_object(walk *w, hid_t group, const char *name, haddr_t address, int depth)
{
    scw_status st = SCW_OK;
    hid_t object = 0;
    bool again = false;

    for (int k = 0; k <= depth; k++) {
        if (w->path[k] != address) continue;
        w->tree = false;
        if (w->thorough)
            TRY(rule_broken(w->sink, RULE_LINK_CYCLE, SCW_EFORMAT, "%s: '%.100s' leads back to %s",
                            h5_where(group), name, k ? "a group above it" : "the root"));
        goto done;
    }
    TRY(meet(&again, w, address));
    object = H5Oopen_by_addr(group, address);
    if (object < 0) {
        object = 0;
        if (w->thorough)
            TRY(rule_broken(w->sink, RULE_FILE_WHOLE, SCW_EFORMAT, "%s: cannot read '%.100s' (%s)",
                            h5_where(group), name, h5_reason()));
        goto done;
    }
    if (again) {
        w->tree &= h5_kind_of(object) != H5_GROUP;
        goto done;
    }
    if (w->thorough) {
        h5_close(&object); /* by its name, which messages then have */
        st = h5_open(&object, group, name);
        if (st == SCW_OK) TRY(check_object(w, object));
        st = SCW_OK;       /* a named type is neither group nor dataset */
        if (object <= 0) goto done;
    }
    TRY(check_attributes(w, object));
    if (h5_kind_of(object) != H5_GROUP) goto done;
    if (depth == H5_MAX_DEPTH) {
        TRY(rule_broken(w->sink, RULE_NESTING_DEPTH, SCW_EFORMAT,
                        "%s: groups are nested more than %d deep", h5_where(object), H5_MAX_DEPTH));
        goto done;
    }
    w->path[depth + 1] = address;
    TRY(walk_group(w, object, depth + 1));
done:
    h5_close(&object);
    return st;
}

/* Soft links are not followed: what they lead to inside the file has a hard link too. */
static scw_status check_soft(walk *w, hid_t group, const char *name)
{
    hid_t object = 0;
    scw_status st = h5_open(&object, group, name);

    h5_close(&object);
    return st == SCW_OK ? SCW_OK : tell(w, st, RULE_LINK_TARGET);
}

static scw_status walk_link(walk *w, hid_t group, const char *name, int depth)
{
    H5L_info_t info;

    if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0)
        return !w->thorough ? SCW_OK
               : rule_broken(w->sink, RULE_FILE_WHOLE, SCW_EFORMAT, "%s: cannot read '%.100s'",
                             h5_where(group), name);
    if (info.type == H5L_TYPE_HARD) return walk_object(w, group, name, info.u.address, depth);
    if (info.type == H5L_TYPE_SOFT && h5_find(group, name) == H5_GROUP) w->tree = false;
    if (!w->thorough) return SCW_OK;
    if (info.type == H5L_TYPE_SOFT) return check_soft(w, group, name);
    return rule_broken(w->sink, RULE_LINK_INSIDE, SCW_EFORMAT,
                       "%s: '%.100s' is a link to another file; such links are not followed",
                       h5_where(group), name);
}

static scw_status walk_group(walk *w, hid_t group, int depth)
{
    scw_status st = SCW_OK;
    strings names = {0};

    st = h5_list(&names, group);
    if (st == SCW_EFORMAT) {
        st = w->thorough ? tell(w, st, RULE_FILE_WHOLE) : SCW_OK;
        goto done;
    }
    TRY(st);
    for (int64_t i = 0; i < names.n; i++) TRY(walk_link(w, group, names.at[i], depth));
done:
    strings_clear(&names);
    return st;
}

static scw_status begin(walk *w, hid_t group)
{
    scw_status st = SCW_OK;
    H5O_info_t info;
    bool again;

    w->tree = true;
    if (H5Oget_info2(group, &info, H5O_INFO_BASIC) < 0)
        BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: damaged (%s)", h5_where(group), h5_reason());
    w->path[0] = info.addr;
    TRY(meet(&again, w, info.addr));
    if (w->thorough) TRY(check_object(w, group));
    else TRY(check_attributes(w, group)); /* those of the root are not copied by HDF5 */
    if (h5_kind_of(group) == H5_GROUP) TRY(walk_group(w, group, 0));
done:
    mem_free(w->seen);
    return st;
}

scw_status h5_tree_measure(bool *tree, hid_t object)
{
    walk w = {0};
    scw_status st = begin(&w, object);

    if (tree) *tree = w.tree;
    return st;
}

scw_status h5_tree_check(const rule_sink *sink, hid_t group, const scw_hooks *hooks)
{
    walk w = {.sink = sink, .thorough = true, .hooks = hooks};

    return begin(&w, group);
}
