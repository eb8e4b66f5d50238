/* serve.h - `nlsh serve`: an index over HTTP. docs/serve.md */
#ifndef NLSH_SERVE_SERVE_H
#define NLSH_SERVE_SERVE_H

#include "nlsh/nlsh.h"
#include "serve/limits.h"

struct nlsh__serve_options {
    const char *path;    /* of the index */
    const char *address; /* as numbers: "127.0.0.1", "::1" */
    unsigned port;       /* 0: one that is free */
    int writes;          /* 1: POST /v1/add and /v1/delete are answered; nobody else may write */
    enum nlsh_sync sync; /* of those */
    enum nlsh_memory memory;
    const char *token; /* that all must show who ask for more than the page; or NULL */
    /* Of vectors that are pictures; 0: squares where dim is one. */
    size_t image_width, image_height;
    int is_plain; /* 1: they are no pictures, whatever dim is */
    size_t n_threads;
    struct nlsh__limits limits;
    /* A line for the server's log, from any thread. */
    void (*say)(void *user, const char *line);
    void *user;
};

void nlsh__serve_options_init(struct nlsh__serve_options *options);

struct nlsh__server;

/*
 * nlsh__server_open() - opens the index and begins to answer.
 *
 * NLSH_E_ARG (an address that is none; one that is not of this machine's loopback, without a token; a picture's size
 * that is not the dimension), NLSH_E_BUSY (the port is taken, or somebody else writes the index), NLSH_E_UNSUPPORTED
 * (the server's threads cannot be started), and nlsh_index_open()'s. What options point to must outlive the server.
 */
enum nlsh_status nlsh__server_open(const struct nlsh__serve_options *options,
                                   struct nlsh__server **out, struct nlsh_error *error);
unsigned nlsh__server_port(const struct nlsh__server *server);

/* What is to be done now and then, four times a second, from one thread: to close connections that are too slow, and
 * to look whether others have changed the index. */
void nlsh__server_tick(struct nlsh__server *server);

/* No connections are accepted any more; requests under way are answered, but not beyond the clients' patience; what
 * was put is made durable. The server is freed in any case. Accepts NULL. */
enum nlsh_status nlsh__server_close(struct nlsh__server *server, struct nlsh_error *error);

#endif
