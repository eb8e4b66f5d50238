/* cmd_serve.c - `nlsh serve`: options, the wait for a signal, and the end. The work is in serve/. */
#include "inputs.h"
#include "talk.h"
#include "verbs.h"
#include "verbs/verb.h"
#ifdef NLSH_WITH_SERVE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "numbers.h"
#include "output.h"
#include "serve/serve.h"
#include "signals.h"

/* ---- options --------------------------------------------------------------------------------- */

enum { TOKEN_SIZE = 1024 };

/* What stands in token is none that a header could carry, or it has none. */
static int bad_token(const char *from)
{
    return talk_error(EXIT_USAGE,
                      "a token is a line of letters, digits and signs, at most 1,000 of them, e.g. "
                      "of `openssl rand -hex 32`",
                      "%s holds no token", from);
}

static int check_token(const char *token, const char *from)
{
    size_t n = strlen(token);
    if (n == 0 || n > 1000) return bad_token(from);
    for (size_t i = 0; i < n; i++)
        if (token[i] <= ' ' || token[i] > '~') return bad_token(from);
    return 0;
}

/* Not of the command line: other users of the machine could read it there. */
static int read_token(const struct args *args, char token[TOKEN_SIZE], const char **out)
{
    const char *path = args_text(args, "token_file"), *variable = getenv("NLSH_TOKEN");
    if (path == NULL) {
        *out = variable;
        return variable != NULL ? check_token(variable, "NLSH_TOKEN") : 0;
    }
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return talk_error(EXIT_NO_INPUT, "check the path", "%s: %s", path, strerror(errno));
    if (fgets(token, TOKEN_SIZE, file) == NULL) token[0] = '\0';
    fclose(file);
    token[strcspn(token, "\r\n")] = '\0';
    *out = token;
    return check_token(token, path);
}

static int read_image(const struct args *args, struct nlsh__serve_options *out)
{
    const char *text = args_text(args, "image");
    char behind;
    unsigned w, h;
    if (text == NULL) return 0;
    out->is_plain = strcmp(text, "none") == 0;
    if (out->is_plain) return 0;
    if (strspn(text, "0123456789x") != strlen(text) ||
        sscanf(text, "%5ux%5u%c", &w, &h, &behind) != 2 || w == 0 || h == 0)
        return talk_error(EXIT_USAGE, "give WIDTHxHEIGHT, such as 28x28, or none",
                          "--image %s is no size of a picture", text);
    out->image_width = w;
    out->image_height = h;
    return 0;
}

static size_t n_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 256 ? 256 : (size_t)n;
}

static void say_line(void *user, const char *line)
{
    (void)user;
    talk_say("%s", line);
}

static void read_options(const struct args *args, struct nlsh__serve_options *out)
{
    nlsh__serve_options_init(out);
    out->path = args_text(args, "i");
    out->address = args_text(args, "listen");
    out->port = (unsigned)args_count(args, "port");
    out->writes = args_given(args, "write");
    out->sync =
        strcmp(args_text(args, "sync"), "interval") == 0 ? NLSH_SYNC_INTERVAL : NLSH_SYNC_ALWAYS;
    out->memory = memory_named(args);
    out->n_threads = args_given(args, "threads") ? args_count(args, "threads") : n_processors();
    out->limits.body_bytes = args_count(args, "max_body") << 20;
    out->limits.bodies_bytes = out->limits.body_bytes * 16;
    out->limits.k = args_count(args, "max_k");
    out->limits.n_vectors = args_count(args, "max_vectors");
    out->limits.n_answers = out->limits.n_vectors * 100;
    if (out->limits.n_answers < out->limits.k) out->limits.n_answers = out->limits.k;
    out->limits.seconds = args_real(args, "max_seconds");
    out->limits.patience = args_real(args, "patience");
    out->limits.n_connections = args_count(args, "max_connections");
    out->say = say_line;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int say_where(const struct nlsh__serve_options *options, const struct nlsh__server *server)
{
    int is_v6 = strchr(options->address, ':') != NULL;
    printf("http://%s%s%s:%u/\n", is_v6 ? "[" : "", options->address, is_v6 ? "]" : "",
           nlsh__server_port(server));
    talk_say("%s is served%s; Ctrl-C ends it", options->path,
             options->writes ? ", and may be changed" : "");
    return finish_stdout();
}

static void wait_for_signal(struct nlsh__server *server)
{
    const struct timespec quarter = {.tv_nsec = 250000000};
    while (!signal_came()) {
        nanosleep(&quarter, NULL); /* a signal ends it */
        nlsh__server_tick(server);
    }
}

int cmd_serve(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh__serve_options options;
    struct nlsh__server *server;
    char token[TOKEN_SIZE];
    read_options(args, &options);
    int code = read_token(args, token, &options.token);
    if (code == 0) code = read_image(args, &options);
    if (code != 0) return code;
    if (nlsh__server_open(&options, &server, &error) != NLSH_OK) return talk_failed(&error);
    code = say_where(&options, server);
    if (code == 0) wait_for_signal(server);
    if (nlsh__server_close(server, &error) != NLSH_OK && code == 0) code = talk_failed(&error);
    if (code == 0) talk_say("ended");
    return code;
}

#else

int cmd_serve(const struct args *args)
{
    (void)args;
    return talk_error(EXIT_UNSUPPORTED,
                      "install libmicrohttpd-dev and build nlsh again (cmake -DNLSH_SERVE=ON)",
                      "this nlsh was built without its server");
}

#endif
