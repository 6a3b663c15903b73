/* SPDX-License-Identifier: BSD-3-Clause */
/* Colours. Classes, steps of a value, and departures from a middle; chosen to be told apart with
 * deficient colour sight too, and by their lightness alone as far as their number allows. */
#ifndef PLOT_PALETTE_H
#define PLOT_PALETTE_H

#include "plot/canvas.h"

#define PALETTE_CLASSES 48

extern const rgb palette_text, palette_soft, palette_line, palette_grid, palette_missing;

/* Of class k; after PALETTE_CLASSES the colours come again. */
rgb palette_class(int64_t k);
/* t from 0 (nearly white) to 1 (dark); lightness falls evenly. Values outside are cut. */
rgb palette_sequential(double t);
/* t from -1 (blue) over 0 (nearly white) to 1 (orange-red). */
rgb palette_diverging(double t);
/* Black or white, whichever is read better on a ground of this colour. */
rgb palette_ink(rgb ground);

#endif
