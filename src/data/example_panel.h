/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of the example data set; example_panel.c says how to read them. */
#ifndef DATA_EXAMPLE_PANEL_H
#define DATA_EXAMPLE_PANEL_H

#include <stdint.h>

#define EXAMPLE_N_TYPES 15

typedef struct example_type {
    const char *name;
    double share;  /* of the cells; the shares are normalised to a sum of 1 */
    double depth;  /* molecules of a cell, relative */
    int neighbour; /* type towards which some cells of this type lean */
} example_type;

typedef struct example_gene {
    const char *name;
    const char *levels; /* [EXAMPLE_N_TYPES] */
    const char *chromosome;
    int32_t start; /* of transcription */
} example_gene;

typedef struct example_protein {
    const char *name;
    const char *levels; /* [EXAMPLE_N_TYPES] */
} example_protein;

extern const example_type example_types[EXAMPLE_N_TYPES];
extern const example_gene example_genes[];
extern const int example_n_genes;
extern const example_protein example_proteins[];
extern const int example_n_proteins;

/* Names separated by single spaces. */
extern const char example_abundant_genes[];
extern const char example_ribosomal_genes[];
extern const char example_mitochondrial_genes[];
extern const char example_other_genes[];

#endif
