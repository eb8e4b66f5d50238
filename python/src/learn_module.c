/* learn_module.c - the module nlsh._learn: libnlsh-learn, which makes indexes, tunes and reads files. */
#include "build.h"
#include "files.h"
#include "task.h"
#include "tune.h"
#include "vectors.h"

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "nlsh._learn", "Makes indexes.", -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__learn(void);
PyMODINIT_FUNC PyInit__learn(void)
{
    if (vectors_begin() != 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddFunctions(module, build_functions) == 0 &&
        PyModule_AddFunctions(module, files_functions) == 0 &&
        PyModule_AddFunctions(module, tune_functions) == 0 && files_begin(module) == 0 &&
        task_begin() == 0)
        return module;
    Py_XDECREF(module);
    return NULL;
}
