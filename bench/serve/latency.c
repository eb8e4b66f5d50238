/*
 * latency.c - what HTTP costs a search: bench_serve INDEX QUERIES [SECONDS]
 *
 * A server in a process of its own; one connection that is kept, one query a request. By turns of 200 queries each:
 * the library in this process, requests of raw f32, requests of JSON, and as many bytes to a process that only sends
 * some back, which is what the machine takes for a loopback. What is printed is microseconds a query: the median of all,
 * the 95th percentile, and the difference of the medians from the library's.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common.h"
#include "base/clock.h"
#include "base/matrix.h"
#include "nlsh/learn.h"
#include "serve/serve.h"

enum { TURN = 200, K = 10, MOST = 2000000, N_QUERIES = 1000 };

enum way { LIBRARY, RAW, JSON, ECHO, N_WAYS };
static const char *const names[] = {"library", "HTTP, raw f32", "HTTP, JSON", "bytes alone"};

struct times {
    size_t n;
    float *us; /* [MOST] */
};

/* ---- the server ------------------------------------------------------------------------------ */

/* In a child; returns its port. */
static unsigned start_server(const char *path, pid_t *pid)
{
    int pipes[2];
    unsigned port = 0;
    if (pipe(pipes) != 0 || (*pid = fork()) < 0) abort();
    if (*pid == 0) {
        struct nlsh__serve_options options;
        struct nlsh__server *server;
        struct nlsh_error error = {0};
        nlsh__serve_options_init(&options);
        options.path = path;
        options.port = 0;
        options.memory = NLSH_MEMORY_ALL;
        must(nlsh__server_open(&options, &server, &error), &error);
        port = nlsh__server_port(server);
        if (write(pipes[1], &port, sizeof port) != sizeof port) abort();
        for (;;) pause();
    }
    close(pipes[1]);
    if (read(pipes[0], &port, sizeof port) != sizeof port) exit(1);
    close(pipes[0]);
    return port;
}

static int connect_to(unsigned port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) abort();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* A child that takes requests of so many bytes and answers each with 461, as a search's answer has; the socket. */
static int start_echo(size_t size, pid_t *pid)
{
    static char bytes[1 << 16];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_size = sizeof at;
    int yes = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(listening, 1) != 0 ||
        getsockname(listening, (struct sockaddr *)&at, &at_size) != 0 || (*pid = fork()) < 0)
        abort();
    if (*pid == 0) {
        int fd = accept(listening, NULL, NULL);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        for (;;) {
            if (recv(fd, bytes, size, MSG_WAITALL) != (ssize_t)size) exit(0);
            if (send(fd, bytes, 461, MSG_NOSIGNAL) != 461) exit(0);
        }
    }
    int fd = connect_to(ntohs(at.sin_port));
    close(listening);
    return fd;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Head and body of query i. */
static size_t write_raw(const float *query, size_t dim, char *out)
{
    int n = sprintf(out,
                    "POST /v1/search?k=%d HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    "application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                    K, dim * sizeof *query);
    memcpy(out + n, query, dim * sizeof *query);
    return (size_t)n + dim * sizeof *query;
}

static size_t write_json(const float *query, size_t dim, char *out)
{
    char *body = out + 256, *at = body;
    at += sprintf(at, "{\"k\":%d,\"vector\":", K);
    for (size_t d = 0; d < dim; d++)
        at += sprintf(at, "%c%.9g", d == 0 ? '[' : ',', (double)query[d]);
    at += sprintf(at, "]}");
    size_t size = (size_t)(at - body);
    int n = sprintf(out,
                    "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    "application/json\r\nContent-Length: %zu\r\n\r\n",
                    size);
    memmove(out + n, body, size);
    return (size_t)n + size;
}

static void send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0) abort();
        bytes += n;
        size -= (size_t)n;
    }
}

/* An answer ends with a line end, and has none inside its body. */
static void read_answer(int fd)
{
    static char answer[65536];
    size_t n = 0;
    do {
        ssize_t got = recv(fd, answer + n, sizeof answer - n, 0);
        if (got <= 0) abort();
        n += (size_t)got;
    } while (n < 2 || answer[n - 1] != '\n' || answer[n - 2] != '}');
    if (memcmp(answer, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "%.*s\n", (int)n, answer);
        exit(1);
    }
}

/* ---- turns ----------------------------------------------------------------------------------- */

struct bench {
    int fd, echo;
    struct nlsh_searcher *searcher;
    const float *queries;
    size_t n, dim, next;
    char *requests
        [2][N_QUERIES]; /* raw, JSON: written before, so that nothing stands between two of them */
    size_t sizes[2][N_QUERIES];
    struct times times[N_WAYS];
};

static void once(struct bench *b, enum way way, size_t i)
{
    const float *query = b->queries + i * b->dim;
    struct nlsh_error error = {0};
    struct nlsh_search_options options;
    uint64_t keys[K];
    float distances[K];
    const struct nlsh_matrix one = {query, 1, b->dim, NLSH_F32, 0};
    int is_json = way == JSON;
    nlsh_search_options_init(&options, sizeof options);
    options.k = K;
    double began = nlsh__now();
    if (way == ECHO) {
        static char answer[461];
        send_all(b->echo, b->requests[0][0], b->sizes[0][0]);
        if (recv(b->echo, answer, sizeof answer, MSG_WAITALL) != sizeof answer) abort();
    } else if (way == LIBRARY) {
        must(nlsh_search(b->searcher, &one, &options, keys, distances, NULL, &error), &error);
    } else {
        send_all(b->fd, b->requests[is_json][i], b->sizes[is_json][i]);
        read_answer(b->fd);
    }
    struct times *t = &b->times[way];
    if (t->n < MOST) t->us[t->n++] = (float)((nlsh__now() - began) * 1e6);
}

static void write_requests(struct bench *b)
{
    for (size_t i = 0; i < b->n; i++)
        for (int way = 0; way < 2; way++) {
            char *out = b->requests[way][i] = room(512 + 20 * b->dim, 1);
            const float *query = b->queries + i * b->dim;
            b->sizes[way][i] =
                way == 0 ? write_raw(query, b->dim, out) : write_json(query, b->dim, out);
        }
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct times *t, double share)
{
    return (double)t->us[(size_t)(share * (double)(t->n - 1))];
}

static void print(struct bench *b)
{
    printf("%-14s %9s %9s %9s %9s\n", "us a query", "median", "p95", "over", "queries");
    for (int way = 0; way < N_WAYS; way++) {
        struct times *t = &b->times[way];
        qsort(t->us, t->n, sizeof *t->us, ascending);
        printf("%-14s %9.1f %9.1f %9.1f %9zu\n", names[way], percentile(t, .5), percentile(t, .95),
               percentile(t, .5) - percentile(&b->times[LIBRARY], .5), t->n);
    }
}

int main(int argc, char **argv)
{
    struct nlsh_error error = {0};
    struct nlsh_vectors *vectors;
    struct nlsh_index *index;
    struct nlsh_open_options open;
    static struct bench b;
    pid_t pid, echo_pid;
    if (argc < 3) {
        fprintf(stderr, "bench_serve INDEX QUERIES [SECONDS]\n");
        return 2;
    }
    unsigned port = start_server(argv[1], &pid);
    must(nlsh_vectors_read(argv[2], NLSH_FORMAT_AUTO, &vectors, &error), &error);
    const struct nlsh_matrix *m = nlsh_vectors_matrix(vectors);
    float *queries = room(m->n_rows * m->dim, sizeof *queries);
    for (size_t i = 0; i < m->n_rows; i++)
        nlsh__row_to_f32(nlsh__row(m, i), m->type, m->dim, queries + i * m->dim);
    nlsh_open_options_init(&open, sizeof open);
    open.memory = NLSH_MEMORY_ALL;
    must(nlsh_index_open(argv[1], &open, &index, &error), &error);
    must(nlsh_searcher_create(index, &b.searcher, &error), &error);
    b.queries = queries;
    b.n = m->n_rows < N_QUERIES ? m->n_rows : N_QUERIES;
    b.dim = m->dim;
    write_requests(&b);
    for (int way = 0; way < N_WAYS; way++) b.times[way].us = room(MOST, sizeof(float));
    b.fd = connect_to(port);
    b.echo = start_echo(b.sizes[0][0], &echo_pid);
    double end = nlsh__now() + (argc > 3 ? atof(argv[3]) : 10);
    for (int turn = 0; nlsh__now() < end || turn < 3; turn++)
        for (int i = 0; i < TURN; i++) once(&b, (enum way)(turn % N_WAYS), b.next++ % b.n);
    print(&b);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(b.echo);
    waitpid(echo_pid, NULL, 0);
    return 0;
}
