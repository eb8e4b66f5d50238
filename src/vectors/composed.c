/*
 * composed.c - rows that are read through others: nlsh_rows_join() and nlsh_rows_part().
 *
 * Both keep the order that they were promised: what they ask of others begins with row 0 or goes on where it ended. So a
 * part has to pass by what is before it, each time it begins. Whole rows of a join that are before it are left out, and
 * a file knows a short way; of others the rows are read, into the room that the caller has for his own.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/sized.h"
#include "vectors/rows.h"

struct joined {
    struct nlsh_rows *parts;
    size_t n_parts, n_rows;
    size_t next;     /* row that comes next, among all */
    size_t part, at; /* the same: in which part, and where in that */
};

struct part {
    struct nlsh_rows whole;
    size_t begin, n_rows;
    size_t next;
};

/* What both functions take. */
static enum nlsh_status take(struct nlsh_rows *ours, const struct nlsh_rows *theirs,
                             struct nlsh_error *error)
{
    *ours = (struct nlsh_rows){.read = NULL};
    enum nlsh_status status = nlsh__options_take(ours, sizeof *ours, theirs, "nlsh_rows", error);
    if (status != NLSH_OK) return status;
    if (ours->read != NULL && ours->n_rows > 0 && ours->dim > 0) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "open a file first, or say how they are read",
                      "there are no rows to read");
}

/* ---- join ------------------------------------------------------------------------------------- */

static void joined_free(struct joined *j)
{
    if (j == NULL) return;
    nlsh__free(j->parts);
    nlsh__free(j);
}

static enum nlsh_status read_joined(void *user, size_t first, size_t n, void *values,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct joined *j = user;
    uint8_t *to = values;
    if (first == 0) j->next = j->part = j->at = 0;
    NLSH_TRY(nlsh__rows_check_order("joined rows", first, n, j->next, j->n_rows, error));
    while (n > 0) {
        const struct nlsh_rows *rows = &j->parts[j->part];
        size_t count = n < rows->n_rows - j->at ? n : rows->n_rows - j->at;
        NLSH_TRY(rows->read(rows->user, j->at, count, to, error));
        to += count * rows->dim * nlsh__type_size(rows->type);
        n -= count;
        j->next += count;
        j->at += count;
        if (j->at < rows->n_rows) continue;
        j->part++;
        j->at = 0;
    }
out:
    return status;
}

static const char *name_of(const struct nlsh_rows *rows, size_t i, char buffer[32])
{
    if (rows->name != NULL) return rows->name;
    snprintf(buffer, 32, "part %zu", i);
    return buffer;
}

/* Whether part i is of the first one's kind. */
static enum nlsh_status check_alike(const struct joined *j, size_t i, struct nlsh_error *error)
{
    const struct nlsh_rows *one = &j->parts[0], *other = &j->parts[i];
    char a[32], b[32];
    if (one->dim != other->dim)
        return nlsh__fail(error, NLSH_E_MISMATCH, "join what has one dimension",
                          "%s holds vectors of %zu values, %s of %zu", name_of(one, 0, a), one->dim,
                          name_of(other, i, b), other->dim);
    if (one->type != other->type)
        return nlsh__fail(
            error, NLSH_E_MISMATCH, "bring them to one type first: nlsh convert FILE FILE.fbin",
            "%s holds values of type %s, %s of type %s", name_of(one, 0, a),
            nlsh__type_name(one->type), name_of(other, i, b), nlsh__type_name(other->type));
    if (other->n_rows > SIZE_MAX - j->n_rows)
        return nlsh__fail(error, NLSH_E_ARG, "join fewer", "%s has %zu rows: too many with others",
                          name_of(other, i, b), other->n_rows);
    return NLSH_OK;
}

enum nlsh_status nlsh_rows_join(const struct nlsh_rows *parts, size_t n, struct nlsh_rows *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    struct joined *j = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__answer_check(out, "nlsh_rows", error));
    if (parts == NULL || n == 0)
        return nlsh__fail(error, NLSH_E_ARG, "give one at least", "there is nothing to join");
    NLSH_TRY(nlsh__calloc(&j, 1, sizeof *j, error));
    NLSH_TRY(nlsh__alloc(&j->parts, n, sizeof *j->parts, error));
    for (; j->n_parts < n; j->n_parts++) {
        /* An array of the caller's structs, which may be longer than ours. */
        const char *theirs = (const char *)parts + j->n_parts * parts->struct_size;
        NLSH_TRY(take(&j->parts[j->n_parts], (const void *)theirs, error));
        NLSH_TRY(check_alike(j, j->n_parts, error));
        j->n_rows += j->parts[j->n_parts].n_rows;
    }
    struct nlsh_rows ours = j->parts[0];
    ours.n_rows = j->n_rows;
    ours.read = read_joined;
    ours.user = j;
    ours.name = NULL;
    nlsh__answer_give(out, &ours, sizeof ours);
    j = NULL;
out:
    joined_free(j);
    return status;
}

/* ---- part ------------------------------------------------------------------------------------- */

/* Begins again and stands behind n rows, of which there are more. room: rows that scratch holds, at least one. */
static enum nlsh_status pass_by(const struct nlsh_rows *rows, size_t n, void *scratch, size_t room,
                                struct nlsh_error *error)
{
    if (nlsh__rows_of_file(rows)) return nlsh__rows_pass(rows, n, error);
    if (rows->read == read_joined) {
        struct joined *j = rows->user;
        j->next = j->at = n;
        for (j->part = 0; j->at >= j->parts[j->part].n_rows; j->part++)
            j->at -= j->parts[j->part].n_rows;
        return pass_by(&j->parts[j->part], j->at, scratch, room, error);
    }
    for (size_t at = 0; at < n; at += room) {
        size_t count = n - at < room ? n - at : room;
        enum nlsh_status status = rows->read(rows->user, at, count, scratch, error);
        if (status != NLSH_OK) return status;
    }
    return NLSH_OK;
}

static enum nlsh_status read_part(void *user, size_t first, size_t n, void *values,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct part *p = user;
    if (first == 0) p->next = 0;
    NLSH_TRY(nlsh__rows_check_order("a part of rows", first, n, p->next, p->n_rows, error));
    if (n == 0) return NLSH_OK;
    if (first == 0) NLSH_TRY(pass_by(&p->whole, p->begin, values, n, error));
    NLSH_TRY(p->whole.read(p->whole.user, p->begin + first, n, values, error));
    p->next += n;
out:
    return status;
}

enum nlsh_status nlsh_rows_part(const struct nlsh_rows *whole, size_t first, size_t n,
                                struct nlsh_rows *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct part *p = NULL;
    struct nlsh_rows ours = {.read = NULL};
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__answer_check(out, "nlsh_rows", error));
    NLSH_TRY(take(&ours, whole, error));
    if (n == 0 || first >= ours.n_rows || n > ours.n_rows - first)
        return nlsh__fail(error, NLSH_E_ARG, "take one row at least, of those that are there",
                          "%zu rows from row %zu on were asked for, of %zu", n, first, ours.n_rows);
    NLSH_TRY(nlsh__calloc(&p, 1, sizeof *p, error));
    p->whole = ours;
    p->begin = first;
    p->n_rows = ours.n_rows = n;
    ours.read = read_part;
    ours.user = p;
    nlsh__answer_give(out, &ours, sizeof ours);
out:
    return status;
}

int nlsh__composed_free(const struct nlsh_rows *rows)
{
    if (rows->read == read_joined)
        joined_free(rows->user);
    else if (rows->read == read_part)
        nlsh__free(rows->user);
    else
        return 0;
    return 1;
}
