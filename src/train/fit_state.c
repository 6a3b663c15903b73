/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/fit_state.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

/* ------------------------------------------------------------------------------------- save */

/* One name an answer: block of its logits. Truth and distances are in the state, under the same name
 * with an ending. */
static const char *const held_names[] = {"held_0", "held_1", "held_2", "held_3",
                                         "held_4", "held_5", "held_6"};
_Static_assert(sizeof held_names / sizeof *held_names == 1 + SUBSETS_MAX, "a name an answer");

static const char *held_key(char key[32], int k, const char *ending)
{
    (void)snprintf(key, 32, "%s_%s", held_names[k], ending);
    return key;
}

static scw_status put_held(checkpoint *c, const held_out *h)
{
    scw_status st = SCW_OK;
    double *truth = NULL;
    char key[32];

    for (int k = 0; k < h->n_answers; k++) {
        const held_answer *a = &h->answer[k];
        if (a->n == 0) continue;
        checkpoint_add(c, held_names[k], a->logits, a->n * h->n_classes);
        TRY(mem_resize(&truth, a->n));
        for (int64_t i = 0; i < a->n; i++)
            truth[i] = (double)a->truth[i];
        TRY(checkpoint_put_reals(c->state, held_key(key, k, "truth"), truth, (int)a->n));
        TRY(checkpoint_put_reals(c->state, held_key(key, k, "distance"), a->log_distance,
                                 (int)a->n));
    }
done:
    mem_free(truth);
    return st;
}

static scw_status save(void *self)
{
    scw_status st = SCW_OK;
    const fit_state *s = self;
    const int64_t n_values = s->model->net.p.n_values;
    checkpoint c = {.state = json_object()};

    TRY(trainer_collect(s->trainer, &c));
    if (s->simulator) checkpoint_add(&c, "simulator", s->simulator, n_values);
    if (s->finished) checkpoint_add(&c, "model", s->finished, n_values);
    TRY(put_held(&c, &s->held));
    TRY(checkpoint_put_int(c.state, "training", s->training));
    TRY(checkpoint_put_real(c.state, "library", s->library));
    TRY(checkpoint_put_real(c.state, "penalty", s->penalty));
    if (json_object_set(c.state, "record", s->model->base.record) != 0)
        FAIL(SCW_ENOMEM, "out of memory in a checkpoint");
    TRY(s->plan->save(s->plan->self, &c));
done:
    checkpoint_clear(&c);
    return st;
}

/* --------------------------------------------------------------------------------- continue */

bool fit_state_is_past(const fit_state *s)
{
    return s->training < s->resumed;
}

const checkpoint *fit_state_here(const fit_state *s)
{
    return s->plan && s->plan->resume && s->training == s->resumed ? s->plan->resume : NULL;
}

static scw_status read_choices(fit_state *s, const json_t *state)
{
    scw_status st = SCW_OK;
    json_t *record = json_object_get(state, "record");
    int64_t training;

    TRY(checkpoint_get_int(&training, state, "training"));
    TRY(checkpoint_get_real(&s->library, state, "library"));
    TRY(checkpoint_get_real(&s->penalty, state, "penalty"));
    if (!json_is_object(record)) FAIL(SCW_EFORMAT, "its state has no valid 'record'");
    s->resumed = (int)training;
    json_decref(s->model->base.record);
    s->model->base.record = json_incref(record);
done:
    return st;
}

static void name_feature(const void *self, int k, int64_t feature, const char **modality_name,
                         const char **feature_name)
{
    const model_modality *x = &((const matilda_model *)self)->base.modality[k];

    *modality_name = x->name;
    *feature_name = x->features.at[feature];
}

scw_status fit_state_init(fit_state *s, const checkpoint_plan *plan, matilda_model *model,
                          const scw_hooks *hooks)
{
    *s = (fit_state){.plan = plan,
                     .model = model,
                     .names = {model, name_feature},
                     .library = model->options.library};
    if (!plan) return SCW_OK;
    s->saver = (train_saver){.self = s,
                             .save = save,
                             .hooks = hooks,
                             .where = plan->where,
                             .seconds = 60.0 * plan->minutes,
                             .epochs = plan->epochs,
                             .last = clock_wall()};
    return plan->resume ? read_choices(s, plan->resume->state) : SCW_OK;
}

void fit_state_clear(fit_state *s)
{
    mem_free(s->finished);
    held_out_clear(&s->held);
    *s = (fit_state){0};
}

scw_status fit_state_attach(fit_state *s, trainer *t, const char *what)
{
    scw_status st = SCW_OK;
    const checkpoint *c = fit_state_here(s);

    t->names = &s->names;
    if (!s->plan) goto done;
    t->saver = &s->saver;
    s->trainer = t;
    if (!c) goto done;
    TRY(trainer_restore(t, c));
    log_info(s->saver.hooks, "continued after %u steps of %s, from %s", t->at.step, what,
             s->plan->where);
done:
    return st;
}

void fit_state_detach(fit_state *s)
{
    s->trainer = NULL;
}

scw_status fit_state_finish_model(fit_state *s)
{
    scw_status st = SCW_OK;
    params *p = &s->model->net.p;

    if (fit_state_is_past(s))
        TRY(checkpoint_copy(p->value, s->plan->resume, "model", p->n_values));
    TRY(mem_new(&s->finished, p->n_values));
    memcpy(s->finished, p->value, (size_t)p->n_values * sizeof(real));
    s->training++;
done:
    return st;
}

scw_status fit_state_start_held(fit_state *s, int64_t n)
{
    scw_status st = SCW_OK;
    held_out *h = &s->held;
    double *truth = NULL;
    char key[32];

    TRY(held_out_init(h, s->model, n));
    TRY(mem_new(&truth, n));
    for (int k = 0; s->resumed > 0 && k < h->n_answers; k++) {
        held_answer *a = &h->answer[k];
        int n_held = 0, n_truth = 0;
        if (!checkpoint_find(s->plan->resume, held_names[k])) continue;
        const json_t *state = s->plan->resume->state;
        TRY(checkpoint_get_reals(a->log_distance, &n_held, (int)n, state,
                                 held_key(key, k, "distance")));
        TRY(checkpoint_get_reals(truth, &n_truth, (int)n, state, held_key(key, k, "truth")));
        if (n_held != n_truth) FAIL(SCW_EFORMAT, "its state has no valid '%s'", key);
        TRY(checkpoint_copy(a->logits, s->plan->resume, held_names[k], n_held * h->n_classes));
        for (int i = 0; i < n_held; i++)
            a->truth[i] = (int32_t)truth[i];
        a->n = n_held;
    }
done:
    mem_free(truth);
    return st;
}
