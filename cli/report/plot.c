/*
 * plot.c - pictures by gnuplot.
 *
 * gnuplot reads the script from a file without a name and draws to a pipe, so that nothing is left
 * on the disk whatever goes wrong, and no second pipe can block against the first.
 */
#include "report/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"
#include "signals.h"
#include "talk.h"

extern char **environ;

const char *const plot_hint = "install gnuplot-nox (Debian), or gnuplot";

/* Okabe and Ito's colours (2008), the yellow left out, which a white page swallows. */
static const char preamble[] = "set terminal svg size %zu,%zu noenhanced font 'sans-serif,14' "
                               "background '#ffffff'\n"
                               "set encoding utf8\n"
                               "set border 3 lc rgb '#666666'\n"
                               "set tics nomirror\n"
                               "set grid lc rgb '#dddddd' lt 1 lw 1\n"
                               "set datafile separator ','\n"
                               "set style line 1 lc rgb '#0072b2' lw 2 pt 7 ps 0.6\n"
                               "set style line 2 lc rgb '#d55e00' lw 2 pt 5 ps 0.6\n"
                               "set style line 3 lc rgb '#009e73' lw 2 pt 9 ps 0.7\n"
                               "set style line 4 lc rgb '#cc79a7' lw 2 pt 11 ps 0.7\n"
                               "set style line 5 lc rgb '#e69f00' lw 2 pt 13 ps 0.7\n"
                               "set style line 6 lc rgb '#56b4e9' lw 2 pt 6 ps 0.6\n"
                               "set style line 7 lc rgb '#000000' lw 2 pt 4 ps 0.6\n"
                               "set style line 8 lc rgb '#999999' lw 2 pt 8 ps 0.7\n";

bool plot_possible(void)
{
    const char *path = getenv("PATH");
    char name[4096];
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        snprintf(name, sizeof name, "%.*s/gnuplot", (int)length, path);
        if (length > 0 && access(name, X_OK) == 0) return true;
        path += length + (path[length] == ':');
    }
    return false;
}

void plot_quoted(FILE *to, const char *text)
{
    fputc('\'', to);
    for (; *text != '\0'; text++) {
        if (*text == '\'') fputc('\'', to); /* doubled, as gnuplot wants it */
        fputc((unsigned char)*text < 32 ? ' ' : *text, to);
    }
    fputc('\'', to);
}

double plot_recall_place(double recall)
{
    return -log10(1 - fmin(recall, PLOT_MOST_RECALL));
}

void plot_recall_axis(FILE *to, char axis, double low, double high)
{
    static const char *const marks[] = {"0.3",  "0.5",  "0.7",  "0.8",   "0.9",
                                        "0.95", "0.98", "0.99", "0.995", "0.999"};
    double margin = fmax(0.03 * (high - low), 0.02);
    fprintf(to, "set %crange [%.4f:%.4f]\nset %ctics (", axis, low - margin, high + margin, axis);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        fprintf(to, "'%s' %.5f, ", marks[i] + 1, plot_recall_place(strtod(marks[i], NULL)));
    }
    fprintf(to, "'1' %.5f)\n", plot_recall_place(1));
}

/* Starts gnuplot on three descriptors; 0 or an errno. */
static int start(int in, int out, int err, pid_t *pid)
{
    char name[] = "gnuplot", defaults[] = "-d", from_stdin[] = "-";
    char *const argv[] = {name, defaults, from_stdin, NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return code;
    code = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (code == 0) code = posix_spawnp(pid, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* All that comes from a descriptor, ended by NUL; NULL without memory. */
static char *read_all(int fd)
{
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room);
    while (text != NULL) {
        if (size + 1 == room) {
            char *larger = realloc(text, room *= 2);
            if (larger == NULL) break;
            text = larger;
        }
        ssize_t n = read(fd, text + size, room - size - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            text[size] = '\0';
            return text;
        }
        size += (size_t)n;
    }
    free(text);
    return NULL;
}

/* The first line of gnuplot's complaint that is not the script repeated. */
static void complaint(FILE *err, char *words, size_t size)
{
    char line[512];
    rewind(err);
    snprintf(words, size, "it said nothing");
    while (fgets(line, sizeof line, err) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *at = strstr(line, "line ");
        if (at == NULL || strchr(at, ':') == NULL) continue;
        snprintf(words, size, "%s", at);
        return;
    }
}

/* Runs gnuplot from `in`; *svg is what it drew. */
static int draw(FILE *in, FILE *err, char **svg)
{
    int ends[2], state = 0;
    pid_t pid = -1;
    char words[512];
    if (pipe(ends) != 0) {
        return talk_error(EXIT_BUG, NULL, "no pipe to gnuplot: %s", strerror(errno));
    }
    /* The child must not hold the reading end, or a dead reader would never be noticed. */
    int code = fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0
                   ? start(fileno(in), ends[1], fileno(err), &pid)
                   : errno;
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        return talk_error(EXIT_UNSUPPORTED, plot_hint, "gnuplot cannot be started: %s",
                          strerror(code));
    }
    *svg = read_all(ends[0]);
    close(ends[0]);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) continue;
    if (signal_came()) {
        struct nlsh_error error = {.status = NLSH_E_INTERRUPTED};
        return talk_failed(&error);
    }
    if (*svg == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    if (state == 0 && strstr(*svg, "</svg>") != NULL) return 0;
    complaint(err, words, sizeof words);
    return talk_error(EXIT_BUG, "please report it, with `gnuplot --version`",
                      "gnuplot drew nothing: %s", words);
}

int plot_svg(const char *script, size_t width, size_t height, char **out)
{
    FILE *in = tmpfile(), *err = tmpfile();
    int code = 0;
    *out = NULL;
    if (in == NULL || err == NULL || fprintf(in, preamble, width, height) < 0 ||
        fputs(script, in) == EOF || fflush(in) != 0 || lseek(fileno(in), 0, SEEK_SET) != 0) {
        code = talk_error(EXIT_CANNOT_WRITE, "make room in the directory for temporary files",
                          "no temporary file for gnuplot: %s", strerror(errno));
    }
    if (code == 0) code = draw(in, err, out);
    if (code != 0) {
        free(*out);
        *out = NULL;
    }
    if (in != NULL) fclose(in);
    if (err != NULL) fclose(err);
    return code;
}

int plot_svg_file(const char *script, size_t width, size_t height, const char *path)
{
    struct output output;
    char *svg;
    int code = plot_svg(script, width, height, &svg);
    if (code != 0) return code;
    code = output_open(path, &output);
    if (code == 0) {
        fputs(svg, output.file);
        code = output_commit(&output);
    }
    free(svg);
    return code;
}
