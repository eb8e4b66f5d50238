/* task.c - see task.h. */
#include "task.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"

enum { LOOKS_NS = 50 * 1000 * 1000 }; /* from one look at signals to the next */

struct task {
    task_fn *work;
    task_free_fn *release;
    void *user;
    PyObject *cache; /* bytes that run.cache_dir points into */
    struct nlsh_run run;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    const char *stage; /* constant text, or NULL */
    uint64_t done, total;
    int stop;      /* the library is asked to stop */
    int is_left;   /* nobody waits any more: the thread frees the task */
    int has_ended; /* status and error stand */
    enum nlsh_status status;
    struct nlsh_error error;
};

/* With the GIL. */
static void task_free(struct task *task)
{
    if (task->release != NULL) task->release(task->user);
    Py_XDECREF(task->cache);
    pthread_cond_destroy(&task->changed);
    pthread_mutex_destroy(&task->lock);
    free(task);
}

/* Threads that nobody waits for. */
static struct {
    pthread_mutex_t lock;
    int n;
    int python_ends; /* what they leave to be freed is not freed any more */
} left = {.lock = PTHREAD_MUTEX_INITIALIZER};

PyObject *task_wait_for_left(PyObject *self, PyObject *unused)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    (void)self;
    (void)unused;
    PyThreadState *state = PyEval_SaveThread();
    for (int i = 0, n = 1; i < 200 && n > 0; i++) {
        if (i > 0) nanosleep(&pause, NULL);
        pthread_mutex_lock(&left.lock);
        left.python_ends = 1;
        n = left.n;
        pthread_mutex_unlock(&left.lock);
    }
    PyEval_RestoreThread(state);
    Py_RETURN_NONE;
}

static void count_left(void)
{
    pthread_mutex_lock(&left.lock);
    left.n++;
    pthread_mutex_unlock(&left.lock);
}

/* Called by Python's main thread, some time. */
static int free_later(void *task)
{
    task_free(task);
    return 0;
}

static int on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct task *task = user;
    pthread_mutex_lock(&task->lock);
    task->stage = stage;
    task->done = done;
    task->total = total;
    int stop = task->stop;
    pthread_mutex_unlock(&task->lock);
    return stop;
}

static void *thread_main(void *user)
{
    struct task *task = user;
    struct nlsh_error error;
    enum nlsh_status status = task->work(task->user, &task->run, &error);
    pthread_mutex_lock(&task->lock);
    task->status = status;
    task->error = error;
    task->has_ended = 1;
    int is_left = task->is_left;
    pthread_cond_signal(&task->changed);
    pthread_mutex_unlock(&task->lock);
    if (!is_left) return NULL;
    /* To free it takes the GIL, which this thread must not ask for: Python may be about to end. */
    pthread_mutex_lock(&left.lock);
    if (!left.python_ends) (void)Py_AddPendingCall(free_later, task);
    left.n--;
    pthread_mutex_unlock(&left.lock);
    return NULL;
}

/* What the progress function was last told, so that nothing is told twice. */
struct told {
    const char *stage;
    uint64_t done, total;
};

/* Waits for the end or for the next look, without the GIL; returns 1 at the end. */
static int wait_a_little(struct task *task, struct told *now)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOKS_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    PyThreadState *state = PyEval_SaveThread();
    pthread_mutex_lock(&task->lock);
    if (!task->has_ended) pthread_cond_timedwait(&task->changed, &task->lock, &until);
    int has_ended = task->has_ended;
    *now = (struct told){task->stage, task->done, task->total};
    pthread_mutex_unlock(&task->lock);
    PyEval_RestoreThread(state);
    return has_ended;
}

/* Returns 0 to go on, 1 where the function asks to stop, -1 with an exception. */
static int tell(PyObject *progress, const struct told *now, struct told *last)
{
    if (progress == Py_None || now->stage == NULL) return 0;
    if (now->stage == last->stage && now->done == last->done && now->total == last->total) return 0;
    *last = *now;
    PyObject *answer = PyObject_CallFunction(
        progress, "sKK", now->stage, (unsigned long long)now->done, (unsigned long long)now->total);
    int stop = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return stop;
}

static int wait_for(struct task *task, PyObject *progress)
{
    struct told now, last = {NULL, 0, 0};
    while (!wait_a_little(task, &now)) {
        int stop = PyErr_CheckSignals() != 0 ? -1 : tell(progress, &now, &last);
        if (stop == 0) continue;
        pthread_mutex_lock(&task->lock);
        task->stop = 1;
        int leave = stop < 0 && !task->has_ended;
        task->is_left = leave;
        if (leave) count_left();
        pthread_mutex_unlock(&task->lock);
        if (leave) return -1;
        if (stop < 0) break;
    }
    if (PyErr_Occurred() == NULL && tell(progress, &now, &last) >= 0 && task->status == NLSH_OK) {
        task->release = NULL; /* user is the caller's */
        task_free(task);
        return 0;
    }
    if (PyErr_Occurred() == NULL) raise_error(&task->error);
    task_free(task);
    return -1;
}

/* Locks and thread, whose stack is the system's default. */
static int start(struct task *task)
{
    pthread_condattr_t monotonic;
    pthread_attr_t detached;
    pthread_t thread;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&task->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&task->lock, NULL);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int code = pthread_create(&thread, &detached, thread_main, task);
    pthread_attr_destroy(&detached);
    return code;
}

static int run_take(struct task *task, PyObject *threads, PyObject *cache)
{
    nlsh_run_init(&task->run, sizeof task->run);
    task->run.progress = on_progress;
    task->run.user = task;
    if (threads != Py_None) {
        Py_ssize_t n = PyNumber_AsSsize_t(threads, PyExc_OverflowError);
        if (n == -1 && PyErr_Occurred()) return -1;
        task->run.n_threads = n < 0 ? 0 : (size_t)n;
    }
    if (cache == Py_None) return 0;
    task->run.cache_dir = PyBytes_AsString(cache);
    if (task->run.cache_dir == NULL) return -1;
    Py_INCREF(cache);
    task->cache = cache;
    return 0;
}

int task_run(task_fn *work, task_free_fn *release, void *user, PyObject *progress,
             PyObject *threads, PyObject *cache)
{
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        release(user);
        PyErr_NoMemory();
        return -1;
    }
    task->work = work;
    task->release = release;
    task->user = user;
    if (run_take(task, threads, cache) == 0) {
        if (start(task) == 0) return wait_for(task, progress);
        PyErr_SetString(PyExc_RuntimeError, "the system gave no thread");
    }
    release(user);
    Py_XDECREF(task->cache);
    free(task);
    return -1;
}
