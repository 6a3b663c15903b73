/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/h5_array.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/threads.h"
#include "io/h5_decode.h"

#define TRUSTED_CHUNK (64 << 20) /* chunks up to here are not held against their bytes in the file */
#define MOST_EXPANSION 2000      /* gzip expands at most 1032-fold, LZF 88-fold */
#define SPAN 65536               /* values that one thread converts at a time */

static size_t chunk_bytes(const h5_array *a)
{
    return (size_t)a->chunk_rows * (size_t)a->chunk_cols * number_size(a->type);
}

/* ------------------------------------------------------------------ opening */

number_type h5_number_type(const h5_info *info, bool is_signed)
{
    static const number_type integers[2][4] = {
        {NUMBER_U8, NUMBER_U16, NUMBER_U32, NUMBER_U64}, {NUMBER_I8, NUMBER_I16, NUMBER_I32, NUMBER_I64}};
    int log2 = info->size <= 1 ? 0 : info->size <= 2 ? 1 : info->size <= 4 ? 2 : 3;

    if (info->class == H5_CLASS_FLOAT) return info->size <= 4 ? NUMBER_F32 : NUMBER_F64;
    return integers[is_signed][log2];
}

static hid_t memory_type(number_type type)
{
    const hid_t types[] = {[NUMBER_F32] = H5T_NATIVE_FLOAT,  [NUMBER_F64] = H5T_NATIVE_DOUBLE,
                           [NUMBER_I8] = H5T_NATIVE_INT8,    [NUMBER_I16] = H5T_NATIVE_INT16,
                           [NUMBER_I32] = H5T_NATIVE_INT32,  [NUMBER_I64] = H5T_NATIVE_INT64,
                           [NUMBER_U8] = H5T_NATIVE_UINT8,   [NUMBER_U16] = H5T_NATIVE_UINT16,
                           [NUMBER_U32] = H5T_NATIVE_UINT32, [NUMBER_U64] = H5T_NATIVE_UINT64};
    return types[type];
}

static scw_status find_type(h5_array *a, bool *native)
{
    scw_status st = SCW_OK;
    hid_t type = 0, base = 0;

    type = H5Dget_type(a->id);
    base = type < 0 ? -1 : H5Tget_class(type) == H5T_ENUM ? H5Tget_super(type) : H5Tcopy(type);
    if (base < 0) FAIL(SCW_EFORMAT, "%s: damaged (%s)", a->where, h5_reason());
    a->type = h5_number_type(&a->info, H5Tget_sign(base) != H5T_SGN_NONE);
    *native = H5Tequal(base, memory_type(a->type)) > 0;
done:
    h5_close(&base);
    h5_close(&type);
    return st;
}

/* Do we know all filters? Then the chunks can be taken as they are. */
static bool know_filters(h5_array *a, hid_t dcpl)
{
    int n = H5Pget_nfilters(dcpl);
    unsigned options = 0;

    if (n < 0 || n > H5_MAX_FILTERS) return false;
    /* Chunks at the edge may then be stored unlike the others. */
    if (H5Pget_chunk_opts(dcpl, &options) < 0 || options) return false;
    for (int k = 0; k < n; k++) {
        unsigned flags;
        size_t n_values = 0;
        a->filters[k] = H5Pget_filter2(dcpl, (unsigned)k, &flags, &n_values, NULL, 0, NULL, NULL);
        if (a->filters[k] != H5Z_FILTER_DEFLATE && a->filters[k] != H5Z_FILTER_SHUFFLE &&
            a->filters[k] != H5_LZF_FILTER)
            return false;
    }
    a->n_filters = n;
    return true;
}

static scw_status find_chunks(h5_array *a)
{
    scw_status st = SCW_OK;
    hsize_t dims[2] = {1, 1};
    bool native = false;
    hid_t dcpl = H5Dget_create_plist(a->id);

    if (dcpl < 0) FAIL(SCW_EFORMAT, "%s: damaged (%s)", a->where, h5_reason());
    TRY(find_type(a, &native));
    if (H5Pget_layout(dcpl) != H5D_CHUNKED || !native || a->n == 0 || a->width == 0) goto done;
    if (H5Pget_chunk(dcpl, 2, dims) != a->info.rank || !know_filters(a, dcpl)) goto done;
    a->chunk_rows = (int64_t)dims[0];
    a->chunk_cols = a->info.rank == 2 ? (int64_t)dims[1] : 1;
    a->chunked = a->chunk_rows > 0 && a->chunk_cols > 0 &&
                 H5Pget_fill_value(dcpl, memory_type(a->type), a->fill) >= 0;
done:
    h5_close(&dcpl);
    return st;
}

scw_status h5_array_open(h5_array *a, hid_t dataset, int rank)
{
    scw_status st = SCW_OK;

    *a = (h5_array){.last_chunk = -1};
    TRY(mem_strdup(&a->where, h5_where(dataset)));
    TRY(h5_describe(&a->info, dataset));
    if (a->info.class != H5_CLASS_INTEGER && a->info.class != H5_CLASS_FLOAT &&
        a->info.class != H5_CLASS_BOOL)
        BREAK(RULE_VALUES_NUMERIC, SCW_EFORMAT, "%s: holds %s values, expected numbers", a->where,
              h5_type_name(&a->info));
    if (a->info.rank != rank)
        BREAK(rank == 1 ? RULE_VECTORS_COMPLETE : RULE_VALUES_NUMERIC, SCW_EFORMAT,
              "%s: has %d dimension%s, expected %d", a->where, a->info.rank,
              a->info.rank == 1 ? "" : "s", rank);
    a->n = a->info.dim[0];
    a->width = rank == 2 ? a->info.dim[1] : 1;
    (void)H5Iinc_ref(dataset);
    a->id = dataset;
    TRY(find_chunks(a));
done:
    if (st != SCW_OK) h5_array_close(a);
    return st;
}

void h5_array_close(h5_array *a)
{
    h5_close(&a->id);
    mem_free(a->where);
    mem_free(a->last);
    *a = (h5_array){.last_chunk = -1};
}

/* ------------------------------------------------------------------ fetching */

void h5_raw_clear(h5_raw *raw)
{
    mem_free(raw->bytes);
    mem_free(raw->pieces);
    *raw = (h5_raw){0};
}

static scw_status reserve(h5_raw *raw, int64_t n_bytes, int64_t n_pieces)
{
    scw_status st = SCW_OK;

    if (n_bytes > raw->room) {
        TRY(mem_resize(&raw->bytes, n_bytes + n_bytes / 8));
        raw->room = n_bytes + n_bytes / 8;
    }
    if (n_pieces > raw->room_pieces) {
        TRY(mem_resize(&raw->pieces, n_pieces));
        raw->room_pieces = n_pieces;
    }
done:
    return st;
}

/* Through H5Dread, without a change of type where the file's is native. */
static scw_status fetch_plain(h5_raw *out, h5_array *a)
{
    scw_status st = SCW_OK;
    hid_t mem = 0, space = 0;
    int64_t values, n_bytes;
    hsize_t start[2] = {(hsize_t)out->from, 0}, count[2] = {(hsize_t)out->n, (hsize_t)a->width};

    out->plain = true;
    if (!checked_mul(&values, out->n, a->width) ||
        !checked_mul(&n_bytes, values, (int64_t)number_size(a->type)))
        FAIL(SCW_EFORMAT, "%s: the declared size overflows", a->where);
    TRY(reserve(out, n_bytes, 0));
    if (values == 0) goto done;
    mem = H5Screate_simple(a->info.rank, count, NULL);
    space = H5Dget_space(a->id);
    if (mem < 0 || space < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(a->id, memory_type(a->type), mem, space, H5P_DEFAULT, out->bytes) < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read the values (%s)", a->where, h5_reason());
done:
    h5_close(&mem);
    h5_close(&space);
    return st;
}

/* List the chunks of the range with the bytes they take, one behind the other. */
static scw_status list_pieces(h5_raw *out, const h5_array *a)
{
    scw_status st = SCW_OK;
    const int64_t first = out->from / a->chunk_rows, last = (out->from + out->n - 1) / a->chunk_rows;
    const int64_t across = (a->width - 1) / a->chunk_cols + 1;
    int64_t n, at = 0;
    const hsize_t file_size = (hsize_t)h5_file_size(a->id);

    if (!checked_mul(&n, last - first + 1, across))
        FAIL(SCW_EFORMAT, "%s: the declared size overflows", a->where);
    TRY(reserve(out, 0, n));
    for (int64_t k = 0; k < n; k++) {
        h5_piece *p = &out->pieces[k];
        *p = (h5_piece){.row = (first + k / across) * a->chunk_rows, .col = k % across * a->chunk_cols};
        hsize_t offset[2] = {(hsize_t)p->row, (hsize_t)p->col}, size = 0;
        if (p->row == a->last_chunk) continue; /* its bytes are here already */
        if (H5Dget_chunk_storage_size(a->id, offset, &size) < 0) size = 0;
        if (size > file_size)
            BREAK(RULE_SIZE_HONEST, SCW_EFORMAT,
                  "%s: the chunk at %lld claims %llu bytes, the whole file has %llu", a->where,
                  (long long)p->row, (unsigned long long)size, (unsigned long long)file_size);
        if (size && chunk_bytes(a) > TRUSTED_CHUNK && chunk_bytes(a) / MOST_EXPANSION > size)
            BREAK(RULE_SIZE_HONEST, SCW_EFORMAT,
                  "%s: the chunk at %lld declares %zu bytes, but the file holds only %llu of it",
                  a->where, (long long)p->row, chunk_bytes(a),
                 (unsigned long long)size);
        p->at = (size_t)at;
        p->n = (size_t)size;
        at += ((int64_t)size + 7) / 8 * 8; /* what is not compressed is read where it lies */
    }
    out->n_pieces = n;
    TRY(reserve(out, at, 0));
done:
    return st;
}

static scw_status fetch_pieces(h5_raw *out, h5_array *a)
{
    scw_status st = SCW_OK;

    out->plain = false;
    out->n_pieces = 0;
    if (out->n == 0) goto done;
    TRY(list_pieces(out, a));
    for (int64_t k = 0; k < out->n_pieces; k++) {
        h5_piece *p = &out->pieces[k];
        hsize_t offset[2] = {(hsize_t)p->row, (hsize_t)p->col};
        if (p->n == 0) continue;
        if (H5Dread_chunk(a->id, H5P_DEFAULT, offset, &p->skipped, out->bytes + p->at) < 0)
            FAIL(SCW_EFORMAT, "%s: cannot read the chunk at %lld (%s)", a->where,
                 (long long)p->row, h5_reason());
    }
done:
    return st;
}

scw_status h5_fetch(h5_raw *out, h5_array *a, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    h5_session session;

    h5_session_begin(&session);
    out->from = from;
    out->n = n;
    TRY(a->chunked ? fetch_pieces(out, a) : fetch_plain(out, a));
done:
    h5_session_end(&session);
    return st;
}

/* ------------------------------------------------------------------ decoding */

/* What one thread needs: two buffers of a chunk's bytes, exchanged from filter to filter. */
typedef struct scratch {
    uint8_t *buffer[2];
    inflater *inflate;
    int64_t bad; /* piece that could not be decoded, -1: none */
} scratch;

/* Undo the filters of a piece; where the values then lie, NULL if the bytes are damaged. */
static const uint8_t *undo(scratch *s, const h5_array *a, const h5_piece *p, const uint8_t *bytes)
{
    const uint8_t *at = bytes;
    size_t n = p->n;
    const size_t whole = chunk_bytes(a);
    int into = 0;

    for (int k = a->n_filters - 1; k >= 0; k--) {
        if (p->skipped >> k & 1u) continue;
        uint8_t *out = s->buffer[into];
        if (a->filters[k] == H5Z_FILTER_SHUFFLE) {
            if (n != whole) return NULL;
            unshuffle(out, at, n, a->info.size);
        } else if (a->filters[k] == H5Z_FILTER_DEFLATE) {
            if (!inflate_exactly(s->inflate, out, whole, at, n)) return NULL;
        } else if (!lzf_exactly(out, whole, at, n)) {
            return NULL;
        }
        at = out;
        n = whole;
        into = 1 - into;
    }
    return n == whole ? at : NULL;
}

/* The part of a decoded chunk that the range covers, into its place. NULL values: the fill value. */
static void place(void *out, number_type to, const h5_array *a, const h5_raw *raw,
                  const h5_piece *p, const uint8_t *values)
{
    const size_t size = number_size(a->type), out_size = number_size(to);
    int64_t from = p->row > raw->from ? p->row : raw->from;
    int64_t end = p->row + a->chunk_rows, range_end = raw->from + raw->n;
    int64_t cols = a->width - p->col < a->chunk_cols ? a->width - p->col : a->chunk_cols;

    if (end > range_end) end = range_end;
    if (a->width == 1 && a->chunk_cols == 1 && values) {
        number_convert((uint8_t *)out + (size_t)(from - raw->from) * out_size, to,
                       values + (size_t)(from - p->row) * size, a->type, end - from);
        return;
    }
    for (int64_t i = from; i < end; i++) {
        uint8_t *row = (uint8_t *)out + (size_t)((i - raw->from) * a->width + p->col) * out_size;
        if (values) {
            number_convert(row, to, values + (size_t)((i - p->row) * a->chunk_cols) * size,
                           a->type, cols);
            continue;
        }
        for (int64_t j = 0; j < cols; j++)
            number_convert(row + (size_t)j * out_size, to, a->fill, a->type, 1);
    }
}

static void decode_piece(void *out, number_type to, const h5_array *a, const h5_raw *raw, int64_t k,
                         scratch *s)
{
    const h5_piece *p = &raw->pieces[k];
    const uint8_t *values = NULL;

    if (p->row == a->last_chunk) {
        values = a->last;
    } else if (p->n) {
        values = undo(s, a, p, raw->bytes + p->at);
        if (!values) {
            s->bad = s->bad < 0 ? k : s->bad;
            return;
        }
    }
    place(out, to, a, raw, p, values);
}

/* A vector is read on where the last range ended: keep the chunk that two ranges share. */
static scw_status keep_last(h5_array *a, const h5_raw *raw, scratch *s)
{
    scw_status st = SCW_OK;
    const h5_piece *p = &raw->pieces[raw->n_pieces - 1];
    bool shared = raw->from + raw->n < p->row + a->chunk_rows && raw->from + raw->n < a->n;

    if (a->width != 1 || !p->n || !shared || p->row == a->last_chunk) goto done;
    a->last_chunk = -1;
    if (!a->last) TRY(mem_new(&a->last, (int64_t)chunk_bytes(a)));
    const uint8_t *values = undo(s, a, p, raw->bytes + p->at);
    if (!values) goto done; /* said already */
    memcpy(a->last, values, chunk_bytes(a));
    a->last_chunk = p->row;
done:
    return st;
}

static scw_status decode_pieces(void *out, number_type to, h5_array *a, const h5_raw *raw)
{
    scw_status st = SCW_OK;
    int64_t n_threads = threads_get() < raw->n_pieces ? threads_get() : raw->n_pieces;
    scratch *each = NULL;

    TRY(mem_new(&each, n_threads));
    for (int64_t t = 0; t < n_threads; t++) {
        each[t].bad = -1;
        for (int side = 0; a->n_filters && side < (a->n_filters > 1 ? 2 : 1); side++)
            TRY(mem_resize(&each[t].buffer[side], (int64_t)chunk_bytes(a)));
        if (a->n_filters && !(each[t].inflate = inflater_new()))
            FAIL(SCW_ENOMEM, "out of memory: decompression");
    }
    PARALLEL_FOR
    for (int64_t t = 0; t < n_threads; t++)
        for (int64_t k = t; k < raw->n_pieces; k += n_threads)
            decode_piece(out, to, a, raw, k, &each[t]);
    int64_t bad = -1;
    for (int64_t t = 0; t < n_threads; t++)
        if (each[t].bad >= 0 && (bad < 0 || each[t].bad < bad)) bad = each[t].bad;
    if (bad >= 0)
        BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the chunk at %lld is damaged", a->where,
             (long long)raw->pieces[bad].row);
    if (raw->n_pieces) TRY(keep_last(a, raw, &each[0]));
done:
    for (int64_t t = 0; each && t < n_threads; t++) {
        mem_free(each[t].buffer[0]);
        mem_free(each[t].buffer[1]);
        inflater_free(each[t].inflate);
    }
    mem_free(each);
    return st;
}

scw_status h5_decode(void *out, number_type to, h5_array *a, const h5_raw *raw)
{
    if (!raw->plain) return decode_pieces(out, to, a, raw);
    const int64_t n = raw->n * a->width, n_spans = (n + SPAN - 1) / SPAN;
    const size_t in_size = number_size(a->type), out_size = number_size(to);

    PARALLEL_FOR
    for (int64_t s = 0; s < n_spans; s++) {
        int64_t at = s * SPAN, left = n - at < SPAN ? n - at : SPAN;
        number_convert((uint8_t *)out + (size_t)at * out_size, to, raw->bytes + (size_t)at * in_size,
                       a->type, left);
    }
    return SCW_OK;
}

scw_status h5_array_read(void *out, number_type to, h5_array *a, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    h5_raw raw = {0};

    TRY(h5_fetch(&raw, a, from, n));
    TRY(h5_decode(out, to, a, &raw));
done:
    h5_raw_clear(&raw);
    return st;
}
