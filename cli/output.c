/*
 * output.c - stdout, and files that appear whole or not at all: written beside the target under a
 * temporary name, synced, renamed over it. Until then the target is untouched.
 */
#define _XOPEN_SOURCE 700 /* realpath() */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "signals.h"
#include "talk.h"

static const char *const cannot_write_hint =
    "choose another place for it, or make room and permission there";

static int cannot_write(const char *path, int code)
{
    if (code == EPIPE) {
        return EXIT_BROKEN_PIPE; /* the reader has gone and wants no more: nothing to say */
    }
    return talk_error(EXIT_CANNOT_WRITE, cannot_write_hint, "cannot write %s: %s",
                      path ? path : "the standard output", strerror(code ? code : EIO));
}

/* Why a stream has failed. stdio keeps no errno of an earlier write: a further one tells. */
static int stream_errno(FILE *file)
{
    errno = 0;
    if (fflush(file) != 0 && errno != 0) return errno;
    if (!ferror(file)) return 0;
    if (write(fileno(file), "\n", 1) < 0) return errno;
    return EIO;
}

/* The directory part of a path, "." where it has none. The caller frees it. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return strdup(".");
    if (slash == path) return strdup("/");
    return strndup(path, (size_t)(slash - path));
}

/* ".NAME.PID.tmp" beside the target, so that the rename stays within one file system. */
static char *temporary_beside(const char *target)
{
    const char *slash = strrchr(target, '/');
    size_t head = slash ? (size_t)(slash - target) + 1 : 0;
    size_t size = strlen(target) + 40;
    char *name = malloc(size);
    if (name == NULL) return NULL;
    /* A long name is cut, because ours would be longer than the file system allows. */
    snprintf(name, size, "%.*s.%.200s.%ld.tmp", (int)head, target, target + head, (long)getpid());
    return name;
}

int output_open(const char *path, struct output *out)
{
    struct stat st;
    memset(out, 0, sizeof *out);
    if (path == NULL || strcmp(path, "-") == 0) {
        out->file = stdout;
        return 0;
    }
    out->path = path;
    bool exists = stat(path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) {
        if (S_ISDIR(st.st_mode)) return cannot_write(path, EISDIR);
        out->file = fopen(path, "w");
        return out->file ? 0 : cannot_write(path, errno);
    }
    /* A link keeps pointing where it did: what it names is replaced, not the link. */
    out->target = exists ? realpath(path, NULL) : strdup(path);
    out->temporary = out->target ? temporary_beside(out->target) : NULL;
    if (out->temporary == NULL) {
        output_abort(out);
        return talk_error(EXIT_BUG, NULL, "out of memory");
    }
    unlink(out->temporary);
    int fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) out->file = fdopen(fd, "w");
    if (out->file == NULL) {
        int code = errno;
        if (fd >= 0) close(fd);
        output_abort(out);
        return cannot_write(path, code);
    }
    signal_removes(out->temporary);
    return 0;
}

static void output_release(struct output *output)
{
    signal_removes(NULL);
    free(output->target);
    free(output->temporary);
    memset(output, 0, sizeof *output);
}

int output_commit(struct output *output)
{
    const char *path = output->path;
    if (output->file == stdout) {
        output_release(output);
        return finish_stdout();
    }
    int code = stream_errno(output->file);
    if (code == 0 && output->temporary != NULL && fsync(fileno(output->file)) != 0) code = errno;
    bool good = code == 0;
    if (fclose(output->file) != 0 && good) {
        good = false;
        code = errno;
    }
    if (good && output->temporary != NULL && rename(output->temporary, output->target) != 0) {
        good = false;
        code = errno;
    }
    if (!good && output->temporary != NULL) unlink(output->temporary);
    output_release(output);
    return good ? 0 : cannot_write(path, code);
}

void output_abort(struct output *output)
{
    if (output->file != NULL && output->file != stdout) fclose(output->file);
    if (output->temporary != NULL) unlink(output->temporary);
    output_release(output);
}

int output_check(const char *path, const char *flag, const char *const *inputs, size_t n_inputs)
{
    struct stat st, other;
    if (path == NULL || strcmp(path, "-") == 0) return 0;
    if (path[0] == '\0') return talk_error(EXIT_USAGE, NULL, "%s has an empty name", flag);
    bool exists = stat(path, &st) == 0;
    for (size_t i = 0; i < n_inputs; i++) {
        if (!exists || !S_ISREG(st.st_mode) || inputs[i] == NULL) continue;
        if (stat(inputs[i], &other) == 0 && other.st_dev == st.st_dev &&
            other.st_ino == st.st_ino) {
            return talk_error(EXIT_USAGE, "give it another name",
                              "%s %s would overwrite the input %s", flag, path, inputs[i]);
        }
    }
    if (exists && S_ISDIR(st.st_mode)) return cannot_write(path, EISDIR);
    if (exists && !S_ISREG(st.st_mode)) return 0;
    char *directory = directory_of(path);
    if (directory == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    int code = access(directory, W_OK | X_OK) == 0 ? 0 : errno;
    int result = 0;
    if (code == ENOENT) {
        result = talk_error(EXIT_CANNOT_WRITE, "make the directory first",
                            "cannot write %s: there is no directory %s", path, directory);
    } else if (code != 0) {
        result = cannot_write(path, code);
    }
    free(directory);
    return result;
}

int finish_stdout(void)
{
    int code = stream_errno(stdout);
    return code == 0 ? 0 : cannot_write(NULL, code);
}

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
