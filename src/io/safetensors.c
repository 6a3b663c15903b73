/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/checked.h"
#include "base/text.h"

#define HEADER_LIMIT ((int64_t)100 << 20) /* the format's own limit */

/* ------------------------------------------------------------------------------------ write */

static scw_status tensor_entry(json_t *header, const safetensor *t, int64_t *offset)
{
    scw_status st = SCW_OK;
    int64_t from = *offset;
    json_t *shape = json_array();

    for (int d = 0; d < t->n_dims; d++) json_array_append_new(shape, json_integer(t->dim[d]));
    *offset += t->size * (int64_t)sizeof(float);
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
                              "data_offsets", (json_int_t)from, (json_int_t)*offset);
    if (!entry || json_object_set_new(header, t->name, entry) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the header of a model file");
done:
    return st;
}

static scw_status build_header(char **out, const safetensor *tensors, int64_t n,
                               const json_t *metadata)
{
    scw_status st = SCW_OK;
    json_t *header = json_object();
    char *dumped = NULL;
    textbuf padded = {0};
    int64_t offset = 0;

    *out = NULL;
    if (!header) FAIL(SCW_ENOMEM, "out of memory in the header of a model file");
    if (metadata && json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the header of a model file");
    for (int64_t k = 0; k < n; k++) TRY(tensor_entry(header, &tensors[k], &offset));
    dumped = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory in the header of a model file");
    TRY(text_add(&padded, "%s", dumped));
    while (padded.length % 8) TRY(text_add(&padded, " "));
    *out = text_take(&padded);
done:
    json_decref(header);
    if (dumped) {
        json_free_t release;
        json_get_alloc_funcs(NULL, &release);
        release(dumped);
    }
    text_clear(&padded);
    return st;
}

scw_status safetensors_write(const char *path, const safetensor *tensors, int64_t n,
                             const json_t *metadata)
{
    scw_status st = SCW_OK;
    atomic_file target = {0};
    char *header = NULL;
    FILE *file = NULL;
    bool ok = true;

    TRY(build_header(&header, tensors, n, metadata));
    TRY(atomic_file_begin(&target, path));
    file = fopen(target.temporary, "wb");
    if (!file) FAIL(SCW_EIO, "%s: cannot write: %s", path, strerror(errno));
    uint64_t length = strlen(header);
    unsigned char prefix[8];
    for (int k = 0; k < 8; k++) prefix[k] = (unsigned char)(length >> (8 * k));
    ok = fwrite(prefix, 1, 8, file) == 8 && fwrite(header, 1, length, file) == length;
    for (int64_t k = 0; ok && k < n; k++) {
        size_t count = (size_t)tensors[k].size;
        ok = count == 0 || fwrite(tensors[k].data, sizeof(float), count, file) == count;
    }
    int why = errno;
    ok = ok && fflush(file) == 0;
    if (!ok) FAIL(SCW_EIO, "%s: cannot write: %s", path, strerror(why ? why : errno));
    int failed = fclose(file);
    file = NULL;
    if (failed) FAIL(SCW_EIO, "%s: cannot write: %s", path, strerror(errno));
    TRY(atomic_file_commit(&target));
done:
    if (file) (void)fclose(file);
    atomic_file_clear(&target);
    mem_free(header);
    return st;
}

/* ------------------------------------------------------------------------------------- read */

void safetensors_clear(safetensors_file *f)
{
    json_decref(f->header);
    mem_free(f->tensors);
    mem_free(f->data);
    *f = (safetensors_file){0};
}

static scw_status read_exactly(FILE *file, const char *path, void *out, int64_t bytes)
{
    if (bytes > 0 && fread(out, 1, (size_t)bytes, file) != (size_t)bytes)
        return status_fail(SCW_EFORMAT, "%s: the file ends too early (truncated?)", path);
    return SCW_OK;
}

static scw_status parse_tensor(safetensor *out, const char *path, const char *name,
                               const json_t *entry, int64_t data_bytes, const float *data)
{
    scw_status st = SCW_OK;
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    int64_t from = (int64_t)json_integer_value(json_array_get(offsets, 0));
    int64_t to = (int64_t)json_integer_value(json_array_get(offsets, 1));

    *out = (safetensor){.name = name, .size = 1};
    if (!dtype || strcmp(dtype, "F32") != 0)
        FAIL(SCW_EFORMAT, "%s: tensor '%s' has dtype %s, expected F32", path, name,
             dtype ? dtype : "(none)");
    if (!json_is_array(shape) || json_array_size(shape) > 4)
        FAIL(SCW_EFORMAT, "%s: tensor '%s' has no shape of at most 4 dimensions", path, name);
    out->n_dims = (int)json_array_size(shape);
    for (int d = 0; d < out->n_dims; d++) {
        out->dim[d] = (int64_t)json_integer_value(json_array_get(shape, (size_t)d));
        if (out->dim[d] < 0 || !checked_mul(&out->size, out->size, out->dim[d]))
            FAIL(SCW_EFORMAT, "%s: tensor '%s' has an impossible shape", path, name);
    }
    int64_t bytes;
    if (!checked_mul(&bytes, out->size, (int64_t)sizeof(float)) || from < 0 || to < from ||
        to > data_bytes || to - from != bytes || from % (int64_t)sizeof(float))
        FAIL(SCW_EFORMAT, "%s: tensor '%s' does not match its place in the file", path, name);
    out->data = data + from / (int64_t)sizeof(float);
done:
    return st;
}

static scw_status parse_header(safetensors_file *f, const char *path, int64_t data_bytes)
{
    scw_status st = SCW_OK;
    const char *name;
    json_t *entry;

    TRY(mem_new(&f->tensors, (int64_t)json_object_size(f->header)));
    json_object_foreach(f->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            f->metadata = entry;
            continue;
        }
        TRY(parse_tensor(&f->tensors[f->n], path, name, entry, data_bytes, f->data));
        f->n++;
    }
done:
    return st;
}

scw_status safetensors_read(safetensors_file *out, const char *path)
{
    scw_status st = SCW_OK;
    FILE *file = NULL;
    char *text = NULL;
    unsigned char prefix[8];
    struct stat info;
    json_error_t why;

    *out = (safetensors_file){0};
    if (stat(path, &info) != 0) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) FAIL(SCW_EIO, "%s: is a directory, expected a model file", path);
    file = fopen(path, "rb");
    if (!file) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (info.st_size < 8)
        FAIL(SCW_EFORMAT, "%s: is not a scweave model (no safetensors header)", path);
    TRY(read_exactly(file, path, prefix, 8));
    uint64_t length = 0;
    for (int k = 0; k < 8; k++) length |= (uint64_t)prefix[k] << (8 * k);
    if (length > (uint64_t)HEADER_LIMIT || (int64_t)length > (int64_t)info.st_size - 8)
        FAIL(SCW_EFORMAT, "%s: is not a scweave model (no safetensors header)", path);
    TRY(mem_new(&text, (int64_t)length + 1));
    TRY(read_exactly(file, path, text, (int64_t)length));
    out->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(out->header))
        FAIL(SCW_EFORMAT, "%s: is not a scweave model (its header is not JSON)", path);
    int64_t data_bytes = (int64_t)info.st_size - 8 - (int64_t)length;
    TRY(mem_new(&out->data, data_bytes / (int64_t)sizeof(float) + 1));
    TRY(read_exactly(file, path, out->data, data_bytes));
    TRY(parse_header(out, path, data_bytes));
done:
    if (file) (void)fclose(file);
    mem_free(text);
    if (st != SCW_OK) safetensors_clear(out);
    return st;
}

const safetensor *safetensors_find(const safetensors_file *f, const char *name)
{
    for (int64_t k = 0; k < f->n; k++)
        if (strcmp(f->tensors[k].name, name) == 0) return &f->tensors[k];
    return NULL;
}

const char *safetensors_text(const safetensors_file *f, const char *key)
{
    return f->metadata ? json_string_value(json_object_get(f->metadata, key)) : NULL;
}
