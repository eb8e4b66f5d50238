/*
 * writer.c - the type Writer: an index that is open for writing. nlsh/_writer.py adds what needs no speed.
 *
 * Calls that write take turns, and wait for their turn without the GIL. In a turn nothing of Python is called: it might
 * run a signal's handler, or an object's end, that writes too and then waits forever. A snapshot waits for none of them. Its state
 * stays with the writer until the next one is asked for, which takes over the searchers that wait. After a fork
 * the child has a writer whose lock and thread are its parent's: it leaves both alone.
 */
#include "writer.h"

#include <sys/types.h>
#include <unistd.h>

#include "content.h"
#include "failure.h"
#include "index.h"
#include "names.h"
#include "vectors.h"

struct writer_object {
    PyObject_HEAD struct nlsh_writer *writer; /* NULL: closed. It changes in a turn only */
    PyThread_type_lock turn;                  /* held by the one call that writes */
    pid_t process;
    struct nlsh_writer_options options;
    struct content *content;
    struct shared *last; /* the state of the latest snapshot, or NULL */
};

/* ---- turns ----------------------------------------------------------------------------------- */

/* The writer; NULL with an exception where this object has none. */
static struct nlsh_writer *writer_of(const struct writer_object *self)
{
    if (self->writer == NULL)
        PyErr_SetString(PyExc_ValueError, "the writer is closed");
    else if (self->process != getpid())
        PyErr_SetString(PyExc_ValueError,
                        "the writer is another process's: open it after the fork");
    else
        return self->writer;
    return NULL;
}

static void turn_give(struct writer_object *self)
{
    PyThread_release_lock(self->turn);
}

/* The writer, for turn_give(); NULL with an exception. */
static struct nlsh_writer *turn_take(struct writer_object *self)
{
    if (writer_of(self) == NULL) return NULL;
    PyThreadState *state = PyEval_SaveThread();
    PyThread_acquire_lock(self->turn, WAIT_LOCK);
    PyEval_RestoreThread(state);
    struct nlsh_writer *writer = writer_of(self); /* it may have been closed meanwhile */
    if (writer == NULL) turn_give(self);
    return writer;
}

/* ---- open and close -------------------------------------------------------------------------- */

static int options_of(const char *memory, const char *sync, double sync_seconds,
                      struct nlsh_writer_options *options)
{
    static const char *const syncs[] = {[NLSH_SYNC_ALWAYS] = "always",
                                        [NLSH_SYNC_INTERVAL] = "interval",
                                        [NLSH_SYNC_FLUSH] = "flush"};
    nlsh_writer_options_init(options, sizeof *options);
    int i = choice_take(sync, "sync", syncs, 3);
    if (i < 0 || memory_take(memory, &options->memory) != 0) return -1;
    options->sync = (enum nlsh_sync)i;
    options->sync_seconds = sync_seconds;
    return 0;
}

/* The writer keeps others from replacing its files, so they are opened behind it. */
static int open_all(struct writer_object *self, const char *path)
{
    struct nlsh_error error;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = nlsh_writer_open(path, &self->options, &self->writer, &error);
    if (status == NLSH_OK) self->content = content_open(path);
    PyEval_RestoreThread(state);
    if (status != NLSH_OK) {
        raise_error(&error);
        return -1;
    }
    if (self->content != NULL && content_fd(self->content) >= 0) return 0;
    PyErr_Format(PyExc_OSError, "%s: cannot be kept open for reading", path);
    return -1;
}

static PyObject *writer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", "sync", "sync_seconds", "memory", NULL};
    const char *sync = "always", *memory = "map";
    double sync_seconds = 0.1;
    PyObject *path;
    struct writer_object *self = NULL;
    struct nlsh_writer_options options;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|sds", names, PyUnicode_FSConverter, &path,
                                     &sync, &sync_seconds, &memory))
        return NULL;
    if (options_of(memory, sync, sync_seconds, &options) == 0)
        self = (struct writer_object *)PyType_GenericAlloc(type, 0);
    if (self != NULL) {
        self->options = options;
        self->process = getpid();
        self->turn = PyThread_allocate_lock();
        if (self->turn == NULL) PyErr_NoMemory();
        if (self->turn == NULL || open_all(self, PyBytes_AsString(path)) != 0) Py_CLEAR(self);
    }
    Py_DECREF(path);
    return (PyObject *)self;
}

/* In a turn, or where nobody else has the object. It is closed on an error too. */
static enum nlsh_status close_all(struct writer_object *self, struct nlsh_error *error)
{
    struct nlsh_writer *writer = self->writer;
    self->writer = NULL;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = nlsh_writer_close(writer, error);
    PyEval_RestoreThread(state);
    shared_drop(self->last);
    self->last = NULL;
    return status;
}

static PyObject *writer_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct writer_object *self = (struct writer_object *)object;
    struct nlsh_error error;
    if (self->writer == NULL || self->process != getpid()) Py_RETURN_NONE;
    if (turn_take(self) == NULL) { /* another thread has closed it */
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    enum nlsh_status status = close_all(self, &error);
    turn_give(self);
    if (status != NLSH_OK) return raise_error(&error);
    Py_RETURN_NONE;
}

static void writer_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    struct writer_object *self = (struct writer_object *)object;
    if (self->writer != NULL && self->process == getpid()) {
        struct nlsh_error error;
        PyObject *raised[3]; /* what is on its way while the object goes */
        PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
        if (close_all(self, &error) != NLSH_OK) {
            raise_error(&error);
            PyErr_WriteUnraisable(NULL);
        }
        PyErr_Restore(raised[0], raised[1], raised[2]);
    }
    shared_drop(self->last);
    content_drop(self->content);
    if (self->turn != NULL) PyThread_free_lock(self->turn);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* ---- put, add, delete, flush ----------------------------------------------------------------- */

/* Whole numbers as uint64, of numpy; n_rows: for so many vectors, or None. NULL with an exception. */
static PyObject *keys_of(PyObject *keys, PyObject *n_rows, Py_buffer *view)
{
    PyObject *convert = from_module("nlsh._arrays", "as_keys");
    PyObject *array =
        convert != NULL ? PyObject_CallFunctionObjArgs(convert, keys, n_rows, NULL) : NULL;
    Py_XDECREF(convert);
    if (array != NULL && PyObject_GetBuffer(array, view, 0) != 0) Py_CLEAR(array);
    return array;
}

/* In a turn. */
static enum nlsh_status put(struct nlsh_writer *writer, const uint64_t *keys,
                            const struct vectors *vectors, struct nlsh_error *error)
{
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = nlsh_writer_put(writer, keys, &vectors->matrix, error);
    PyEval_RestoreThread(state);
    return status;
}

static PyObject *writer_put(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"keys", "X", NULL};
    struct writer_object *self = (struct writer_object *)object;
    PyObject *given_keys, *given, *answer = NULL;
    struct vectors vectors;
    struct nlsh_error error;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO", names, &given_keys, &given) ||
        writer_of(self) == NULL || vectors_take(given, "vectors", 0, &vectors) != 0)
        return NULL;
    PyObject *n_rows = PyLong_FromSize_t(vectors.matrix.n_rows);
    PyObject *keys = n_rows != NULL ? keys_of(given_keys, n_rows, &view) : NULL;
    struct nlsh_writer *writer = keys != NULL ? turn_take(self) : NULL;
    if (writer != NULL) {
        enum nlsh_status status = put(writer, view.buf, &vectors, &error);
        turn_give(self);
        answer = status == NLSH_OK ? Py_None : raise_error(&error);
    }
    if (keys != NULL) PyBuffer_Release(&view);
    Py_XDECREF(keys);
    Py_XDECREF(n_rows);
    vectors_release(&vectors);
    Py_XINCREF(answer);
    return answer;
}

/* Without the GIL: an index of this process that refreshes may hold what this waits for. */
static uint64_t next_key(struct nlsh_writer *writer)
{
    PyThreadState *state = PyEval_SaveThread();
    uint64_t next = nlsh_writer_next_key(writer);
    PyEval_RestoreThread(state);
    return next;
}

/* In a turn, so that nobody takes the keys in between. keys: [n] out. */
static enum nlsh_status put_next(struct nlsh_writer *writer, const struct vectors *vectors,
                                 uint64_t *keys, struct nlsh_error *error)
{
    size_t n = vectors->matrix.n_rows;
    uint64_t next = next_key(writer);
    if (next > NLSH_NO_KEY - n) {
        *error = (struct nlsh_error){NLSH_E_ARG,
                                     "no keys are left behind the largest that the index has had",
                                     "give the vectors keys: put(keys, X)"};
        return NLSH_E_ARG;
    }
    for (size_t i = 0; i < n; i++) keys[i] = next + i;
    return put(writer, keys, vectors, error);
}

static PyObject *writer_add(PyObject *object, PyObject *given)
{
    struct writer_object *self = (struct writer_object *)object;
    struct vectors vectors;
    struct nlsh_error error;
    struct answer keys = {NULL, NULL};
    if (writer_of(self) == NULL || vectors_take(given, "vectors", 0, &vectors) != 0) return NULL;
    struct nlsh_writer *writer = NULL;
    if (answer_make(ANSWER_U64, 1, vectors.matrix.n_rows, 1, &keys) == 0) writer = turn_take(self);
    if (writer != NULL) {
        enum nlsh_status status = put_next(writer, &vectors, keys.data, &error);
        turn_give(self);
        if (status != NLSH_OK) raise_error(&error);
    }
    vectors_release(&vectors);
    if (PyErr_Occurred() != NULL) Py_CLEAR(keys.array);
    return keys.array;
}

static PyObject *writer_delete(PyObject *object, PyObject *given)
{
    struct writer_object *self = (struct writer_object *)object;
    struct nlsh_error error;
    Py_buffer view;
    PyObject *answer = NULL;
    if (writer_of(self) == NULL) return NULL;
    PyObject *keys = keys_of(given, Py_None, &view);
    if (keys == NULL) return NULL;
    struct nlsh_writer *writer = turn_take(self);
    if (writer != NULL) {
        size_t n_deleted;
        PyThreadState *state = PyEval_SaveThread();
        enum nlsh_status status = nlsh_writer_delete(
            writer, view.buf, (size_t)view.len / sizeof(uint64_t), &n_deleted, &error);
        PyEval_RestoreThread(state);
        turn_give(self);
        answer = status == NLSH_OK ? PyLong_FromSize_t(n_deleted) : raise_error(&error);
    }
    PyBuffer_Release(&view);
    Py_DECREF(keys);
    return answer;
}

static PyObject *writer_flush(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct writer_object *self = (struct writer_object *)object;
    struct nlsh_error error;
    struct nlsh_writer *writer = turn_take(self);
    if (writer == NULL) return NULL;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = nlsh_writer_flush(writer, &error);
    PyEval_RestoreThread(state);
    turn_give(self);
    if (status != NLSH_OK) return raise_error(&error);
    Py_RETURN_NONE;
}

/* ---- what it holds --------------------------------------------------------------------------- */

/* The state of now, held; NULL with an exception. */
static struct shared *state_of(struct writer_object *self, struct nlsh_writer *writer)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    if (nlsh_writer_snapshot(writer, &index, &error) != NLSH_OK)
        return (struct shared *)raise_error(&error);
    if (self->last != NULL && shared_index(self->last) == index) {
        nlsh_index_close(index); /* what this counts, last counts too */
        return shared_hold(self->last);
    }
    struct shared *now = shared_of_state(index, self->content, self->options.memory, self->last);
    if (now == NULL) return NULL;
    shared_drop(self->last);
    self->last = shared_hold(now);
    return now;
}

static PyObject *writer_snapshot(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct writer_object *self = (struct writer_object *)object;
    PyObject *type = from_module("nlsh._index", "Index"), *made = NULL;
    /* From here on the GIL is kept, and so the writer: who closes it needs the GIL to begin. */
    struct nlsh_writer *writer = type != NULL ? writer_of(self) : NULL;
    if (writer != NULL) made = index_make((PyTypeObject *)type, state_of(self, writer));
    Py_XDECREF(type);
    return made;
}

static PyObject *writer_next_key(PyObject *object, void *unused)
{
    (void)unused;
    struct writer_object *self = (struct writer_object *)object;
    struct nlsh_writer *writer = turn_take(self);
    if (writer == NULL) return NULL;
    uint64_t next = next_key(writer);
    turn_give(self);
    return PyLong_FromUnsignedLongLong(next);
}

static PyObject *writer_closed(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct writer_object *)object)->writer == NULL);
}

static PyMethodDef writer_methods[] = {
    {"put", METHOD(writer_put), METH_VARARGS | METH_KEYWORDS,
     "put($self, keys, X)\n--\n\nInserts vectors, or replaces those that have the same keys.\n\n"
     "keys  whole numbers [n] from 0 to 2^64 - 2; of two equal ones the later counts.\n"
     "X     array [n, dim], or [dim] for one vector, of the kinds that Index.search() takes; for\n"
     "      an index of bytes whole numbers of their range.\n\n"
     "All of them are there afterwards, or, after an exception, none."},
    {"add", writer_add, METH_O,
     "add($self, X, /)\n--\n\nInserts vectors under the next keys that are free, and returns "
     "them:\n"
     "uint64 [n]. X is put()'s."},
    {"delete", writer_delete, METH_O,
     "delete($self, keys, /)\n--\n\nDeletes the vectors of these keys, whole numbers [n] or one. "
     "Those that are\nnot there are passed over. Returns how many were there."},
    {"flush", writer_flush, METH_NOARGS,
     "flush($self)\n--\n\nWhat was put and deleted so far survives a loss of power when this "
     "returns."},
    {"snapshot", writer_snapshot, METH_NOARGS,
     "snapshot($self)\n--\n\nThe Index as it is after the last call that returned. It never "
     "changes, and\nstays open when the writer closes. It waits for no other call."},
    {"close", writer_close, METH_NOARGS,
     "close($self)\n--\n\nMakes durable what was put, and lets others write. A second call does "
     "nothing."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef writer_attributes[] = {
    {"next_key", writer_next_key, NULL,
     "A key larger than all that the index has had since its file was made.", NULL},
    {"closed", writer_closed, NULL, "Whether the writer is closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot writer_slots[] = {
    {Py_tp_new, writer_new},
    {Py_tp_dealloc, writer_dealloc},
    {Py_tp_methods, writer_methods},
    {Py_tp_getset, writer_attributes},
    {Py_tp_doc, "An index that is open for writing. Any number of threads may use it."},
    {0, NULL},
};
static PyType_Spec writer_spec = {
    .name = "nlsh._search.Writer",
    .basicsize = sizeof(struct writer_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = writer_slots,
};

int writer_begin(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&writer_spec);
    if (type == NULL) return -1;
    return PyModule_AddObject(module, "Writer", type);
}

/* ---- an empty index -------------------------------------------------------------------------- */

static PyObject *create(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"path", "dim", "type", "metric", NULL};
    static const char *const types[] = {"u8", "i8", "f32", "f16", "bf16"};
    static const enum nlsh_type numbers[] = {NLSH_U8, NLSH_I8, NLSH_F32, NLSH_F16, NLSH_BF16};
    const char *type_name = "f32", *metric_name = "l2";
    PyObject *path;
    Py_ssize_t dim;
    enum nlsh_metric metric;
    struct nlsh_error error;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&n|ss", names, PyUnicode_FSConverter, &path,
                                     &dim, &type_name, &metric_name))
        return NULL;
    PyObject *done = NULL;
    int i = choice_take(type_name, "type", types, 5);
    if (i >= 0 && metric_take(metric_name, &metric) == 0) {
        PyThreadState *state = PyEval_SaveThread();
        enum nlsh_status status = nlsh_index_create(
            PyBytes_AsString(path), dim < 0 ? 0 : (size_t)dim, numbers[i], metric, &error);
        PyEval_RestoreThread(state);
        done = status == NLSH_OK ? Py_None : raise_error(&error);
        Py_XINCREF(done);
    }
    Py_DECREF(path);
    return done;
}

PyMethodDef writer_functions[] = {
    {"create", METHOD(create), METH_VARARGS | METH_KEYWORDS,
     "create(path, dim, type=\"f32\", metric=\"l2\")\n--\n\n"
     "Makes an index file that holds no vectors, to be put into. It replaces what has that "
     "name.\n\n"
     "dim     of the vectors.\n"
     "type    that it stores: u8, i8, f32, f16 or bf16; with metric ip and cosine one of the\n"
     "        latter three. To f16 and bf16 floats are rounded as they come.\n"
     "metric  l2, ip or cosine.\n\n"
     "Searches compare everything, exactly, until nlsh.compact() learns buckets from what was "
     "put."},
    {NULL, NULL, 0, NULL},
};
