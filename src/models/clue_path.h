/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE's fitted linear path: the variates of models/linear_path.h, the same in every block. */
#ifndef MODELS_CLUE_PATH_H
#define MODELS_CLUE_PATH_H

#include "models/clue.h"
#include "models/linear_path.h"

/* Sets the path of a network that has one, with the heads at 0 beside it. gain: length of the path's
 * answers; start: deviation of the posterior. The path has at most z_dim components. */
void clue_path_set(clue_net *net, const linear_path *path, double gain, double start);

#endif
