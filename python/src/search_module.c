/* search_module.c - the module nlsh._search: libnlsh, which opens, searches and changes an index. */
#include "failure.h"
#include "fitted.h"
#include "index.h"
#include "options.h"
#include "vectors.h"
#include "writer.h"

static PyObject *cpu(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyUnicode_FromString(nlsh_cpu());
}

static PyObject *verify(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *path;
    struct nlsh_error error;
    if (!PyArg_ParseTuple(args, "O&", PyUnicode_FSConverter, &path)) return NULL;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = nlsh_index_verify(PyBytes_AsString(path), &error);
    PyEval_RestoreThread(state);
    Py_DECREF(path);
    if (status != NLSH_OK) return raise_error(&error);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"cpu", cpu, METH_NOARGS,
     "cpu()\n--\n\nThe instruction set that the kernels use, e.g. \"avx2\". NLSH_CPU caps it."},
    {"verify", verify, METH_VARARGS,
     "verify(path)\n--\n\nReads a whole index file and compares every section with its checksum.\n"
     "Raises DataError where one differs."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        "nlsh._search",
                                        "Opens, searches and changes an index.",
                                        -1,
                                        functions,
                                        NULL,
                                        NULL,
                                        NULL,
                                        NULL};

PyMODINIT_FUNC PyInit__search(void);
PyMODINIT_FUNC PyInit__search(void)
{
    if (vectors_begin() != 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && index_begin(module) == 0 && options_begin(module) == 0 &&
        fitted_begin(module) == 0 && writer_begin(module) == 0 &&
        PyModule_AddFunctions(module, writer_functions) == 0 &&
        PyModule_AddStringConstant(module, "version", nlsh_version()) == 0 &&
        PyModule_AddObject(module, "NO_KEY", PyLong_FromUnsignedLongLong(NLSH_NO_KEY)) == 0)
        return module;
    Py_XDECREF(module);
    return NULL;
}
