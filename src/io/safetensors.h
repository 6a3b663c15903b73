/* SPDX-License-Identifier: BSD-3-Clause */
/* The model file: safetensors.
 *
 *   8 bytes: length of the header, little-endian
 *   header:  JSON {"__metadata__": {text: text}, "<name>": {"dtype": "F32", "shape": [...],
 *            "data_offsets": [from, to]}, ...}, padded with spaces to a multiple of 8
 *   data:    the tensors, little-endian, in the order of the header
 *
 * Anyone can open it from Python. No time stamps: equal contents give equal bytes. */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"

/* One float32 tensor. */
typedef struct safetensor {
    const char *name; /* borrowed when writing; owned by the file when reading */
    int n_dims;
    int64_t dim[4];
    int64_t size;
    const float *data;
} safetensor;

/* Write atomically. `metadata`: object whose values are strings (borrowed). */
SCW_CHECKED scw_status safetensors_write(const char *path, const safetensor *tensors, int64_t n,
                                         const json_t *metadata);

typedef struct safetensors_file {
    json_t *header;
    const json_t *metadata; /* in the header; NULL: none */
    safetensor *tensors;
    int64_t n;
    float *data; /* all tensors */
} safetensors_file;

/* Read and check a whole file: SCW_EIO, SCW_EFORMAT (what is wrong with it). Only F32 is read. */
SCW_CHECKED scw_status safetensors_read(safetensors_file *out, const char *path);
void safetensors_clear(safetensors_file *f);

const safetensor *safetensors_find(const safetensors_file *f, const char *name); /* NULL: absent */
const char *safetensors_text(const safetensors_file *f, const char *key); /* metadata, or NULL */

#endif
