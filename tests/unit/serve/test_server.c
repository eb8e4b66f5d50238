/*
 * test_server.c - the server over real sockets: what it answers beside the library, what it refuses, and clients that
 * are slow, wrong or gone.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "support/built.h"

#include "base/clock.h"
#include "nlsh/learn.h"
#include "serve/serve.h"

enum { DIM = 64, N_BASE = 600, N_BUCKETS = 8 };

static struct nlsh_matrix base;
static char index_path[512];

/* ---- a server, and its clock ----------------------------------------------------------------- */

static struct nlsh__server *server;
static pthread_t ticking;
static atomic_int is_over;

static void *tick_on(void *unused)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    while (!atomic_load(&is_over)) {
        nlsh__server_tick(server);
        nanosleep(&moment, NULL);
    }
    return unused;
}

static void options_init(struct nlsh__serve_options *o)
{
    nlsh__serve_options_init(o);
    o->path = index_path;
    o->port = 0;
    o->limits.k = 50;
    o->limits.n_vectors = 20;
}

static void begin(const struct nlsh__serve_options *o)
{
    struct nlsh_error error = {0};
    if (nlsh__server_open(o, &server, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    atomic_store(&is_over, 0);
    assert_int_equal(pthread_create(&ticking, NULL, tick_on, NULL), 0);
}

static void end(void)
{
    struct nlsh_error error = {0};
    atomic_store(&is_over, 1);
    pthread_join(ticking, NULL);
    assert_int_equal(nlsh__server_close(server, &error), NLSH_OK);
    server = NULL;
}

/* ---- a client -------------------------------------------------------------------------------- */

static int client(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)nlsh__server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* The server may have closed already: what it said is what counts. */
static void send_bytes(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n <= 0) return;
        at += n;
        size -= (size_t)n;
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

/* Until the server closes, or has sent what it said it would. */
static char answer[1 << 20];

static int read_answer(int fd)
{
    size_t n = 0, want = sizeof answer - 1;
    answer[0] = '\0';
    while (n < want) {
        ssize_t got = recv(fd, answer + n, want - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        answer[n] = '\0';
        const char *head_end = strstr(answer, "\r\n\r\n"),
                   *says = strstr(answer, "Content-Length: ");
        if (head_end != NULL && says != NULL && says < head_end) {
            size_t whole = (size_t)(head_end + 4 - answer) + strtoul(says + 16, NULL, 10);
            want = whole < want ? whole : want;
        }
    }
    answer[n] = '\0';
    return n > 12 ? atoi(answer + 9) : 0;
}

static int get(const char *path)
{
    char text[1024];
    int fd = client();
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
             path);
    send_text(fd, text);
    int code = read_answer(fd);
    close(fd);
    return code;
}

/* One request on a connection of its own; returns the code. headers: lines, each ended by CRLF. */
static int post_with(const char *path, const char *headers, const void *body, size_t size)
{
    char text[1024];
    int fd = client();
    snprintf(
        text, sizeof text,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
        path, headers, size);
    send_text(fd, text);
    send_bytes(fd, body, size);
    int code = read_answer(fd);
    close(fd);
    return code;
}

static int post(const char *path, const char *json)
{
    return post_with(path, "Content-Type: application/json\r\n", json, strlen(json));
}

static void has(const char *text)
{
    if (strstr(answer, text) == NULL) fail_msg("no %s in: %.600s", text, answer);
}

/* Row i of the base as JSON. */
static const char *vector_text(size_t i)
{
    static char text[4 * DIM + 3];
    size_t n = 0;
    for (size_t d = 0; d < DIM; d++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%c%d", d == 0 ? '[' : ',',
                              (int)matrix_at(&base, i, d));
    snprintf(text + n, sizeof text - n, "]");
    return text;
}

static const float *vector_floats(size_t i)
{
    static float values[DIM];
    for (size_t d = 0; d < DIM; d++) values[d] = (float)matrix_at(&base, i, d);
    return values;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* "[1,2,3]" of the library's own answer. */
static void library_keys(size_t row, size_t k, double probes, char *out, size_t size)
{
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_search_options o;
    uint64_t keys[64];
    size_t n = 0;
    nlsh_search_options_init(&o, sizeof o);
    o.k = k;
    o.probes = probes;
    assert_int_equal(nlsh_index_open(index_path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_searcher_create(index, &searcher, NULL), NLSH_OK);
    const struct nlsh_matrix query = {vector_floats(row), 1, DIM, NLSH_F32, 0};
    assert_int_equal(nlsh_search(searcher, &query, &o, keys, NULL, NULL, NULL), NLSH_OK);
    for (size_t i = 0; i < k; i++)
        n += (size_t)snprintf(out + n, size - n, "%c%llu", i == 0 ? '[' : ',',
                              (unsigned long long)keys[i]);
    snprintf(out + n, size - n, "]");
    nlsh_searcher_free(searcher);
    nlsh_index_close(index);
}

static void searches_answer_as_the_library_does(void **state)
{
    struct nlsh__serve_options o;
    char keys[512], body[1024];
    (void)state;
    options_init(&o);
    begin(&o);
    for (size_t i = 0; i < 20; i++) {
        library_keys(i * 7, 5, 0, keys, sizeof keys);
        snprintf(body, sizeof body, "{\"vector\":%s,\"k\":5}", vector_text(i * 7));
        assert_int_equal(post("/v1/search", body), 200);
        has(keys);
        assert_int_equal(post_with("/v1/search?k=5", "Content-Type: application/octet-stream\r\n",
                                   vector_floats(i * 7), DIM * sizeof(float)),
                         200);
        has(keys);
        library_keys(i * 7, 5, N_BUCKETS, keys, sizeof keys);
        snprintf(body, sizeof body, "{\"vectors\":[%s],\"k\":5,\"probes\":%d}", vector_text(i * 7),
                 N_BUCKETS);
        assert_int_equal(post("/v1/search", body), 200);
        has(keys);
        has("\"buckets\":[8]");
        has("\"candidates\":[600]");
    }
    assert_int_equal(post("/v1/search", "{\"vectors\":[]}"), 200);
    has("{\"keys\":[],\"distances\":[],\"candidates\":[],\"buckets\":[],");
    end();
}

static void ask_on_one_connection(size_t n_threads)
{
    struct nlsh__serve_options o;
    char text[2048];
    options_init(&o);
    o.n_threads = n_threads;
    begin(&o);
    snprintf(text, sizeof text,
             "POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; "
             "charset=utf-8\r\nContent-Length: %zu\r\n\r\n{\"vector\":%s}",
             strlen(vector_text(3)) + 11, vector_text(3));
    int fd = client();
    for (int i = 0; i < 50; i++) {
        send_text(fd, text);
        assert_int_equal(read_answer(fd), 200);
        has("\"keys\":[[3,");
    }
    /* An error in between, whose body is read, does not end it. */
    send_text(fd, "POST /quux HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345");
    assert_int_equal(read_answer(fd), 404);
    send_text(fd, text);
    assert_int_equal(read_answer(fd), 200);
    close(fd);
    end();
}

static void a_connection_answers_many_requests(void **state)
{
    (void)state;
    ask_on_one_connection(1);
    ask_on_one_connection(3);
}

static size_t count_of(const char *text)
{
    size_t n = 0;
    for (const char *at = answer; (at = strstr(at, text)) != NULL; at++) n++;
    return n;
}

static void an_explanation_says_what_a_search_did(void **state)
{
    struct nlsh__serve_options o;
    char body[1024];
    (void)state;
    options_init(&o);
    begin(&o);
    assert_int_equal(post("/v1/explain", "{\"row\":42,\"k\":3,\"exact\":true}"), 200);
    has("\"neighbors\":[{\"row\":42,\"key\":42,\"distance\":0,\"bucket\":");
    has("\"exact\":[{\"row\":42,");
    has("\"recall\":");
    has("\"microseconds\":{\"route\":");
    has("\"at\":[");
    snprintf(body, sizeof body, "{\"vector\":%s,\"k\":3,\"probes\":8}", vector_text(42));
    assert_int_equal(post("/v1/explain", body), 200);
    has("\"candidates\":600");
    has("\"scanned\":[");
    /* T buckets are the T most probable ones, which are told first. */
    for (size_t t = 1; t <= N_BUCKETS; t++) {
        snprintf(body, sizeof body, "{\"row\":77,\"k\":3,\"probes\":%zu,\"exact\":true}", t);
        assert_int_equal(post("/v1/explain", body), 200);
        assert_int_equal(count_of("\"scanned\":true"), t);
        assert_int_equal(count_of("\"scanned\":false"), N_BUCKETS - t);
        const char *skipped = strstr(answer, "\"scanned\":false");
        for (const char *at = skipped; at != NULL && (at = strstr(at, "\"scanned\":true"));)
            fail_msg("a bucket that is less probable was scanned: %.400s", at);
        assert_int_equal(count_of("\"exact\":true") + count_of("\"exact\":false"), 3);
        assert_int_equal(count_of("\"found\":true"), count_of("\"exact\":true"));
        if (t == N_BUCKETS) has("\"recall\":1,");
    }
    assert_int_equal(post("/v1/explain", "{\"k\":3}"), 400);
    assert_int_equal(post("/v1/explain", "{\"row\":600}"), 400);
    has("there is no row 600");
    snprintf(body, sizeof body, "{\"row\":1,\"vector\":%s}", vector_text(1));
    assert_int_equal(post("/v1/explain", body), 400);
    assert_int_equal(get("/v1/map"), 200);
    has("{\"file\":1,\"buckets\":[[");
    end();
}

static void pictures_are_the_rows_bytes(void **state)
{
    struct nlsh__serve_options o;
    (void)state;
    options_init(&o);
    begin(&o);
    assert_int_equal(get("/v1/images?rows=5,599,5,99999"), 200);
    has("Content-Length: 256");
    const char *bytes = strstr(answer, "\r\n\r\n") + 4;
    const uint8_t *rows = base.data;
    assert_memory_equal(bytes, rows + 5 * DIM, DIM);
    assert_memory_equal(bytes + DIM, rows + 599 * DIM, DIM);
    assert_memory_equal(bytes + 2 * DIM, rows + 5 * DIM, DIM);
    for (size_t d = 0; d < DIM; d++) assert_int_equal(bytes[3 * DIM + d], 0);
    static const char *const wrong[] = {
        "/v1/images",         "/v1/images?rows=",  "/v1/images?rows=1,",
        "/v1/images?rows=-1", "/v1/images?rows=x", "/v1/images?rows=1,,2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(get(wrong[i]), 400);
    end();
    o.is_plain = 1;
    begin(&o);
    assert_int_equal(get("/v1/info"), 200);
    assert_null(strstr(answer, "\"image\""));
    assert_int_equal(get("/v1/images?rows=5"), 404);
    end();
    o.is_plain = 0;
    o.image_width = 16;
    o.image_height = 5;
    struct nlsh_error error = {0};
    assert_int_equal(nlsh__server_open(&o, &server, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "16x5"));
}

static void what_is_wrong_is_an_error_in_json(void **state)
{
    static const struct {
        const char *path, *headers, *body;
        int code;
        const char *says;
    } cases[] = {
        {"/v1/search", "Content-Type: application/json\r\n", "{", 400, "the JSON ends"},
        {"/v1/search", "Content-Type: application/json\r\n", "", 400, "the JSON ends"},
        {"/v1/search", "Content-Type: application/json\r\n", "{}", 400, "nothing to search for"},
        {"/v1/search", "Content-Type: application/json\r\n", "{\"vector\":[1,2]}", 400,
         "fewer values; the index has 64"},
        {"/v1/search", "Content-Type: application/json\r\n", "{\"k\":51}", 400, "from 1 to 50"},
        {"/v1/search", "Content-Type: application/json\r\n", "{\"keys\":[1]}", 400,
         "means nothing"},
        {"/v1/search", "Content-Type: application/octet-stream\r\n", "abc", 400, "3 bytes"},
        {"/v1/search", "Content-Type: text/plain\r\n", "{}", 415, "Content-Type"},
        {"/v1/search", "", "{}", 415, "Content-Type"},
        {"/v1/add", "Content-Type: application/json\r\n", "{\"vectors\":[]}", 400,
         "nothing to add"},
        {"/v1/delete", "Content-Type: application/json\r\n", "{\"keys\":[1]}", 403, "--write"},
        {"/v1/delete", "Content-Type: application/json\r\n", "{}", 400, "nothing to delete"},
        {"/v1/delete", "Content-Type: application/octet-stream\r\n", "abcd", 415, "JSON"},
        {"/v1/info", "Content-Type: application/json\r\n", "{}", 405, "for GET"},
        {"/v1/quux", "Content-Type: application/json\r\n", "{}", 404, "nothing at this path"},
        {"/../../etc/passwd", "Content-Type: application/json\r\n", "{}", 404, "nothing"},
        {"/v1/search", "Content-Type: application/json\r\nOrigin: http://evil.example\r\n", "{}",
         403, "other servers"},
    };
    struct nlsh__serve_options o;
    (void)state;
    options_init(&o);
    begin(&o);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = post_with(cases[i].path, cases[i].headers, cases[i].body, strlen(cases[i].body));
        if (code != cases[i].code)
            fail_msg("case %zu: %d, not %d: %.300s", i, code, cases[i].code, answer);
        has("Content-Type: application/json");
        has("{\"error\":\"");
        has(cases[i].says);
        assert_null(strstr(answer, index_path)); /* where the file is, is nobody's business */
    }
    assert_int_equal(get("/v1/search"), 405);
    has("Allow: POST");
    int fd = client();
    send_text(fd, "GET /v1/info HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_int_equal(read_answer(fd), 403);
    close(fd);
    end();
}

static void limits_are_kept(void **state)
{
    struct nlsh__serve_options o;
    char body[4096];
    size_t n;
    (void)state;
    options_init(&o);
    o.limits.body_bytes = 3000;
    o.limits.n_answers = 40;
    begin(&o);
    memset(body, ' ', sizeof body);
    assert_int_equal(post_with("/v1/search", "Content-Type: application/json\r\n", body, 3001),
                     413);
    has("larger than 3000 bytes");
    assert_int_equal(post_with("/v1/search", "Content-Type: application/json\r\n", body, 3000),
                     400);
    /* The same without a word of its size. */
    int fd = client();
    send_text(fd,
              "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        send_text(fd, "3e8\r\n");
        send_bytes(fd, body, 1000);
        send_text(fd, "\r\n");
    }
    send_text(fd, "0\r\n\r\n");
    assert_int_equal(read_answer(fd), 413);
    close(fd);
    n = (size_t)snprintf(body, sizeof body, "{\"k\":21,\"vectors\":[%s", vector_text(1));
    snprintf(body + n, sizeof body - n, ",%s]}", vector_text(1));
    assert_int_equal(post("/v1/search", body), 400);
    has("more than 40");
    end();
    o.limits.seconds = 0; /* even one vector more is too late */
    begin(&o);
    body[6] = '1';
    body[5] = ' ';
    assert_int_equal(post("/v1/search", body), 503);
    has("took longer than 0 seconds");
    has("Retry-After: 1");
    end();
    o.limits.bodies_bytes = 1000;
    begin(&o);
    assert_int_equal(post("/v1/search", body), 503);
    has("no room");
    assert_int_equal(get("/metrics"), 200);
    has("nlsh_body_bytes 0\n");
    end();
}

/* ---- clients --------------------------------------------------------------------------------- */

static void check_lives(void)
{
    assert_int_equal(post("/v1/explain", "{\"row\":1,\"k\":1}"), 200);
}

static void half_requests_and_garbage_harm_nobody(void **state)
{
    static const char whole[] = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                "application/json\r\nContent-Length: 30\r\n\r\n{\"vector\":[1,2,3";
    struct nlsh__serve_options o;
    struct nlsh__rng rng;
    char bytes[600];
    (void)state;
    options_init(&o);
    begin(&o);
    for (size_t n = 0; n < sizeof whole; n += 3) {
        int fd = client();
        send_bytes(fd, whole, n);
        close(fd);
    }
    check_lives();
    test_rng(&rng, 7);
    for (int i = 0; i < 300 / TEST_STRIDE; i++) {
        int fd = client();
        for (size_t j = 0; j < sizeof bytes; j++) bytes[j] = (char)nlsh__rng_below(&rng, 256);
        if (i % 2) memcpy(bytes, whole, 40 + (size_t)nlsh__rng_below(&rng, 50));
        send_bytes(fd, bytes, 1 + (size_t)nlsh__rng_below(&rng, sizeof bytes));
        if (i % 3 == 0) shutdown(fd, SHUT_WR);
        if (i % 3 == 1) {
            const struct linger hard = {1, 0}; /* a reset */
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        close(fd);
    }
    check_lives();
    static const char *const wrong[] = {
        "GET / HTTP/1.1\r\n\r\n", "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "99999999999999999999999\r\n\r\n",
        "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int fd = client();
        send_text(fd, wrong[i]);
        int code = read_answer(fd);
        if (code != 0 && (code < 400 || code >= 600)) fail_msg("%s: %d", wrong[i], code);
        close(fd);
    }
    check_lives();
    end();
}

static void slow_clients_are_shown_out(void **state)
{
    struct nlsh__serve_options o;
    char byte = 'G';
    (void)state;
    options_init(&o);
    o.limits.patience = .3;
    begin(&o);
    int idle = client(), slow = client();
    double began = nlsh__now();
    const struct timespec moment = {.tv_nsec = 50000000};
    /* A byte now and then, which a timeout of silence would never end. */
    while (nlsh__now() - began < 10) {
        if (send(slow, &byte, 1, MSG_NOSIGNAL) != 1) break;
        char nothing;
        if (recv(slow, &nothing, 1, MSG_DONTWAIT) == 0) break;
        nanosleep(&moment, NULL);
    }
    assert_true(nlsh__now() - began < 5);
    assert_int_equal(recv(idle, &byte, 1, 0), 0);
    check_lives();
    assert_int_equal(get("/metrics"), 200);
    assert_null(strstr(answer, "nlsh_connections_too_slow_total 0\n"));
    close(idle);
    close(slow);
    end();
}

static void idle_connections_hinder_nobody(void **state)
{
    enum { N = 400 };
    struct nlsh__serve_options o;
    static int fds[N];
    (void)state;
    options_init(&o);
    begin(&o);
    for (size_t i = 0; i < N; i++) {
        fds[i] = client();
        if (i % 2) send_text(fds[i], "POST /v1/search HTTP/1.1\r\nHost: loc");
    }
    double began = nlsh__now();
    check_lives();
    assert_true(nlsh__now() - began < 5);
    for (size_t i = 0; i < N; i++) close(fds[i]);
    end();
}

/* ---- tokens and addresses -------------------------------------------------------------------- */

static void a_token_is_asked_for_but_for_the_page(void **state)
{
    struct nlsh__serve_options o;
    static const char with[] = "Content-Type: application/json\r\nAuthorization: Bearer secret\r\n";
    static const char wrong[] = "Content-Type: application/json\r\nAuthorization: Bearer secre\r\n";
    static const char body[] = "{\"row\":1}";
    (void)state;
    options_init(&o);
    o.token = "secret";
    begin(&o);
    assert_int_equal(get("/"), 200);
    has("Content-Security-Policy: default-src 'none'; script-src 'self'");
    assert_int_equal(get("/page.js"), 200);
    assert_int_equal(get("/v1/info"), 401);
    has("WWW-Authenticate: Bearer");
    assert_int_equal(get("/metrics"), 401);
    assert_int_equal(post("/v1/explain", body), 401);
    assert_int_equal(post_with("/v1/explain", wrong, body, sizeof body - 1), 401);
    assert_int_equal(post_with("/v1/explain", with, body, sizeof body - 1), 200);
    end();
}

static void addresses_that_will_not_do_are_refused(void **state)
{
    struct nlsh__serve_options o;
    struct nlsh_error error = {0};
    struct nlsh__server *other;
    (void)state;
    options_init(&o);
    o.address = "0.0.0.0";
    assert_int_equal(nlsh__server_open(&o, &other, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.hint, "--token_file"));
    assert_null(other);
    o.address = "localhost";
    assert_int_equal(nlsh__server_open(&o, &other, &error), NLSH_E_ARG);
    o.address = "127.0.0.1";
    o.path = "/nowhere/x.nlsh";
    assert_int_equal(nlsh__server_open(&o, &other, &error), NLSH_E_NO_INPUT);
    o.path = index_path;
    begin(&o);
    o.port = nlsh__server_port(server);
    assert_int_equal(nlsh__server_open(&o, &other, &error), NLSH_E_BUSY);
    assert_non_null(strstr(error.message, "taken"));
    end();
}

/* ---- changes --------------------------------------------------------------------------------- */

static void what_is_added_is_found_and_what_is_deleted_is_not(void **state)
{
    struct nlsh__serve_options o;
    struct nlsh__server *other;
    struct nlsh_error error = {0};
    char body[2048], ones[4 * DIM];
    size_t n = 0;
    (void)state;
    for (size_t d = 0; d < DIM; d++)
        n += (size_t)snprintf(ones + n, sizeof ones - n, "%s7", d ? "," : "");
    options_init(&o);
    o.writes = 1;
    begin(&o);
    struct nlsh__serve_options second = o;
    assert_int_equal(nlsh__server_open(&second, &other, &error), NLSH_E_BUSY);
    snprintf(body, sizeof body, "{\"vectors\":[[%s]],\"keys\":[\"12345678901234567890\"]}", ones);
    assert_int_equal(post("/v1/add", body), 200);
    has("{\"added\":1,\"first_key\":\"12345678901234567890\",\"vectors\":601}");
    snprintf(body, sizeof body, "{\"vector\":[%s],\"k\":1}", ones);
    assert_int_equal(post("/v1/search", body), 200);
    has("{\"keys\":[[\"12345678901234567890\"]],\"distances\":[[0]]");
    assert_int_equal(post("/v1/delete", "{\"keys\":[\"12345678901234567890\",77777]}"), 200);
    has("{\"keys\":2,\"deleted\":1,\"vectors\":600}");
    assert_int_equal(post("/v1/search", body), 200);
    assert_null(strstr(answer, "\"distances\":[[0]]"));
    snprintf(body, sizeof body, "{\"vectors\":[[%s]],\"keys\":[1,2]}", ones);
    assert_int_equal(post("/v1/add", body), 400);
    has("2 keys for 1 vectors");
    snprintf(body, sizeof body, "{\"vectors\":[[.5%s]]}", ones + 1);
    assert_int_equal(post("/v1/add", body), 400); /* the index stores bytes */
    assert_int_equal(post_with("/v1/add?keys=700", "Content-Type: application/octet-stream\r\n",
                               vector_floats(1), DIM * sizeof(float)),
                     200);
    has("\"first_key\":700");
    assert_int_equal(get("/v1/info"), 200);
    has("\"vectors\":601,");
    has("\"writes\":true");
    end();
    /* It is there for others, too. */
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    assert_int_equal(nlsh_index_open(index_path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.n_rows, 601);
    nlsh_index_close(index);
}

static int waits_for(const char *text)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    for (int i = 0; i < 250; i++) {
        assert_int_equal(get("/v1/info"), 200);
        if (strstr(answer, text) != NULL) return 1;
        nanosleep(&moment, NULL);
    }
    return 0;
}

static void changes_of_others_are_followed(void **state)
{
    struct nlsh__serve_options o;
    struct nlsh_writer *writer;
    uint64_t key = 700; /* of the test before; or nothing */
    size_t n_deleted;
    (void)state;
    options_init(&o);
    begin(&o);
    assert_int_equal(nlsh_writer_open(index_path, NULL, &writer, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_delete(writer, &key, 1, &n_deleted, NULL), NLSH_OK);
    assert_true(waits_for("\"vectors\":600,"));
    key = 3;
    assert_int_equal(nlsh_writer_delete(writer, &key, 1, &n_deleted, NULL), NLSH_OK);
    assert_true(waits_for("\"vectors\":599,"));
    assert_int_equal(post("/v1/explain", "{\"row\":3}"), 400); /* it was deleted */
    assert_int_equal(nlsh_writer_close(writer, NULL), NLSH_OK);
    assert_int_equal(post("/v1/explain", "{\"row\":4}"), 200);
    has("\"file\":1,");
    /* Another file in its place has its own buckets. */
    struct nlsh_compact_options compact;
    nlsh_compact_options_init(&compact, sizeof compact);
    assert_int_equal(nlsh_compact(index_path, &compact, NULL, NULL, NULL), NLSH_OK);
    assert_true(waits_for("\"deleted\":0,"));
    assert_int_equal(post("/v1/explain", "{\"row\":4}"), 200);
    has("\"file\":"); /* 2, or 3: it may have looked before the old log was gone */
    assert_null(strstr(answer, "\"file\":1,"));
    end();
}

/* Readers and a writer at once; ThreadSanitizer looks on. */
static void *search_on(void *failures)
{
    static const char request[] = "POST /v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                  "application/json\r\nContent-Length: 9\r\n\r\n{\"row\":5}";
    char got[65536];
    int fd = client();
    for (int i = 0; i < 60; i++) {
        send_text(fd, request);
        size_t n = 0;
        do {
            ssize_t more = recv(fd, got + n, sizeof got - 1 - n, 0);
            if (more <= 0) break;
            n += (size_t)more;
            got[n] = '\0';
        } while (strstr(got, "\"at\":[") == NULL);
        if (strncmp(got, "HTTP/1.1 200", 12) != 0) atomic_fetch_add((atomic_int *)failures, 1);
    }
    close(fd);
    return NULL;
}

static void searches_go_on_while_vectors_come(void **state)
{
    struct nlsh__serve_options o;
    pthread_t threads[3];
    atomic_int failures = 0;
    (void)state;
    options_init(&o);
    o.writes = 1;
    o.sync = NLSH_SYNC_INTERVAL;
    begin(&o);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_on, &failures), 0);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(post_with("/v1/add", "Content-Type: application/octet-stream\r\n",
                                   vector_floats(i), DIM * sizeof(float)),
                         200);
        char body[64];
        snprintf(body, sizeof body, "{\"keys\":[%zu]}", 100 + i);
        assert_int_equal(post("/v1/delete", body), 200);
    }
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
    end();
}

/* ---- the end --------------------------------------------------------------------------------- */

static void *end_in_between(void *unused)
{
    end();
    return unused;
}

static void requests_under_way_are_answered_before_the_end(void **state)
{
    static const char head[] = "POST /v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: 9\r\n\r\n{\"row\"";
    const struct timespec moment = {.tv_nsec = 300000000};
    struct nlsh__serve_options o;
    pthread_t ending;
    (void)state;
    options_init(&o);
    begin(&o);
    int fd = client();
    send_text(fd, head);
    nanosleep(&moment, NULL);
    assert_int_equal(pthread_create(&ending, NULL, end_in_between, NULL), 0);
    nanosleep(&moment, NULL);
    send_text(fd, ":5}");
    assert_int_equal(read_answer(fd), 200);
    has("Connection: close");
    pthread_join(ending, NULL);
    close(fd);
}

static void an_end_waits_for_nobody_for_long(void **state)
{
    struct nlsh__serve_options o;
    (void)state;
    options_init(&o);
    o.limits.patience = 1;
    begin(&o);
    int idle = client(), half = client();
    send_text(half, "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    "application/json\r\nContent-Length: 100\r\n\r\n{");
    double began = nlsh__now();
    end();
    assert_true(nlsh__now() - began < 5);
    close(idle);
    close(half);
}

/* ---- an index that holds nothing ------------------------------------------------------------- */

static void an_empty_index_is_served(void **state)
{
    struct nlsh__serve_options o;
    static char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", test_path("empty.nlsh"));
    assert_int_equal(nlsh_index_create(path, DIM, NLSH_F32, NLSH_COSINE, NULL), NLSH_OK);
    options_init(&o);
    o.path = path;
    o.writes = 1;
    begin(&o);
    char body[1024];
    snprintf(body, sizeof body, "{\"vector\":%s}", vector_text(0));
    assert_int_equal(post("/v1/search", body), 400);
    assert_int_equal(post("/v1/explain", body), 200);
    has("\"neighbors\":[]");
    assert_int_equal(get("/v1/map"), 200);
    has("\"buckets\":[null]");
    snprintf(body, sizeof body, "{\"vector\":%s,\"keys\":[9]}", vector_text(0));
    assert_int_equal(post("/v1/add", body), 200);
    snprintf(body, sizeof body, "{\"vector\":%s,\"k\":1,\"exact\":true}", vector_text(0));
    assert_int_equal(post("/v1/explain", body), 200);
    has("\"key\":9,");
    assert_int_equal(get("/v1/images?rows=0"), 200);
    end();
}

static int set_up(void **state)
{
    struct nlsh_build_options o;
    (void)state;
    small_options(&o, N_BUCKETS);
    base = matrix_new(KIND_U8, N_BASE, DIM, 12, 12, 1);
    nlsh_index_close(built_index(&base, &o, "served.nlsh"));
    snprintf(index_path, sizeof index_path, "%s", test_path("served.nlsh"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    matrix_free(&base);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_answer_as_the_library_does),
        cmocka_unit_test(a_connection_answers_many_requests),
        cmocka_unit_test(an_explanation_says_what_a_search_did),
        cmocka_unit_test(pictures_are_the_rows_bytes),
        cmocka_unit_test(what_is_wrong_is_an_error_in_json),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(half_requests_and_garbage_harm_nobody),
        cmocka_unit_test(slow_clients_are_shown_out),
        cmocka_unit_test(idle_connections_hinder_nobody),
        cmocka_unit_test(a_token_is_asked_for_but_for_the_page),
        cmocka_unit_test(addresses_that_will_not_do_are_refused),
        cmocka_unit_test(what_is_added_is_found_and_what_is_deleted_is_not),
        cmocka_unit_test(changes_of_others_are_followed),
        cmocka_unit_test(searches_go_on_while_vectors_come),
        cmocka_unit_test(requests_under_way_are_answered_before_the_end),
        cmocka_unit_test(an_end_waits_for_nobody_for_long),
        cmocka_unit_test(an_empty_index_is_served),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
