/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that writes a file, each from opening its inputs to the rename, on the smallest inputs there
 * are: the corpora of fuzz/, and for models of paired modalities a simulated set. For tests of what happens when the work ends in the middle. */
#ifndef SURVIVAL_WRITERS_H
#define SURVIVAL_WRITERS_H

#include <stdbool.h>

#include "base/status.h"

typedef struct writer {
    const char *name;
    const char *output; /* name of the file or, with '/' at its end, the folder; NULL: nothing is written */
    scw_status (*run)(const char *output);
} writer;

extern const writer writers[];
extern const int n_writers;

/* Sets and models that some of them start from; before the first. */
bool writers_prepare(void);
void writers_release(void);

/* A new folder to write in, in memory where the system has a place for that: no disk is slower to sync. */
bool writers_make_folder(char out[64]);

/* What lies at `path` before: a file, or a folder with the three files of a matrix. */
void writer_place_old(const writer *w, const char *path);

typedef enum writer_found {
    FOUND_OLD,    /* as it was placed */
    FOUND_NEW,    /* all that is there is new and whole */
    FOUND_ABSENT, /* nothing, or a folder without its matrix, which no reader takes */
    FOUND_MIXED   /* what must not be */
} writer_found;

/* What lies there now? `hash`: of the complete new output; 0: put it there. */
writer_found writer_look(const writer *w, const char *path, unsigned long *hash);

/* Remove the output, and whatever begins with its name. Returns how many other files there were. */
int writer_remove(const writer *w, const char *path);

#endif
