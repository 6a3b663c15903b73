/* SPDX-License-Identifier: BSD-3-Clause */
/* Strings of variable length, without HDF5's own reader of them.
 *
 * Such a string is stored as a reference into a heap of the file:
 *
 *   reference   length (4) | address of a collection (A) | number of the object (4)
 *   collection  "GCOL" version 1 (1) 0 (3) size (L), then objects:
 *   object      number (2) uses (2) 0 (4) size (L) bytes, padded to 8; number 0: free space
 *
 * HDF5 1.10 follows references without looking: a damaged one makes it read or write outside its
 * memory. Here HDF5 is asked for the references only, through a conversion that leaves them as they
 * are, and each step from there is checked. Numbers are little-endian; A and L stand in the file. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/h5_vlen.h"

#define LARGEST (1ll << 30) /* bytes of a collection */

/* A "conversion" of references to opaque bytes of the same size. */
static herr_t keep_references(hid_t from, hid_t to, H5T_cdata_t *data, size_t n, size_t stride,
                              size_t background_stride, void *buffer, void *background, hid_t dxpl)
{
    (void)from, (void)to, (void)n, (void)stride, (void)background_stride, (void)buffer;
    (void)background, (void)dxpl;
    if (data->command == H5T_CONV_INIT) data->need_bkg = H5T_BKG_NO;
    return 0;
}

scw_status h5_vlen_register(void)
{
    scw_status st = SCW_OK;
    hid_t text = H5Tcopy(H5T_C_S1), opaque = H5Tcreate(H5T_OPAQUE, 16);

    /* Registered by class: for any string of variable length and any opaque type. */
    if (text < 0 || opaque < 0 || H5Tset_size(text, H5T_VARIABLE) < 0 ||
        H5Tregister(H5T_PERS_SOFT, "scweave references", text, opaque, keep_references) < 0)
        st = status_fail(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    h5_close(&text);
    h5_close(&opaque);
    return st;
}

void h5_vlen_unregister(void)
{
    (void)H5Tunregister(H5T_PERS_SOFT, "scweave references", -1, -1, keep_references);
}

scw_status h5_vlen_open(h5_vlen *v, hid_t object)
{
    scw_status st = SCW_OK;
    hid_t file = 0, fcpl = 0, fapl = 0;
    hsize_t base = 0;
    void *handle = NULL;
    unsigned intent = 0;

    *v = (h5_vlen){.fd = -1};
    file = H5Iget_file_id(object);
    if (file < 0) FAIL(SCW_EINTERNAL, "HDF5: %s", h5_reason());
    /* What was written in this session must be on the disk to be seen there. */
    if (H5Fget_intent(file, &intent) < 0 ||
        (intent != H5F_ACC_RDONLY && H5Fflush(file, H5F_SCOPE_GLOBAL) < 0))
        FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(object), h5_reason());
    fcpl = H5Fget_create_plist(file);
    fapl = H5Fget_access_plist(file);
    if (fcpl < 0 || fapl < 0 || H5Pget_sizes(fcpl, &v->address_size, &v->length_size) < 0 ||
        H5Pget_userblock(fcpl, &base) < 0 || H5Fget_vfd_handle(file, fapl, &handle) < 0 ||
        H5Fget_filesize(file, &v->file_size) < 0)
        FAIL(SCW_EFORMAT, "%s: damaged (%s)", h5_where(object), h5_reason());
    if (v->address_size > 8 || v->length_size > 8)
        FAIL(SCW_EUNSUPPORTED, "%s: addresses of %zu bytes", h5_where(object), v->address_size);
    v->base = base;
    if (H5Pget_driver(fapl) == H5FD_CORE)
        v->memory = *(const uint8_t **)handle;
    else
        v->fd = *(int *)handle;
done:
    h5_close(&fcpl);
    h5_close(&fapl);
    h5_close(&file);
    return st;
}

void h5_vlen_close(h5_vlen *v)
{
    mem_free(v->bytes);
    mem_free(v->start);
    *v = (h5_vlen){.fd = -1};
}

static uint64_t number(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;) value = value << 8 | p[i];
    return value;
}

static bool read_at(const h5_vlen *v, uint8_t *out, uint64_t at, uint64_t n)
{
    if (n > v->file_size || at > v->file_size - n) return false;
    if (v->memory) {
        memcpy(out, v->memory + at, (size_t)n);
        return true;
    }
    for (uint64_t got = 0; got < n;) {
        ssize_t k = pread(v->fd, out + got, (size_t)(n - got), (off_t)(at + got));
        if (k <= 0) return false;
        got += (uint64_t)k;
    }
    return true;
}

static scw_status damaged(hid_t object)
{
    return rule_broken(NULL, RULE_FILE_WHOLE, SCW_EFORMAT, "%s: cannot read the strings (the file's heap is damaged)",
                       h5_where(object));
}

/* Positions of the objects of the collection in memory: start[number], 0: none. */
static scw_status index_objects(h5_vlen *v, hid_t object)
{
    scw_status st = SCW_OK;
    uint64_t head = 8 + v->length_size, at = (8 + v->length_size + 7) / 8 * 8;

    mem_free(v->start);
    v->start = NULL;
    /* An object takes at least its head, so there are at most size / head of them; but numbers may
     * have gaps, and are 16 bits wide. */
    TRY(mem_new(&v->start, UINT16_MAX + 1));
    while (v->size - at >= head) {
        uint64_t k = number(v->bytes + at, 2);
        uint64_t n = number(v->bytes + at + 8, v->length_size);
        if (k == 0) break; /* free space ends the collection */
        if (n > v->size - at - head) TRY(damaged(object));
        v->start[k] = at;
        uint64_t step = (head + 7) / 8 * 8 + (n + 7) / 8 * 8;
        if (step > v->size - at) break;
        at += step;
    }
done:
    return st;
}

static scw_status load_collection(h5_vlen *v, hid_t object, uint64_t address)
{
    scw_status st = SCW_OK;
    uint8_t head[16];

    v->loaded = false;
    if (address > v->file_size ||
        !read_at(v, head, v->base + address, 8 + v->length_size) ||
        memcmp(head, "GCOL", 4) != 0 || head[4] != 1)
        TRY(damaged(object));
    uint64_t size = number(head + 8, v->length_size);
    if (size > LARGEST || size > v->file_size || size < 24) TRY(damaged(object));
    mem_free(v->bytes);
    v->bytes = NULL;
    TRY(mem_new(&v->bytes, (int64_t)size));
    if (!read_at(v, v->bytes, v->base + address, size)) TRY(damaged(object));
    v->size = size;
    TRY(index_objects(v, object));
    v->address = address;
    v->loaded = true;
done:
    return st;
}

scw_status h5_vlen_get(const char **text, size_t *length, h5_vlen *v, hid_t object,
                       const uint8_t *reference)
{
    scw_status st = SCW_OK;
    uint64_t n = number(reference, 4);
    uint64_t address = number(reference + 4, v->address_size);
    uint64_t k = number(reference + 4 + v->address_size, 4);

    *text = "";
    *length = 0;
    v->cut = false;
    if (n == 0 || address == 0) goto done;
    if (!v->loaded || v->address != address) TRY(load_collection(v, object, address));
    if (k > UINT16_MAX || v->start[k] == 0) TRY(damaged(object));
    uint64_t at = v->start[k];
    if (n > number(v->bytes + at + 8, v->length_size)) TRY(damaged(object));
    *text = (const char *)v->bytes + at + (8 + v->length_size + 7) / 8 * 8;
    *length = strnlen(*text, (size_t)n);
    v->cut = h5_text_goes_on(*text, *length, (size_t)n);
done:
    return st;
}
