/* settings.h - the settings of a build, by name. */
#ifndef NLSH_PYTHON_SETTINGS_H
#define NLSH_PYTHON_SETTINGS_H

#include "nlsh/learn.h"
#include "python.h"

/* A dict of texts over the defaults; -1 with an exception. */
int settings_take(PyObject *settings, struct nlsh_build_options *options);

/* A list of all of them: (name, argument, help, default). A function of a module. */
PyObject *settings_list(PyObject *self, PyObject *unused);

#endif
