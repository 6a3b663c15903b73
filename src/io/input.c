/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/input.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "io/tar.h"

void input_close(input *in)
{
    h5_close(&in->hdf5);
    strings_clear(&in->members);
    text_clear(&in->head);
    mem_free(in->path);
    *in = (input){0};
}

/* ------------------------------------------------------------------ folders */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of what is in a folder. What begins with a dot is not data: macOS leaves "._name" beside each file. */
static scw_status list_folder(strings *out, const char *path)
{
    scw_status st = SCW_OK;
    DIR *folder = opendir(path);

    if (!folder) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    for (struct dirent *e = readdir(folder); e; e = readdir(folder))
        if (e->d_name[0] != '.') TRY(strings_add(out, e->d_name));
    if (out->n) qsort(out->at, (size_t)out->n, sizeof *out->at, by_bytes);
done:
    if (folder) (void)closedir(folder);
    return st;
}

static scw_status add_members(strings *out, const char *root, const char *below, int depth)
{
    scw_status st = SCW_OK;
    strings names = {0};
    textbuf path = {0}, member = {0};
    struct stat info;

    TRY(text_add(&path, "%s%s%s", root, *below ? "/" : "", below));
    TRY(list_folder(&names, text_get(&path)));
    for (int64_t i = 0; i < names.n; i++) {
        text_clear(&path);
        text_clear(&member);
        TRY(text_add(&member, "%s%s%s", below, *below ? "/" : "", names.at[i]));
        TRY(text_add(&path, "%s/%s", root, text_get(&member)));
        if (stat(text_get(&path), &info) != 0) continue;
        if (S_ISREG(info.st_mode)) TRY(strings_add(out, text_get(&member)));
        if (S_ISDIR(info.st_mode) && depth > 0)
            TRY(add_members(out, root, text_get(&member), depth - 1));
    }
done:
    text_clear(&path);
    text_clear(&member);
    strings_clear(&names);
    return st;
}

/* ------------------------------------------------------------------ files */

static bool is_text(const uint8_t *bytes, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (bytes[i] < 0x20 && bytes[i] != '\t' && bytes[i] != '\n' && bytes[i] != '\r') return false;
    return n > 0;
}

/* The bytes of the file itself. */
static scw_status raw_stream(byte_stream **out, const input *in)
{
    if (in->bytes) return bytes_of_memory(out, in->bytes, in->n_bytes, in->path);
    return bytes_of_file(out, in->path, in->path);
}

static scw_status look(input *in)
{
    scw_status st = SCW_OK;
    byte_stream *s = NULL;
    const uint8_t *head;
    int64_t n;

    TRY(raw_stream(&s, in));
    TRY(bytes_decompress(&s));
    TRY(bytes_peek(&head, &n, s));
    in->kind = INPUT_OTHER;
    if (tar_recognise(head, n)) {
        in->kind = INPUT_TAR;
        byte_stream *archive = s;
        s = NULL;
        TRY(tar_list(&in->members, archive));
    } else if (is_text(head, n)) {
        in->kind = INPUT_TEXT;
        TRY(text_add_bytes(&in->head, (const char *)head, n));
    }
done:
    bytes_free(s);
    return st;
}

scw_status input_open_bytes(input *out, const char *name, const void *bytes, int64_t n)
{
    scw_status st = SCW_OK;

    *out = (input){.bytes = bytes, .n_bytes = n};
    TRY(mem_strdup(&out->path, name));
    if (n >= 8 && memcmp(bytes, "\x89HDF\r\n\x1a\n", 8) == 0) {
        TRY(h5_file_open_image(&out->hdf5, bytes, (size_t)n));
        out->kind = INPUT_HDF5;
    } else {
        TRY(look(out));
    }
done:
    if (st != SCW_OK) input_close(out);
    return st;
}

scw_status input_open(input *out, const char *path)
{
    scw_status st = SCW_OK;
    struct stat info;
    bool hdf5;

    *out = (input){0};
    if (!path || !*path) FAIL(SCW_EINVAL, "no input file given");
    TRY(mem_strdup(&out->path, path));
    if (stat(path, &info) != 0) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        out->kind = INPUT_FOLDER;
        TRY(add_members(&out->members, path, "", 1));
        goto done;
    }
    TRY(h5_file_recognise(&hdf5, path));
    if (hdf5) {
        out->kind = INPUT_HDF5;
        TRY(h5_file_open(&out->hdf5, path));
    } else {
        TRY(look(out));
    }
done:
    if (st != SCW_OK) input_close(out);
    return st;
}

scw_status input_stream(byte_stream **out, const input *in, const char *member)
{
    scw_status st = SCW_OK;
    textbuf path = {0};

    *out = NULL;
    if (member && in->kind == INPUT_FOLDER) {
        TRY(text_add(&path, "%s/%s", in->path, member));
        TRY(bytes_of_file(out, text_get(&path), text_get(&path)));
    } else {
        TRY(raw_stream(out, in));
        TRY(bytes_decompress(out));
        byte_stream *archive = *out;
        if (member) {
            *out = NULL;
            TRY(tar_open(out, archive, member));
        }
    }
    TRY(bytes_decompress(out)); /* a member may be compressed itself */
done:
    text_clear(&path);
    return st;
}
