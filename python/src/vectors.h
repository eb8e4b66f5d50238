/* vectors.h - arrays of Python as matrices of the library, and answers of the library as arrays of numpy. */
#ifndef NLSH_PYTHON_VECTORS_H
#define NLSH_PYTHON_VECTORS_H

#include "nlsh/nlsh.h"
#include "python.h"

/* Vectors of a caller: a view of the caller's memory, which stays where it is until vectors_release(). */
struct vectors {
    struct nlsh_matrix matrix;
    int is_one;      /* 1: the array has one dimension, so the answer has one fewer too */
    PyObject *array; /* of numpy, held; NULL: view is */
    Py_buffer view;
};

/*
 * vectors_take() - an array, without a copy where the library can read it as it lies.
 *
 * That is: floats of 16, 32 or 64 bits or bytes, in the machine's order, each row without gaps. All else goes
 * through nlsh._arrays.as_vectors(), which converts or refuses.
 *
 *  what      "queries", for messages
 *  ids_too   1: numbers of 32 bits with a sign stay what they are, for files of ids
 * Returns 0; -1 with an exception.
 */
int vectors_take(PyObject *object, const char *what, int ids_too, struct vectors *out);
/* Of vectors that were taken, or are all zeros. */
void vectors_release(struct vectors *vectors);

/* An array of numpy to be filled. */
struct answer {
    PyObject *array;
    void *data;
};

/* What answers are made of. */
enum answer_kind { ANSWER_U64, ANSWER_F32 };

/*
 * answer_make() - an array [n_rows x width], or [width] where is_one. Its memory lives as long as the array,
 * which nobody else has yet. Returns 0; -1 with an exception.
 */
int answer_make(enum answer_kind kind, size_t n_rows, size_t width, int is_one, struct answer *out);

/* Looks numpy up, once; -1 with an ImportError that says what to do. */
int vectors_begin(void);

#endif
