/* learn_module.c - the module nlsh._learn: libnlsh-learn, which makes indexes, tunes and reads files. */
#include "build.h"
#include "change.h"
#include "files.h"
#include "task.h"
#include "tune.h"
#include "vectors.h"

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "nlsh._learn", "Makes indexes.", -1, NULL, NULL, NULL, NULL, NULL};

/* Python itself calls it, while threads may still leave it work. */
static int at_exit(PyObject *module)
{
    PyObject *function = PyObject_GetAttrString(module, "_wait_for_left");
    PyObject *registering = from_module("atexit", "register");
    PyObject *done = function != NULL && registering != NULL
                         ? PyObject_CallFunctionObjArgs(registering, function, NULL)
                         : NULL;
    Py_XDECREF(function);
    Py_XDECREF(registering);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

static PyMethodDef functions[] = {
    {"_wait_for_left", task_wait_for_left, METH_NOARGS,
     "For atexit: stopped calls come to their end."},
    {NULL, NULL, 0, NULL},
};

PyMODINIT_FUNC PyInit__learn(void);
PyMODINIT_FUNC PyInit__learn(void)
{
    if (vectors_begin() != 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddFunctions(module, functions) == 0 &&
        PyModule_AddFunctions(module, build_functions) == 0 &&
        PyModule_AddFunctions(module, change_functions) == 0 &&
        PyModule_AddFunctions(module, files_functions) == 0 &&
        PyModule_AddFunctions(module, tune_functions) == 0 && files_begin(module) == 0 &&
        at_exit(module) == 0)
        return module;
    Py_XDECREF(module);
    return NULL;
}
