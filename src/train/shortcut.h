/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear path from the projected inputs to the class scores, fitted as a logistic regression. */
#ifndef TRAIN_SHORTCUT_H
#define TRAIN_SHORTCUT_H

#include "models/model.h"

/* Set the shortcut weights and the classifier's bias of m->net from the listed training cells:
 *     minimise sum_i w_i CE_i + 1/(2 C) |W|^2 on T u,   T = S^-power,
 *     S = (1 - shrink) S_w + shrink tr(S_w)/p I,   S_w: covariance within classes,
 * T scaled so that the total variance of T u is that of u. C, power and shrink from the options. */
SCW_CHECKED scw_status shortcut_fit(scw_model *m, const cells *c, const int64_t *rows, int64_t n);

#endif
