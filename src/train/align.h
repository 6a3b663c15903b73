/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines up the batches of a query with a reference: what sets a batch apart, whatever the class of the
 * cell, is taken out of its projected inputs.
 *
 *   s = sum_i (u_i - sum_c p_ic M_c) / (n + 10)
 *
 * over the n cells of the batch, M_c the reference's class means, p_ic the model's own answer for the
 * cell moved by the s of the round before; five rounds from s = 0. So a batch may differ in its mix of
 * types and is not forced to the reference's mean. It is an answer for the batch as a whole: the same
 * cell in another file may get another. Types that the reference lacks pull s with them. */
#ifndef TRAIN_ALIGN_H
#define TRAIN_ALIGN_H

#include "models/matilda_model.h"

/* Class means of the listed labelled cells into m->means. */
SCW_CHECKED scw_status align_learn(matilda_model *m, const cells *c, const int64_t *rows,
                                   int64_t n);

/* Set the shifts of c's cells; batch [n] in 0..n_batches-1 is copied. SCW_EUNSUPPORTED: the model has no
 * class means. */
SCW_CHECKED scw_status align_query(cells *c, const matilda_model *m, const int32_t *batch,
                                   int64_t n_batches, const scw_hooks *hooks);

#endif
