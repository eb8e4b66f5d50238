/* rows.h - a matrix as rows that pass by. */
#ifndef NLSH_TESTS_ROWS_H
#define NLSH_TESTS_ROWS_H

#include <string.h>

#include "nlsh/learn.h"
#include "testing.h"

struct of_matrix {
    const struct nlsh_matrix *matrix;
    size_t next, begun;      /* the row that has to come; how often rows were begun with */
    size_t fail_at, n_calls; /* the call that fails, from 1 */
    size_t n_read;           /* rows */
    int anywhere;            /* a reader may begin where it likes, as one of several does */
};

static inline enum nlsh_status read_matrix(void *user, size_t first, size_t n, void *values,
                                           struct nlsh_error *error)
{
    struct of_matrix *m = user;
    size_t row = m->matrix->dim * (m->matrix->type == NLSH_F32 ? sizeof(float) : 1);
    assert_true(first == 0 || first == m->next || m->anywhere);
    assert_true(n > 0 && first + n <= m->matrix->n_rows);
    if (++m->n_calls == m->fail_at) {
        snprintf(error->message, sizeof error->message, "the disk was taken away");
        error->status = NLSH_E_IO;
        return NLSH_E_IO;
    }
    memcpy(values, (const uint8_t *)m->matrix->data + first * row, n * row);
    m->begun += first == 0;
    m->n_read += n;
    m->next = first + n;
    return NLSH_OK;
}

static inline struct nlsh_rows rows_of(struct of_matrix *m)
{
    struct nlsh_rows rows;
    nlsh_rows_init(&rows, sizeof rows);
    rows.n_rows = m->matrix->n_rows;
    rows.dim = m->matrix->dim;
    rows.type = m->matrix->type;
    rows.user = m;
    rows.read = read_matrix;
    return rows;
}

#endif
