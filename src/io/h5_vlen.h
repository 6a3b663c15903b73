/* SPDX-License-Identifier: BSD-3-Clause */
/* Following references to strings of variable length, each step checked; see h5_vlen.c. */
#ifndef IO_H5_VLEN_H
#define IO_H5_VLEN_H

#include "io/h5.h"

typedef struct h5_vlen {
    size_t address_size, length_size; /* bytes of addresses and lengths in this file */
    uint64_t base;                    /* where address 0 lies: behind the user block */
    hsize_t file_size;
    int fd;                /* the file, */
    const uint8_t *memory; /* or its image */
    bool cut;              /* the string got last holds a NUL, at which it was cut */
    bool loaded;           /* the collection read last: */
    uint64_t address, size;
    uint8_t *bytes;  /* [size] */
    uint64_t *start; /* [65536] position of each object, 0: none */
} h5_vlen;

/* Make HDF5 hand out references; between the two calls only. */
SCW_CHECKED scw_status h5_vlen_register(void);
void h5_vlen_unregister(void);

/* `object`: any open object of the file. */
SCW_CHECKED scw_status h5_vlen_open(h5_vlen *v, hid_t object);
void h5_vlen_close(h5_vlen *v);
/* Bytes of one reference in memory. */
static inline size_t h5_vlen_size(const h5_vlen *v)
{
    return 8 + v->address_size;
}
/* Is there something behind the NULs at `length` in a text of n bytes? */
static inline bool h5_text_goes_on(const char *text, size_t length, size_t n)
{
    while (length < n && text[length] == '\0') length++;
    return length < n;
}

/* The string a reference points to; lies in *v until the next call. */
SCW_CHECKED scw_status h5_vlen_get(const char **text, size_t *length, h5_vlen *v, hid_t object,
                                   const uint8_t *reference);

#endif
