/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/fit_state.h"

#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

/* ------------------------------------------------------------------------------------- save */

/* What an answer k said of the held cells; 0 is the network's. */
typedef struct held_names {
    const char *logits, *truth, *distance;
} held_names;

static const held_names name_of[1 + SUBSETS_MAX] = {
    {"held_out", "held_truth", "held_distance"},
    {"held_out.0", "held_truth.0", "held_distance.0"},
    {"held_out.1", "held_truth.1", "held_distance.1"},
    {"held_out.2", "held_truth.2", "held_distance.2"},
    {"held_out.3", "held_truth.3", "held_distance.3"},
    {"held_out.4", "held_truth.4", "held_distance.4"},
    {"held_out.5", "held_truth.5", "held_distance.5"},
};

static scw_status put_answer(checkpoint *c, const held_answer *h, const held_names *name,
                             int64_t n_classes)
{
    scw_status st = SCW_OK;
    double *truth = NULL;

    if (h->n == 0) return SCW_OK;
    checkpoint_add(c, name->logits, h->logits, h->n * n_classes);
    TRY(mem_new(&truth, h->n));
    for (int64_t i = 0; i < h->n; i++)
        truth[i] = (double)h->truth[i];
    TRY(checkpoint_put_reals(c->state, name->truth, truth, (int)h->n));
    TRY(checkpoint_put_reals(c->state, name->distance, h->log_distance, (int)h->n));
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
    for (int k = 0; k < s->held.n_answers; k++)
        TRY(put_answer(&c, &s->held.answer[k], &name_of[k], s->held.n_classes));
    TRY(checkpoint_put_int(c.state, "training", s->training));
    TRY(checkpoint_put_real(c.state, "library", s->library));
    TRY(checkpoint_put_real(c.state, "penalty", s->penalty));
    if (json_object_set(c.state, "record", s->model->record) != 0)
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
    json_decref(s->model->record);
    s->model->record = json_incref(record);
done:
    return st;
}

static void name_feature(const void *self, int k, int64_t feature, const char **modality_name,
                         const char **feature_name)
{
    const model_modality *x = &((const scw_model *)self)->modality[k];

    *modality_name = x->name;
    *feature_name = x->features.at[feature];
}

scw_status fit_state_init(fit_state *s, const checkpoint_plan *plan, scw_model *model,
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

static scw_status get_answer(held_answer *h, const checkpoint *c, const held_names *name, int64_t n,
                             int64_t n_classes)
{
    scw_status st = SCW_OK;
    double *truth = NULL;
    int n_held = 0, n_truth = 0;

    if (!checkpoint_find(c, name->logits)) return SCW_OK;
    TRY(mem_new(&truth, n));
    TRY(checkpoint_get_reals(h->log_distance, &n_held, (int)n, c->state, name->distance));
    TRY(checkpoint_get_reals(truth, &n_truth, (int)n, c->state, name->truth));
    if (n_held != n_truth) FAIL(SCW_EFORMAT, "its state has no valid '%s'", name->truth);
    TRY(checkpoint_copy(h->logits, c, name->logits, n_held * n_classes));
    for (int i = 0; i < n_held; i++)
        h->truth[i] = (int32_t)truth[i];
    h->n = n_held;
done:
    mem_free(truth);
    return st;
}

scw_status fit_state_start_held(fit_state *s, int64_t n)
{
    scw_status st = SCW_OK;
    held_out *h = &s->held;

    TRY(held_out_init(h, s->model, n));
    for (int k = 0; s->resumed > 0 && k < h->n_answers; k++)
        TRY(get_answer(&h->answer[k], s->plan->resume, &name_of[k], n, h->n_classes));
done:
    return st;
}
