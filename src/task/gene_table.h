/* SPDX-License-Identifier: BSD-3-Clause */
/* Where genes lie: a GTF, or a table with a heading. */
#ifndef TASK_GENE_TABLE_H
#define TASK_GENE_TABLE_H

#include "base/text.h"
#include "prep/activity.h"

typedef struct gene_table {
    int64_t n;
    strings ids, symbols; /* symbols: the id where there is none */
    activity_gene *genes; /* [n]; body.chromosome indexes `chromosomes` */
    strings chromosomes;  /* without a leading "chr"; the mitochondrial one is M */
} gene_table;

/* SCW_EFORMAT names the line, or the columns that are needed; SCW_EIO. */
SCW_CHECKED scw_status gene_table_read(gene_table *out, const char *path);
void gene_table_clear(gene_table *t);

/* The name as the table has it; *scratch owns it. */
SCW_CHECKED scw_status chromosome_name(const char **out, textbuf *scratch, const char *name);

/* "chr1:100-200", also with - or _ between; false: it is none. The chromosome's name goes to
 * `name`. */
bool interval_parse(textbuf *name, int64_t *start, int64_t *end, const char *text);

#endif
