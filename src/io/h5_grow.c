/* SPDX-License-Identifier: BSD-3-Clause */
/* Datasets that grow row by row, for what is written while it is computed. */
#include <string.h>

#include "io/h5.h"

#define CHUNK_BYTES (256 * 1024)
#define GZIP_LEVEL 1 /* of values in long matrices: twice the speed of level 4 for a few per cent  \
                      */

scw_status h5_growing_open(h5_growing *g, hid_t parent, const char *name, hid_t type, int rank,
                           const int64_t *dim)
{
    scw_status st = SCW_OK;
    hid_t space = 0, dcpl = 0;
    hsize_t dims[H5_MAX_RANK], most[H5_MAX_RANK], chunk[H5_MAX_RANK];
    hsize_t row = H5Tget_size(type);

    *g = (h5_growing){.rank = rank};
    for (int i = 0; i < rank; i++) {
        g->dim[i] = i ? dim[i] : 0;
        dims[i] = most[i] = chunk[i] = (hsize_t)g->dim[i];
        if (i) row *= dims[i];
        if (i && chunk[i] == 0) chunk[i] = 1;
    }
    most[0] = H5S_UNLIMITED;
    chunk[0] = row && row < CHUNK_BYTES ? CHUNK_BYTES / row : 1;
    if (dim[0] > 0 && (hsize_t)dim[0] < chunk[0]) chunk[0] = (hsize_t)dim[0];
    space = H5Screate_simple(rank, dims, most);
    dcpl = H5Pcreate(H5P_DATASET_CREATE);
    bool plain = H5Tget_class(type) == H5T_STRING;
    if (space < 0 || dcpl < 0 || H5Pset_obj_track_times(dcpl, 0) < 0 ||
        H5Pset_chunk(dcpl, rank, chunk) < 0 ||
        (!plain && (H5Pset_shuffle(dcpl) < 0 || H5Pset_deflate(dcpl, GZIP_LEVEL) < 0)))
        FAIL(SCW_EIO, "%s: cannot write '%s': %s", h5_where(parent), name, h5_reason());
    g->type = H5Tcopy(type);
    hid_t d = H5Dcreate2(parent, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (d < 0) FAIL(SCW_EIO, "%s: cannot write '%s': %s", h5_where(parent), name, h5_reason());
    g->dataset = d;
done:
    h5_close(&space);
    h5_close(&dcpl);
    if (st != SCW_OK) h5_growing_clear(g);
    return st;
}

scw_status h5_growing_add(h5_growing *g, const void *rows, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t space = 0, memory = 0;
    hsize_t dims[H5_MAX_RANK], from[H5_MAX_RANK] = {0}, count[H5_MAX_RANK];

    if (n == 0) goto done;
    for (int i = 0; i < g->rank; i++)
        dims[i] = count[i] = (hsize_t)g->dim[i];
    from[0] = (hsize_t)g->dim[0];
    dims[0] = (hsize_t)(g->dim[0] + n);
    count[0] = (hsize_t)n;
    if (H5Dset_extent(g->dataset, dims) < 0)
        FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(g->dataset), h5_reason());
    g->dim[0] += n;
    space = H5Dget_space(g->dataset);
    memory = H5Screate_simple(g->rank, count, NULL);
    if (space < 0 || memory < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, count, NULL) < 0 ||
        H5Dwrite(g->dataset, g->type, memory, space, H5P_DEFAULT, rows) < 0)
        FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(g->dataset), h5_reason());
done:
    h5_close(&space);
    h5_close(&memory);
    return st;
}

scw_status h5_growing_finish(h5_growing *g)
{
    scw_status st = SCW_OK;
    hid_t d = g->dataset;

    g->dataset = 0;
    if (d > 0 && H5Dclose(d) < 0) FAIL(SCW_EIO, "cannot write: %s", h5_reason());
done:
    return st;
}

void h5_growing_clear(h5_growing *g)
{
    h5_close(&g->dataset);
    h5_close(&g->type);
    *g = (h5_growing){0};
}
