/*
 * server.c - see serve.h. libmicrohttpd reads and writes HTTP, in a few threads with an epoll each; this file knows
 * it, and nobody else does. A request is: its head, which may be refused at once; its body, in pieces; its answer.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/guard.h"
#include "serve/listen.h"
#include "serve/map.h"
#include "serve/routes.h"
#include "serve/serve.h"
#include "serve/visitors.h"

/* Bytes a connection has for a request's head and an answer's. Up to 32 kB the HTTP library takes them from malloc(), where
 * a thousand connections that come and go leave holes: after six minutes of bench/serve/load.sh the process had grown by
 * 17 %. More are mapped, and gone with the connection. */
enum { CONNECTION_BYTES = 36864 };

struct nlsh__server {
    struct nlsh__serve_options options;
    struct nlsh__service service;
    struct nlsh__visitors visitors;
    struct MHD_Daemon *daemon;
    unsigned port;
    int is_loopback;
    _Atomic int is_ending;
    _Atomic size_t n_under_way; /* requests */
    int refresh_failed;         /* the last look at the index */
};

/* A request under way. */
struct exchange {
    struct nlsh__visitor *visitor;
    const struct nlsh__route *route; /* NULL: it is answered with an error already */
    unsigned route_number;
    const char *allow; /* the method of a path that has only this one; or NULL */
    size_t capacity;   /* of call.body */
    int is_too_large, is_short;
    int must_close; /* nobody knows where the next request begins */
    struct nlsh__call call;
};

void nlsh__serve_options_init(struct nlsh__serve_options *options)
{
    *options = (struct nlsh__serve_options){.address = "127.0.0.1",
                                            .port = 8080,
                                            .n_threads = 2,
                                            .limits = {.body_bytes = 16 << 20,
                                                       .bodies_bytes = 256 << 20,
                                                       .k = 1000,
                                                       .n_vectors = 1000,
                                                       .n_answers = 100000,
                                                       .seconds = 5,
                                                       .patience = 30,
                                                       .n_connections = 4096}};
}

static void say(const struct nlsh__server *server, const char *line)
{
    if (server->options.say != NULL) server->options.say(server->options.user, line);
}

static void say_error(const struct nlsh__server *server, const char *where,
                      const struct nlsh_error *error)
{
    char line[1024];
    snprintf(line, sizeof line, "%s: %s", where, error->message);
    say(server, line);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The page may load what this server has, and nothing else; no other page may hold it in a frame. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void add_headers(struct MHD_Response *response, const struct nlsh__server *server,
                        const struct exchange *x)
{
    MHD_add_response_header(response, "Content-Type", x->call.type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    if (strncmp(x->call.type, "text/html", 9) == 0) {
        MHD_add_response_header(response, "Content-Security-Policy", policy);
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    }
    if (x->call.code == 401) MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (x->call.code == 503) MHD_add_response_header(response, "Retry-After", "1");
    if (x->must_close || atomic_load(&server->is_ending))
        MHD_add_response_header(response, "Connection", "close");
}

/* Where memory for an answer ran out half-way. */
static struct MHD_Response *no_memory(struct exchange *x)
{
    static char text[] =
        "{\"error\":\"the server is out of memory\",\"hint\":\"try again later\"}\n";
    x->call.code = 503;
    x->call.type = "application/json";
    return MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_answer(struct nlsh__server *server, struct MHD_Connection *connection,
                                   struct exchange *x)
{
    struct nlsh__text *text = &x->call.text;
    struct MHD_Response *response =
        text->is_short ? no_memory(x)
                       : MHD_create_response_from_buffer_with_free_callback(text->size, text->bytes,
                                                                            nlsh__free);
    if (response == NULL) return MHD_NO;
    if (!text->is_short) text->bytes = NULL; /* the response's now */
    add_headers(response, server, x);
    if (x->allow != NULL) MHD_add_response_header(response, "Allow", x->allow);
    nlsh__metrics_request(&server->service.metrics, x->route_number, x->call.code);
    if (x->call.failure.status != NLSH_OK) say_error(server, "request", &x->call.failure);
    nlsh__visitor_waited_for(x->visitor); /* to take it */
    enum MHD_Result result = MHD_queue_response(connection, x->call.code, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- heads ----------------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static const char *argument(void *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

struct name_search {
    size_t i;
    const char *name;
};

static enum MHD_Result on_argument(void *user, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct name_search *search = user;
    (void)kind;
    (void)value;
    search->name = name;
    return search->i-- > 0 ? MHD_YES : MHD_NO; /* NO: enough */
}

static const char *argument_name(void *connection, size_t i)
{
    struct name_search search = {.i = i};
    int n = MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_argument, &search);
    return n > 0 && (size_t)n > i ? search.name : NULL;
}

/* Two servers that read one head in two ways, a proxy and this one, can be made to disagree where a request ends (RFC 9112,
 * section 11.2), or for whom it is. So what may stand once stands once, a name is a token, and there is one way to say how
 * long a body is. */
struct head {
    unsigned n_hosts, n_lengths, n_codings, n_types, n_tokens, n_origins;
    int has_bad_name, has_other_coding;
};

static int is_token(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] == 0x7f || strchr("\"(),/:;<=>?@[\\]{}", name[i]) != NULL)
            return 0;
    return n > 0;
}

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct head *head = user;
    (void)kind;
    head->n_hosts += strcasecmp(name, "Host") == 0;
    head->n_lengths += strcasecmp(name, "Content-Length") == 0;
    head->n_types += strcasecmp(name, "Content-Type") == 0;
    head->n_tokens += strcasecmp(name, "Authorization") == 0;
    head->n_origins += strcasecmp(name, "Origin") == 0;
    head->has_bad_name |= !is_token(name, strlen(name));
    if (strcasecmp(name, "Transfer-Encoding") != 0) return MHD_YES;
    head->n_codings++;
    head->has_other_coding |= value == NULL || strcasecmp(value, "chunked") != 0;
    return MHD_YES;
}

static int is_clear(struct MHD_Connection *connection, struct nlsh__call *call)
{
    struct head h = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, &h);
    if (h.has_other_coding)
        nlsh__call_fail(call, 501, "send the body as it is, or chunked",
                        "this server knows no other Transfer-Encoding than chunked");
    else if (h.has_bad_name)
        nlsh__call_fail(call, 400, "write NAME: VALUE, with nothing before the colon",
                        "a header has a name that HTTP does not allow");
    else if (h.n_hosts > 1 || h.n_types > 1 || h.n_tokens > 1 || h.n_origins > 1)
        nlsh__call_fail(call, 400, "say it once",
                        "Host, Content-Type, Authorization or Origin is said twice");
    else if (h.n_lengths + h.n_codings > 1)
        nlsh__call_fail(call, 400, "give one Content-Length, or one Transfer-Encoding",
                        "it is not clear how long the request is");
    else
        return 1;
    return 0;
}

/* A NUL would hide what comes behind it: it becomes a character that no path and no argument has. */
static size_t unescape(void *user, struct MHD_Connection *connection, char *text)
{
    (void)user;
    (void)connection;
    size_t n = MHD_http_unescape(text);
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\0') text[i] = 1;
    return n;
}

/* Any page that a browser on this machine shows could ask: it must be ours. A token is something that it does not have,
 * and a proxy may have given us another name. */
static int is_own(const struct nlsh__server *server, struct MHD_Connection *connection,
                  struct nlsh__call *call)
{
    const char *host = header(connection, "Host");
    if (server->is_loopback && server->options.token == NULL && host != NULL &&
        !nlsh__guard_is_loopback(host)) {
        nlsh__call_fail(call, 403, "ask for localhost or 127.0.0.1",
                        "this server answers to the names of the loopback only");
        return 0;
    }
    if (!nlsh__guard_is_own(header(connection, "Origin"), host)) {
        nlsh__call_fail(call, 403, NULL, "pages of other servers may not ask");
        return 0;
    }
    return 1;
}

static int has_token(const struct nlsh__server *server, struct MHD_Connection *connection,
                     const struct nlsh__route *route, struct nlsh__call *call)
{
    const char *token = server->options.token;
    if (token == NULL || route->is_open ||
        nlsh__guard_token(header(connection, "Authorization"), token))
        return 1;
    nlsh__call_fail(call, 401, "send the header Authorization: Bearer TOKEN",
                    "this server asks for a token");
    return 0;
}

/* 0 where the content is of neither kind. */
static int read_media(struct MHD_Connection *connection, struct nlsh__call *call)
{
    static const char json[] = "application/json", raw[] = "application/octet-stream";
    const char *type = header(connection, "Content-Type");
    size_t n = type != NULL ? strcspn(type, "; ") : 0;
    if (n == sizeof json - 1 && memcmp(type, json, n) == 0)
        call->media = NLSH__MEDIA_JSON;
    else if (n == sizeof raw - 1 && memcmp(type, raw, n) == 0)
        call->media = NLSH__MEDIA_F32;
    else {
        nlsh__call_fail(call, 415, "send application/json, or f32 as application/octet-stream",
                        "the request's Content-Type is neither");
        return 0;
    }
    return 1;
}

static int says_too_large(const struct nlsh__server *server, struct MHD_Connection *connection)
{
    const char *text = header(connection, "Content-Length");
    size_t n = 0;
    for (; text != NULL && *text >= '0' && *text <= '9'; text++) {
        n = n * 10 + (size_t)(*text - '0');
        if (n > server->options.limits.body_bytes) return 1;
    }
    return 0;
}

static void too_large(const struct nlsh__server *server, struct exchange *x)
{
    nlsh__call_fail(&x->call, 413, "send fewer vectors at a time",
                    "the request is larger than %zu bytes", server->options.limits.body_bytes);
    x->route = NULL;
}

/* Refuses what a head alone shows to be wrong: x->route is NULL then. */
static void judge_head(struct nlsh__server *server, struct MHD_Connection *connection,
                       const char *method, const char *path, struct exchange *x)
{
    struct nlsh__call *call = &x->call;
    const struct nlsh__route *route = nlsh__route_of(method, path, &x->route_number, &x->allow);
    if (!is_clear(connection, call)) {
        x->allow = NULL;
        x->must_close = 1;
    } else if (x->allow != NULL)
        nlsh__call_fail(call, 405, NULL, "this path is for %s", x->allow);
    else if (route == NULL)
        nlsh__call_fail(call, 404, "see docs/serve.md for what there is",
                        "there is nothing at this path");
    else if (is_own(server, connection, call) && has_token(server, connection, route, call) &&
             (route->method[0] == 'G' || read_media(connection, call)))
        x->route = route;
}

static enum MHD_Result begin(struct nlsh__server *server, struct MHD_Connection *connection,
                             const char *method, const char *path, void **context)
{
    struct exchange *x;
    if (nlsh__calloc(&x, 1, sizeof *x, NULL) != NLSH_OK) return MHD_NO;
    *context = x;
    atomic_fetch_add(&server->n_under_way, 1);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    x->visitor = info != NULL ? info->socket_context : NULL;
    nlsh__visitor_waited_for(x->visitor); /* for the body */
    x->call.service = &server->service;
    x->call.argument = argument;
    x->call.argument_name = argument_name;
    x->call.user = connection;
    judge_head(server, connection, method, path, x);
    if (x->must_close) return send_answer(server, connection, x);
    if (x->route != NULL && says_too_large(server, connection)) too_large(server, x);
    /* Most clients send all before they listen: the body is let pass first. Others ask whether to send. */
    if (x->route == NULL && header(connection, "Expect") != NULL)
        return send_answer(server, connection, x);
    return MHD_YES;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Bytes that all bodies together may still take; 0 where they are taken. */
static int take_bytes(struct nlsh__server *server, size_t n)
{
    _Atomic uint64_t *held = &server->service.metrics.bodies_bytes;
    if (atomic_fetch_add(held, n) + n <= server->options.limits.bodies_bytes) return 1;
    atomic_fetch_sub(held, n);
    return 0;
}

static int grow_body(struct nlsh__server *server, struct exchange *x, size_t size)
{
    char *more;
    size_t capacity = x->capacity < 4096 ? 4096 : x->capacity;
    while (capacity < size) capacity *= 2;
    if (!take_bytes(server, capacity)) return 0;
    if (nlsh__alloc(&more, capacity, 1, NULL) != NLSH_OK) {
        atomic_fetch_sub(&server->service.metrics.bodies_bytes, capacity);
        return 0;
    }
    if (x->call.size > 0) memcpy(more, x->call.body, x->call.size);
    nlsh__free(x->call.body);
    atomic_fetch_sub(&server->service.metrics.bodies_bytes, x->capacity);
    x->call.body = more;
    x->capacity = capacity;
    return 1;
}

static void drop_body(struct nlsh__server *server, struct exchange *x)
{
    atomic_fetch_sub(&server->service.metrics.bodies_bytes, x->capacity);
    nlsh__free(x->call.body);
    x->call.body = NULL;
    x->call.size = x->capacity = 0;
}

/* A piece more, and room for a NUL. Of a request that is refused anyway nothing is kept: others may need the room. */
static void take_piece(struct nlsh__server *server, struct exchange *x, const char *bytes,
                       size_t size)
{
    if (x->route == NULL || x->is_too_large || x->is_short) return;
    if (size > server->options.limits.body_bytes - x->call.size) {
        x->is_too_large = 1;
        drop_body(server, x);
        return;
    }
    if (x->call.size + size + 1 > x->capacity && !grow_body(server, x, x->call.size + size + 1)) {
        x->is_short = 1;
        drop_body(server, x);
        return;
    }
    memcpy(x->call.body + x->call.size, bytes, size);
    x->call.size += size;
}

/* ---- the library's calls --------------------------------------------------------------------- */

static void answer(struct nlsh__server *server, struct exchange *x)
{
    static char nothing[] = "";
    if (x->route != NULL && x->is_too_large) too_large(server, x);
    if (x->route != NULL && x->is_short) {
        nlsh__call_fail(&x->call, 503, "try again later", "the server has no room for the request");
        x->route = NULL;
    }
    if (x->route == NULL) return;
    if (x->call.body != NULL)
        x->call.body[x->call.size] = '\0';
    else
        x->call.body = nothing;
    x->call.code = 200;
    x->call.type = "application/json";
    x->call.began = nlsh__now();
    x->route->answer(&x->call);
    if (x->call.body == nothing) x->call.body = NULL;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *n_bytes, void **context)
{
    struct nlsh__server *server = user;
    struct exchange *x = *context;
    (void)version;
    if (x == NULL) return begin(server, connection, method, url, context);
    if (*n_bytes > 0) {
        take_piece(server, x, bytes, *n_bytes);
        *n_bytes = 0;
        return MHD_YES;
    }
    nlsh__visitor_served(x->visitor); /* now it waits for us */
    answer(server, x);
    return send_answer(server, connection, x);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct nlsh__server *server = user;
    struct exchange *x = *context;
    (void)connection;
    (void)code;
    if (x == NULL) return;
    drop_body(server, x);
    nlsh__text_free(&x->call.text);
    nlsh__visitor_waited_for(x->visitor); /* for the next one */
    nlsh__free(x);
    *context = NULL;
    atomic_fetch_sub(&server->n_under_way, 1);
}

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct nlsh__server *server = user;
    _Atomic uint64_t *n = &server->service.metrics.connections;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info != NULL ? nlsh__visitor_come(&server->visitors, info->connect_fd) : NULL;
        atomic_fetch_add(n, 1);
    } else {
        nlsh__visitor_go(&server->visitors, *context);
        *context = NULL;
        atomic_fetch_sub(n, 1);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static size_t square_root(size_t n)
{
    size_t root = 0;
    while (root * root < n) root++;
    return root * root == n ? root : 0;
}

/* What a vector's picture is: as the caller says, or a square of 64 values at least, none of them below 0. */
static enum nlsh_status set_image(struct nlsh__server *server, struct nlsh_error *error)
{
    struct nlsh__seat *seat;
    size_t w = server->options.image_width, h = server->options.image_height;
    enum nlsh_status status = nlsh__served_take(server->service.served, &seat, error);
    if (status != NLSH_OK) return status;
    size_t dim = seat->state->info.dim;
    if (w == 0 && !server->options.is_plain && dim >= 64 &&
        nlsh__may_be_pictures(seat->state->index))
        w = h = square_root(dim);
    nlsh__served_give(server->service.served, seat);
    if (server->options.is_plain) return NLSH_OK;
    if (w != 0 && (w > dim || h > dim || w * h != dim))
        return nlsh__fail(error, NLSH_E_ARG, "give WIDTHxHEIGHT, such as 28x28",
                          "--image %zux%zu is not of vectors of %zu values", w, h, dim);
    server->service.image_width = w;
    server->service.image_height = h;
    return NLSH_OK;
}

static enum nlsh_status check_open(const struct nlsh__server *server, struct nlsh_error *error)
{
    if (server->is_loopback || server->options.token != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "give a token: --token_file FILE",
                      "at %s others could ask as well", server->options.address);
}

static enum nlsh_status start(struct nlsh__server *server, int fd, struct nlsh_error *error)
{
    const struct nlsh__serve_options *o = &server->options;
    size_t n = nlsh__allow_connections(o->limits.n_connections);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_TURBO, 0, NULL, NULL, on_request,
        server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT, (unsigned)n,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
        o->n_threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (unsigned)o->n_threads,
        MHD_OPTION_END);
    if (server->daemon != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_UNSUPPORTED, "ask for fewer with --threads",
                      "the server's %zu threads cannot be started", o->n_threads);
}

enum nlsh_status nlsh__server_open(const struct nlsh__serve_options *options,
                                   struct nlsh__server **out, struct nlsh_error *error)
{
    struct nlsh__server *server;
    int fd = -1;
    *out = NULL;
    enum nlsh_status status = nlsh__calloc(&server, 1, sizeof *server, error);
    if (status != NLSH_OK) return status;
    server->options = *options;
    server->port = options->port;
    server->service.limits = options->limits;
    pthread_mutex_init(&server->service.map_lock, NULL);
    nlsh__visitors_init(&server->visitors);
    NLSH_TRY(nlsh__listen(options->address, &server->port, &server->is_loopback, &fd, error));
    NLSH_TRY(check_open(server, error));
    NLSH_TRY(nlsh__served_open(options->path, options->memory, options->writes, options->sync,
                               &server->service.served, error));
    NLSH_TRY(set_image(server, error));
    NLSH_TRY(start(server, fd, error));
    *out = server;
    return NLSH_OK;
out:
    if (fd >= 0) close(fd);
    (void)nlsh__server_close(server, NULL);
    return status;
}

unsigned nlsh__server_port(const struct nlsh__server *server)
{
    return server->port;
}

void nlsh__server_tick(struct nlsh__server *server)
{
    struct nlsh_error error = {0};
    size_t n = nlsh__visitors_shut(&server->visitors, server->options.limits.patience);
    nlsh__count(&server->service.metrics.too_slow, n);
    int failed = nlsh__served_refresh(server->service.served, &error) != NLSH_OK;
    if (failed && !server->refresh_failed)
        say_error(server, "the index as it was is served", &error);
    server->refresh_failed = failed;
}

/* The daemon's threads end when the requests are answered, or when clients have had their time: no more than this,
 * since who ends a service (systemd, docker) kills what is there after ten seconds. */
static const double ending_seconds = 5;

static void end_requests(struct nlsh__server *server)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    double patience = server->options.limits.patience;
    double last = nlsh__now() + (patience < ending_seconds ? patience : ending_seconds);
    atomic_store(&server->is_ending, 1);
    int fd = MHD_quiesce_daemon(server->daemon);
    if (fd >= 0) close(fd);
    while (atomic_load(&server->n_under_way) > 0 && nlsh__now() < last) nanosleep(&moment, NULL);
    MHD_stop_daemon(server->daemon);
}

enum nlsh_status nlsh__server_close(struct nlsh__server *server, struct nlsh_error *error)
{
    if (server == NULL) return NLSH_OK;
    if (server->daemon != NULL) end_requests(server);
    enum nlsh_status status = nlsh__served_close(server->service.served, error);
    nlsh__map_free(&server->service.map);
    pthread_mutex_destroy(&server->service.map_lock);
    nlsh__visitors_free(&server->visitors);
    nlsh__free(server);
    return status;
}
