/* SPDX-License-Identifier: BSD-3-Clause */
/* CLIP's row (models/kind.h). */
#ifndef TASK_CLIP_H
#define TASK_CLIP_H

#include "models/clip_model.h"

extern const scw_model_kind clip_kind;

#endif
