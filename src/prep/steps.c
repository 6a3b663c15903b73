/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/steps.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "prep/pass.h"

static const step_kind *const kinds[] = {
    &step_normalize, &step_log1p, &step_scale, &step_clr, &step_tfidf,
    &step_binarize,  &step_hvg,   &step_pca,   &step_lsi,
};

const step_kind *step_kind_at(int k)
{
    return k >= 0 && k < (int)(sizeof kinds / sizeof *kinds) ? kinds[k] : NULL;
}

const scw_prep_step *scw_prep_step_at(int k)
{
    const step_kind *kind = step_kind_at(k);

    return kind ? &kind->about : NULL;
}

static const scw_prep_preset presets[] = {
    {"default", "log-normalised genes with PCA, CLR proteins with PCA, TF-IDF peaks with LSI",
     "rna=normalize:target=10000,log1p,hvg:flavor=seurat_v3,pca;adt=clr,pca;atac=tfidf,lsi"},
    {"cite",
     "RNA and protein as in the NeurIPS 2021 setting: 5,000 variable genes, z-scores, 100 "
     "components; proteins by CLR",
     "rna=normalize:target=10000,log1p,hvg:n=5000,scale,pca:k=100;adt=clr,scale,pca:k=100"},
    {"multiome",
     "RNA and chromatin as in the NeurIPS 2021 setting: 10,000 variable genes, z-scores, "
     "100 components; TF-IDF and LSI with standardised cells",
     "rna=normalize:target=10000,log1p,hvg:n=10000,scale,pca:k=100;"
     "atac=tfidf:variant=clue,lsi:k=100:cells=standardized"},
};

const scw_prep_preset *scw_prep_preset_at(int k)
{
    return k >= 0 && k < (int)(sizeof presets / sizeof *presets) ? &presets[k] : NULL;
}

/* ------------------------------------------------------------------ steps */

scw_status step_add_array(double **out, prep_step *s, const char *name, int64_t n_rows,
                          int64_t n_cols)
{
    scw_status st = SCW_OK;

    *out = NULL;
    if (s->n_arrays == STEP_ARRAYS) FAIL(SCW_EINTERNAL, "step '%s': too many arrays", name);
    TRY(mem_new(out, n_rows * n_cols));
    s->arrays[s->n_arrays++] = (step_array){name, n_rows, n_cols, *out};
done:
    return st;
}

const step_array *step_find_array(const prep_step *s, const char *name)
{
    for (int k = 0; k < s->n_arrays; k++)
        if (strcmp(s->arrays[k].name, name) == 0) return &s->arrays[k];
    return NULL;
}

const double *step_values(const prep_step *s, const char *name)
{
    const step_array *a = step_find_array(s, name);

    return a ? a->values : NULL;
}

static scw_status find_kind(const step_kind **out, const char *name)
{
    scw_status st = SCW_OK;
    textbuf list = {0};

    for (int k = 0; (*out = step_kind_at(k)); k++) {
        if (strcmp((*out)->about.name, name) == 0) goto done;
        TRY(text_add(&list, "%s%s", k ? ", " : "", (*out)->about.name));
    }
    FAIL(SCW_ENOTFOUND, "there is no step '%s'; there are: %s", name, text_get(&list));
done:
    text_clear(&list);
    return st;
}

/* "hvg:n=2000:flavor=seurat_v3"; the text is cut up. */
static scw_status read_step(prep_step *s, char *text)
{
    scw_status st = SCW_OK;
    char *rest = NULL, *name = strtok_r(text, ":", &rest);

    if (!name) FAIL(SCW_EINVAL, "steps: an empty step");
    TRY(find_kind(&s->kind, name));
    TRY(mem_new_raw(&s->options, 1, s->kind->options_size));
    TRY(scw_options_init(s->kind->about.options, s->options));
    for (char *one = strtok_r(NULL, ":", &rest); one; one = strtok_r(NULL, ":", &rest)) {
        char *equals = strchr(one, '=');
        if (equals) *equals = '\0';
        st = scw_options_set(s->kind->about.options, s->options, one, equals ? equals + 1 : "on");
        if (st != SCW_OK) {
            st = status_prefix(SCW_EINVAL, "step '%s'", name);
            goto done;
        }
    }
done:
    return st;
}

scw_status pipeline_read(pipeline *out, const char *text)
{
    scw_status st = SCW_OK;
    char *copy = NULL, *rest = NULL;

    *out = (pipeline){0};
    TRY(mem_strdup(&copy, text));
    for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        TRY(mem_resize(&out->steps, out->n_steps + 1));
        out->steps[out->n_steps++] = (prep_step){0};
        TRY(read_step(&out->steps[out->n_steps - 1], one));
    }
    if (out->n_steps == 0) FAIL(SCW_EINVAL, "steps: none are named in '%s'", text);
done:
    mem_free(copy);
    if (st != SCW_OK) pipeline_clear(out);
    return st;
}

void pipeline_clear(pipeline *p)
{
    for (int k = 0; k < p->n_steps; k++) {
        prep_step *s = &p->steps[k];
        if (s->options) scw_options_clear(s->kind->about.options, s->options);
        mem_free(s->options);
        for (int a = 0; a < s->n_arrays; a++)
            mem_free(s->arrays[a].values);
    }
    mem_free(p->steps);
    block_reader_free(p->counts);
    *p = (pipeline){0};
}

/* ------------------------------------------------------------------ running */

static scw_status map_step(row_block *b, const void *state)
{
    const prep_step *s = state;

    return s->kind->map(b, s);
}

scw_status pipeline_rows(block_reader **out, const pipeline *p, int k)
{
    scw_status st = SCW_OK;
    block_reader *r = NULL, *next;

    *out = NULL;
    TRY(block_reader_borrowed(&r, p->counts));
    for (int i = 0; i < k; i++) {
        if (!p->steps[i].kind->map) continue;
        st = block_reader_mapped(&next, r, map_step, &p->steps[i]);
        r = next; /* the old one belongs to the chain, or is freed */
        TRY(st);
    }
    *out = r;
done:
    return st;
}

bool pipeline_changes(const pipeline *p, int k)
{
    for (int i = 0; i < k; i++)
        if (p->steps[i].kind->map) return true;
    return false;
}

scw_status pipeline_run(pipeline *p, results_part *out, const step_input *in)
{
    scw_status st = SCW_OK;
    step_input here = *in;
    block_reader *rows = NULL;
    uint8_t *selected = NULL;

    here.counts = p->counts;
    for (int k = 0; k < p->n_steps; k++) {
        prep_step *s = &p->steps[k];
        block_reader_free(rows);
        TRY(pipeline_rows(&rows, p, k));
        here.rows = rows;
        here.changed = pipeline_changes(p, k);
        log_detail(in->hooks, "step %s", s->kind->about.name);
        if (s->kind->fit) st = s->kind->fit(s, &here);
        if (st == SCW_OK && s->kind->write) st = s->kind->write(out, s, &here);
        if (st != SCW_OK) {
            if (st != SCW_ECANCELLED) status_prefix(st, "step %s", s->kind->about.name);
            goto done;
        }
        const step_array *chosen = step_find_array(s, "highly_variable");
        if (!chosen) continue;
        mem_free(selected);
        TRY(mem_new(&selected, chosen->n_rows));
        for (int64_t j = 0; j < chosen->n_rows; j++)
            selected[j] = chosen->values[j] != 0.0;
        here.selected = selected;
    }
done:
    block_reader_free(rows);
    mem_free(selected);
    return st;
}
