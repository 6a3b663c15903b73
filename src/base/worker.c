/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

struct worker {
    pthread_t thread;
    bool has_thread, tried;
    int n_threads; /* the caller's */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun, stop; /* guarded by the lock, as is all below */
    scw_status (*task)(void *self);
    void *self;
    scw_status st;
    char message[1024];
    int mark; /* of the message */
};

static void perform(worker *w)
{
    w->st = w->task(w->self);
    w->message[0] = '\0';
    if (w->st == SCW_OK) return;
    const char *message = scw_error_message();
    size_t n = strnlen(message, sizeof w->message - 1);
    memcpy(w->message, message, n);
    w->message[n] = '\0';
    w->mark = status_marked();
}

static void *run(void *user)
{
    worker *w = user;

    threads_set(w->n_threads);
    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->begun && !w->stop) (void)pthread_cond_wait(&w->changed, &w->lock);
        if (!w->begun) break;
        (void)pthread_mutex_unlock(&w->lock);
        perform(w);
        (void)pthread_mutex_lock(&w->lock);
        w->begun = false;
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

scw_status worker_new(worker **out)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, 1));
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    (void)pthread_cond_init(&(*out)->changed, NULL);
done:
    return st;
}

/* The thread is made when there is work, with all signals blocked: those are the host's. */
static void make_thread(worker *w)
{
    sigset_t all, before;

    w->tried = true;
    w->n_threads = threads_get();
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    w->has_thread = pthread_create(&w->thread, NULL, run, w) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void worker_start(worker *w, scw_status (*task)(void *self), void *self)
{
    if (!w->tried) make_thread(w);
    (void)pthread_mutex_lock(&w->lock);
    w->task = task;
    w->self = self;
    w->begun = w->has_thread;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    if (!w->has_thread) perform(w);
}

scw_status worker_wait(worker *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->begun) (void)pthread_cond_wait(&w->changed, &w->lock);
    scw_status st = w->st;
    w->st = SCW_OK;
    (void)pthread_mutex_unlock(&w->lock);
    if (st == SCW_OK) return SCW_OK;
    (void)status_fail(st, "%s", w->message);
    status_mark(w->mark);
    return st;
}

void worker_free(worker *w)
{
    if (!w) return;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    if (w->has_thread) (void)pthread_join(w->thread, NULL);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    mem_free(w);
}
