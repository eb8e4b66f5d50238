/*
 * task.h - a long call of the library that Ctrl-C ends at once.
 *
 * The call runs in a thread of its own, and the caller's thread waits: it tells Python of the progress and looks
 * for signals twenty times a second. Where it is to stop, it does not wait for the library, which looks for that
 * only now and then (a partition of METIS takes its time): the thread is left to end by itself, with all
 * that it needs, and what it made is thrown away.
 */
#ifndef NLSH_PYTHON_TASK_H
#define NLSH_PYTHON_TASK_H

#include "nlsh/learn.h"
#include "python.h"

/* Does the work, without the GIL. user is what task_run() was given. */
typedef enum nlsh_status task_fn(void *user, const struct nlsh_run *run, struct nlsh_error *error);
/* Frees user, with the GIL. */
typedef void task_free_fn(void *user);

/*
 * task_run() - runs work(user), and tells progress of it.
 *
 *  progress   a function of (stage, done, total), or None; true from it stops the call
 *  threads    a number, or None: all processors
 *  cache      a folder's path as bytes, or None
 *  release    called with user: by task_run() on an error, before it returns or when the thread has ended
 * Returns 0, and user is the caller's still; -1 with an exception, and user is gone.
 */
int task_run(task_fn *work, task_free_fn *release, void *user, PyObject *progress,
             PyObject *threads, PyObject *cache);

/*
 * task_wait_for_left() - a function for Python's atexit: threads that were left end, or two seconds pass.
 *
 * Most stop within milliseconds, and libraries that they use are about to be taken down. One that partitions uses
 * nothing that goes.
 */
PyObject *task_wait_for_left(PyObject *self, PyObject *unused);

#endif
