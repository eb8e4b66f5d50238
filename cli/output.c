/*
 * output.c - see output.h. A file's stream is a face of nlsh__output: stdio formats, the library
 * writes.
 */
#define _GNU_SOURCE /* fopencookie() */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/output.h"
#include "json.h"
#include "signals.h"
#include "talk.h"

/* ---- stdout ---------------------------------------------------------------------------------- */

/* Why stdout has failed. stdio keeps no errno of an earlier write: a further one tells. */
static int stdout_errno(void)
{
    errno = 0;
    if (fflush(stdout) != 0 && errno != 0) return errno;
    if (!ferror(stdout)) return 0;
    if (write(STDOUT_FILENO, "\n", 1) < 0) return errno;
    return EIO;
}

int finish_stdout(void)
{
    int why = stdout_errno();
    if (why == 0) return 0;
    if (why == EPIPE) return EXIT_BROKEN_PIPE; /* the reader wants no more: nothing to say */
    return talk_error(EXIT_CANNOT_WRITE, "make room there, or write a file",
                      "cannot write the standard output: %s", strerror(why));
}

/* ---- files ----------------------------------------------------------------------------------- */

static ssize_t face_write(void *cookie, const char *data, size_t size)
{
    struct nlsh_error error; /* commit says it again */
    return nlsh__output_write(cookie, data, size, &error) == NLSH_OK ? (ssize_t)size : 0;
}

int output_open(const char *path, struct output *out)
{
    struct nlsh_error error = {0};
    memset(out, 0, sizeof *out);
    if (path == NULL || strcmp(path, "-") == 0) {
        out->file = stdout;
        return 0;
    }
    if (nlsh__output_open(path, &out->bytes, &error) != NLSH_OK) return talk_failed(&error);
    out->file = fopencookie(out->bytes, "w", (cookie_io_functions_t){.write = face_write});
    if (out->file == NULL) {
        output_abort(out);
        return talk_error(EXIT_BUG, NULL, "out of memory");
    }
    signal_removes(nlsh__output_temporary(out->bytes));
    return 0;
}

int output_commit(struct output *output)
{
    struct nlsh_error error = {0};
    if (output->bytes == NULL) return finish_stdout();
    signal_removes(NULL);
    (void)fclose(output->file); /* the output knows what became of its bytes */
    enum nlsh_status status = nlsh__output_commit(output->bytes, &error);
    bool gone = status != NLSH_OK && errno == EPIPE;
    memset(output, 0, sizeof *output);
    if (gone) return EXIT_BROKEN_PIPE;
    return status == NLSH_OK ? 0 : talk_failed(&error);
}

void output_abort(struct output *output)
{
    signal_removes(NULL);
    if (output->file != NULL && output->file != stdout) fclose(output->file);
    nlsh__output_abort(output->bytes);
    memset(output, 0, sizeof *output);
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* A named pipe is opened now, so that a missing reader is found before the work, and stays open to
 * the end of the process: a reader takes the last writer's close for the end of what it reads. */
static int hold_pipe(const char *path)
{
    if (open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC) >= 0) return 0;
    return talk_error(EXIT_CANNOT_WRITE, "start its reader first, or name a regular file",
                      "cannot write %s: %s", path,
                      errno == ENXIO ? "nobody reads that pipe" : strerror(errno));
}

static bool is_file(const char *path, struct stat *st)
{
    return path != NULL && stat(path, st) == 0 && S_ISREG(st->st_mode);
}

int output_check(const char *path, const char *flag, const char *const *inputs, size_t n_inputs)
{
    struct nlsh_error error = {0};
    struct stat st, other;
    if (path == NULL || strcmp(path, "-") == 0) return 0;
    if (path[0] == '\0') return talk_error(EXIT_USAGE, NULL, "%s has an empty name", flag);
    bool exists = is_file(path, &st);
    for (size_t i = 0; i < n_inputs && exists; i++) {
        if (is_file(inputs[i], &other) && other.st_dev == st.st_dev && other.st_ino == st.st_ino) {
            return talk_error(EXIT_USAGE, "give it another name",
                              "%s %s would overwrite the input %s", flag, path, inputs[i]);
        }
    }
    if (nlsh__output_check(path, &error) != NLSH_OK) return talk_failed(&error);
    return stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? hold_pipe(path) : 0;
}

int output_check_file(const char *path, const char *flag, const char *const *inputs,
                      size_t n_inputs)
{
    struct stat st;
    if (path == NULL || stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        return output_check(path, flag, inputs, n_inputs);
    }
    return talk_error(EXIT_CANNOT_WRITE, "name a regular file",
                      "cannot write %s: it is no regular file", path);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

int print_json(json_t *value)
{
    if (!json_write(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY)) {
        return talk_error(EXIT_BUG, NULL, "out of memory");
    }
    putchar('\n');
    return finish_stdout();
}

json_t *json_name(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL) return value;
    char *copy = strdup(text); /* a file's name may be any bytes; JSON may not */
    if (copy == NULL) return NULL;
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c >= 128) *c = '?';
    }
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *json_number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}
