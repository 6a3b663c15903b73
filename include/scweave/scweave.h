/* SPDX-License-Identifier: BSD-3-Clause */
/* Umbrella: everything an application needs. */
#ifndef SCWEAVE_SCWEAVE_H
#define SCWEAVE_SCWEAVE_H

#include "dataset.h"
#include "evaluate.h"
#include "hooks.h"
#include "markers.h"
#include "match.h"
#include "model.h"
#include "neighbors.h"
#include "options.h"
#include "plot.h"
#include "preprocess.h"
#include "status.h"
#include "validate.h"
#include "version.h"

#endif
