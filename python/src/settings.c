/* settings.c - see settings.h. */
#include "settings.h"

#include "failure.h"

int settings_take(PyObject *settings, struct nlsh_build_options *options)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    struct nlsh_error error;
    nlsh_build_options_init(options, sizeof *options);
    while (PyDict_Next(settings, &at, &name, &value)) {
        PyObject *name_bytes = PyUnicode_AsUTF8String(name);
        PyObject *value_bytes = name_bytes ? PyUnicode_AsUTF8String(value) : NULL;
        int set = value_bytes != NULL;
        if (set && nlsh_build_options_set(options, PyBytes_AsString(name_bytes),
                                          PyBytes_AsString(value_bytes), &error) != NLSH_OK) {
            raise_error(&error);
            set = 0;
        }
        Py_XDECREF(name_bytes);
        Py_XDECREF(value_bytes);
        if (!set) return -1;
    }
    return 0;
}

PyObject *settings_list(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyObject *list = PyList_New(0);
    const struct nlsh_setting *s;
    for (size_t i = 0; list != NULL && (s = nlsh_build_setting(i)) != NULL; i++) {
        PyObject *row = Py_BuildValue("(ssss)", s->name, s->argument, s->help, s->default_value);
        if (row == NULL || PyList_Append(list, row) != 0) Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}
