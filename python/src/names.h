/* names.h - a caller's words as the library's numbers. */
#ifndef NLSH_PYTHON_NAMES_H
#define NLSH_PYTHON_NAMES_H

#include "nlsh/nlsh.h"
#include "python.h"

/*
 * choice_take() - the place of a word among those that there are.
 *
 *  what   "metric", for the message
 *  names  [n]
 * Returns -1 with an exception that lists them where it is none of them.
 */
int choice_take(const char *name, const char *what, const char *const *names, int n);

/* 0, and *out is set; -1 with an exception. */
int metric_take(const char *name, enum nlsh_metric *out);
int memory_take(const char *name, enum nlsh_memory *out);

#endif
