/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a fit between two steps, ready to be written or just read: blocks of values under
 * names, and everything else as a JSON object. What the file looks like is the task layer's affair.
 *
 * A fit that starts from a checkpoint gives the bytes that the interrupted one would have given: random
 * numbers are addressed by step, so positions and values are all there is to keep. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include <jansson.h>

#include "base/real.h"
#include "base/status.h"

#define CHECKPOINT_MAX_BLOCKS 24

typedef struct checkpoint_block {
    const char *name;
    const real *value; /* [n], borrowed */
    int64_t n;
} checkpoint_block;

typedef struct checkpoint {
    json_t *state; /* owned */
    checkpoint_block block[CHECKPOINT_MAX_BLOCKS];
    int n_blocks;
} checkpoint;

/* How a fit keeps itself: given by the caller, who knows about files. */
typedef struct checkpoint_plan {
    const char *where; /* the file's name, for messages */
    double minutes;    /* write when so many have passed since the start or the last; 0: never */
    int64_t epochs;    /* and after every so many epochs; 0: never */
    void *self;
    scw_status (*save)(void *self, const checkpoint *c);
    const checkpoint *resume; /* start here; NULL: from the beginning */
} checkpoint_plan;

void checkpoint_add(checkpoint *c, const char *name, const real *value, int64_t n);
/* NULL: absent. */
const checkpoint_block *checkpoint_find(const checkpoint *c, const char *name);
/* Copy block `name` into out [n]. SCW_EFORMAT when it is absent or of another size. */
SCW_CHECKED scw_status checkpoint_copy(real *out, const checkpoint *c, const char *name, int64_t n);
void checkpoint_clear(checkpoint *c);

/* Numbers of an object. A real may be infinite or NaN, which JSON's own numbers cannot. The readers
 * fail with SCW_EFORMAT, naming the key. */
SCW_CHECKED scw_status checkpoint_put_int(json_t *object, const char *key, int64_t value);
SCW_CHECKED scw_status checkpoint_put_real(json_t *object, const char *key, double value);
SCW_CHECKED scw_status checkpoint_put_reals(json_t *object, const char *key, const double *value,
                                            int n);
SCW_CHECKED scw_status checkpoint_get_int(int64_t *out, const json_t *object, const char *key);
SCW_CHECKED scw_status checkpoint_get_real(double *out, const json_t *object, const char *key);
/* At most `most` values; *n receives their number. */
SCW_CHECKED scw_status checkpoint_get_reals(double *out, int *n, int most, const json_t *object,
                                            const char *key);

#endif
