/* SPDX-License-Identifier: BSD-3-Clause */
/* Print the op table: a line an op with its name and what its row lacks. tools/check_ops.py compares
 * it with the ops that the gradient test says it has run. */
#include <stdio.h>

#include "engine/ops.h"

/* Samples that a row gives; each is one instance for the gradient test. */
static int n_samples(const op_spec *op, tape *t)
{
    tensor *wrt[OP_MAX_INPUTS];
    int n = 0, n_wrt = 0;

    while (op->sample && n < 1000) {
        tape_reset(t, TAPE_TRAIN);
        if (!op->sample(t, n, wrt, &n_wrt)) break;
        if (n_wrt == 0) break; /* nothing whose gradient could be wrong */
        n++;
    }
    return n;
}

int main(void)
{
    tape *t;

    if (tape_new(&t) != SCW_OK) return 1;
    for (const op_spec *const *row = op_table; *row; row++) {
        const op_spec *op = *row;
        (void)printf("%s shape=%d forward=%d backward=%d samples=%d\n", op->name, op->shape != NULL,
                     op->forward != NULL, op->backward != NULL, n_samples(op, t));
    }
    tape_free(t);
    return 0;
}
