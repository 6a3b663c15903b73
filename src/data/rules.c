/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/rules.h"

#include <stdarg.h>
#include <stdio.h>

static const rule_row rules[] = {
    [RULE_FILE_KNOWN] = {"file-known", RULE_REFUSES, "the file is of a format that is read",
                         "refuses the file"},
    [RULE_FILE_WHOLE] = {"file-whole", RULE_REFUSES, "the file is neither empty, truncated nor damaged",
                         "refuses the file"},
    [RULE_READABLE] = {"readable", RULE_REFUSES, "what a command reads can be read",
                       "refuses the element"},
    [RULE_LINK_INSIDE] = {"link-inside", RULE_REFUSES, "no link leads to another file",
                          "refuses the element; the other file is not opened"},
    [RULE_LINK_TARGET] = {"link-target", RULE_REFUSES, "every link leads to an element",
                          "refuses the element"},
    [RULE_LINK_CYCLE] = {"link-cycle", RULE_REFUSES, "no group holds itself", "refuses to copy it"},
    [RULE_NESTING_DEPTH] = {"nesting-depth", RULE_REFUSES, "groups are nested at most 64 deep",
                            "refuses to copy it"},
    [RULE_STORAGE_INSIDE] = {"storage-inside", RULE_REFUSES,
                             "values lie in the file itself, not in raw files or virtual data sets",
                             "refuses the element; the other file is not opened"},
    [RULE_FILTER_AVAILABLE] = {"filter-available", RULE_REFUSES,
                               "values are compressed with a filter that HDF5 has here",
                               "refuses the element"},
    [RULE_SIZE_HONEST] = {"size-honest", RULE_REFUSES,
                          "a data set declares no more than its bytes in the file can hold",
                          "refuses the element before memory is taken"},
    [RULE_ATTRIBUTE_SIZE] = {"attribute-size", RULE_REFUSES, "an attribute takes at most 16 MB",
                             "refuses the element"},
    [RULE_ATTRIBUTE_STORAGE] = {"attribute-storage", RULE_REFUSES,
                                "text attributes lie in the header of their element",
                                "refuses to copy it, because HDF5 1.10 crashes there; reads it"},
    [RULE_ENCODING_KNOWN] = {"encoding-known", RULE_COPIES,
                             "encoding-type and encoding-version are ones that anndata or mudata define",
                             "copies the element as it is"},
    [RULE_ENCODING_READ] = {"encoding-read", RULE_REFUSES,
                            "matrices and frames have an encoding that this version reads",
                            "refuses the element"},
    [RULE_ENCODING_FITS] = {"encoding-fits", RULE_REFUSES, "an element is what its encoding says",
                            "refuses the element"},
    [RULE_FRAME_PRESENT] = {"frame-present", RULE_REFUSES, "there are obs and var", "refuses the file"},
    [RULE_INDEX_PRESENT] = {"index-present", RULE_REFUSES, "a frame names its index and holds it",
                            "refuses the frame"},
    [RULE_INDEX_TEXT] = {"index-text", RULE_REPAIRS, "names are text",
                         "repairs: numbers are taken as their text"},
    [RULE_AXIS_NOT_EMPTY] = {"axis-not-empty", RULE_REFUSES, "there are cells and features",
                             "refuses the file"},
    [RULE_CELL_NAMES_UNIQUE] = {"cell-names-unique", RULE_REFUSES, "no two cells have one name",
                                "refuses the file"},
    [RULE_FEATURE_NAMES_UNIQUE] = {"feature-names-unique", RULE_REPAIRS,
                                   "no two features have one name",
                                   "repairs: the second becomes NAME-1"},
    [RULE_NAMES_FILLED] = {"names-filled", RULE_COPIES, "no name is empty", "copies it as it is"},
    [RULE_TEXT_UTF8] = {"text-utf8", RULE_REPAIRS, "text is UTF-8", "repairs: it is taken as Latin-1"},
    [RULE_TEXT_NUL] = {"text-nul", RULE_REPAIRS, "no text holds a NUL", "repairs: text ends there"},
    [RULE_COLUMNS_PRESENT] = {"columns-present", RULE_REFUSES,
                              "the columns that column-order lists are there", "refuses the frame"},
    [RULE_COLUMNS_LISTED] = {"columns-listed", RULE_IGNORES, "column-order lists every column",
                             "ignores those that are not listed"},
    [RULE_COLUMNS_UNIQUE] = {"columns-unique", RULE_IGNORES, "column-order lists a column once",
                             "ignores the second"},
    [RULE_COLUMN_LENGTH] = {"column-length", RULE_REFUSES, "a column is as long as the index",
                            "refuses the frame"},
    [RULE_COLUMN_READ] = {"column-read", RULE_IGNORES,
                          "a column holds numbers, booleans, text or categories in an encoding that is "
                          "read", "ignores the column, with a warning"},
    [RULE_CODES_IN_RANGE] = {"codes-in-range", RULE_REFUSES,
                             "codes are integers from -1, which is missing, to the last category",
                             "refuses the column"},
    [RULE_CATEGORIES_PRESENT] = {"categories-present", RULE_REFUSES, "codes have their categories",
                                 "refuses the column"},
    [RULE_CATEGORIES_UNIQUE] = {"categories-unique", RULE_REPAIRS, "no category occurs twice",
                                "repairs: both are one class"},
    [RULE_MASK_AGREES] = {"mask-agrees", RULE_REFUSES,
                          "a mask is of booleans, as many as there are values", "refuses the column"},
    [RULE_MATRIX_PRESENT] = {"matrix-present", RULE_COPIES, "there is a matrix X",
                             "copies the rest; commands that need values ask for --layer"},
    [RULE_SHAPE_DECLARED] = {"shape-declared", RULE_REFUSES, "a sparse matrix declares rows and columns",
                             "refuses the element"},
    [RULE_SHAPE_AGREES] = {"shape-agrees", RULE_REFUSES,
                           "an array has the rows and columns of its axes", "refuses the element"},
    [RULE_SHAPE_IN_RANGE] = {"shape-in-range", RULE_REFUSES,
                             "a matrix has at most 2^31 - 1 rows and columns", "refuses the element"},
    [RULE_VALUES_NUMERIC] = {"values-numeric", RULE_REFUSES,
                             "a matrix holds numbers or booleans, in two dimensions",
                             "refuses the element"},
    [RULE_VECTORS_COMPLETE] = {"vectors-complete", RULE_REFUSES,
                               "a sparse matrix has the vectors indptr and indices, of integers, and data",
                               "refuses the element"},
    [RULE_VECTORS_EQUAL] = {"vectors-equal", RULE_REFUSES, "indices and data are equally long",
                            "refuses the element"},
    [RULE_INDPTR_LENGTH] = {"indptr-length", RULE_REFUSES,
                            "indptr has one value more than there are rows (of csc: columns)",
                            "refuses the element"},
    [RULE_INDPTR_START] = {"indptr-start", RULE_REFUSES, "indptr starts at 0", "refuses the element"},
    [RULE_INDPTR_MONOTONE] = {"indptr-monotone", RULE_REFUSES, "indptr never decreases",
                              "refuses the element"},
    [RULE_INDPTR_END] = {"indptr-end", RULE_REFUSES, "indptr stays within the entries",
                         "refuses the element"},
    [RULE_ENTRIES_COVERED] = {"entries-covered", RULE_IGNORES, "indptr ends at the last entry",
                              "ignores the entries behind it"},
    [RULE_INDICES_IN_RANGE] = {"indices-in-range", RULE_REFUSES,
                               "indices are from 0 to one less than there are columns (of csc: rows)",
                               "refuses the element"},
    [RULE_INDICES_SORTED] = {"indices-sorted", RULE_REPAIRS, "the indices of a row ascend",
                             "repairs: they are sorted"},
    [RULE_INDICES_UNIQUE] = {"indices-unique", RULE_REPAIRS, "no index occurs twice in a row",
                             "repairs: such values are added up"},
    [RULE_VALUES_FINITE] = {"values-finite", RULE_REFUSES, "X and raw hold neither NaN nor infinities",
                            "refuses to compute with it; convert copies it"},
    [RULE_LAYER_FINITE] = {"layer-finite", RULE_COPIES, "layers hold neither NaN nor infinities",
                           "copies it as it is"},
    [RULE_COUNTS_INTEGER] = {"counts-integer", RULE_COPIES,
                             "X, raw or a layer holds counts: whole numbers of at least 0",
                             "copies it as it is; what needs counts says so"},
    [RULE_AXIS_KNOWN] = {"axis-known", RULE_REFUSES, "modalities are joined along axis 0, 1 or -1",
                         "refuses the file"},
    [RULE_MODALITIES_PRESENT] = {"modalities-present", RULE_REFUSES, "there is a modality",
                                 "refuses the file"},
    [RULE_MOD_ORDER_AGREES] = {"mod-order-agrees", RULE_REPAIRS, "mod-order lists every modality once",
                               "repairs: what it lacks comes last"},
    [RULE_OBSMAP_VALID] = {"obsmap-valid", RULE_REFUSES,
                           "a map has a value for each cell of the whole: 0, or a row that no other has",
                           "refuses the file"},
    [RULE_OBSMAP_AGREES] = {"obsmap-agrees", RULE_REPAIRS, "a map ties cells of one name",
                            "repairs: cells are joined by name"},
    [RULE_CELLS_SHARED] = {"cells-shared", RULE_REFUSES, "some cells of a modality are in obs",
                           "refuses the file"},
    [RULE_CELLS_COVERED] = {"cells-covered", RULE_IGNORES, "all cells of a modality are in obs",
                            "ignores the others, with a warning"},
    [RULE_HEADER_VALID] = {"header-valid", RULE_REFUSES, "the first lines say what is in the file",
                           "refuses the file"},
    [RULE_FIELD_COUNT] = {"field-count", RULE_REFUSES, "lines have equally many fields",
                          "refuses the file"},
    [RULE_FIELD_NUMBER] = {"field-number", RULE_REFUSES, "values are numbers", "refuses the file"},
    [RULE_ENTRY_IN_RANGE] = {"entry-in-range", RULE_REFUSES, "entries lie within the matrix",
                             "refuses the file"},
    [RULE_ENTRY_COUNT] = {"entry-count", RULE_REFUSES, "there are as many entries as the size says",
                          "refuses the file"},
    [RULE_NAMES_AGREE] = {"names-agree", RULE_REFUSES,
                          "there are as many names as rows or columns of the matrix",
                          "refuses the file"},
    [RULE_MEMBERS_COMPLETE] = {"members-complete", RULE_REFUSES,
                               "a folder or archive has one matrix with its features and barcodes",
                               "refuses the file"},
};

const rule_row *rule_get(rule_id id)
{
    return &rules[id];
}

scw_status rule_broken(const rule_sink *sink, rule_id id, scw_status code, const char *format, ...)
{
    char message[1500];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (sink) return sink->take(sink->user, id, message);
    return rule_name_failure(status_fail(code, "%s", message), id);
}

scw_status rule_name_failure(scw_status st, rule_id id)
{
    status_mark((int)id + 1);
    return st;
}

rule_id rule_of_failure(rule_id otherwise)
{
    return status_marked() ? (rule_id)(status_marked() - 1) : otherwise;
}
