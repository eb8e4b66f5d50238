/*
 * call.h - a request as those see it who answer it, whatever brought it here, and the answer.
 */
#ifndef NLSH_SERVE_CALL_H
#define NLSH_SERVE_CALL_H

#include <pthread.h>

#include "serve/body.h"
#include "serve/map.h"
#include "serve/metrics.h"
#include "serve/served.h"
#include "serve/text.h"

/* What all requests share. */
struct nlsh__service {
    struct nlsh__served *served;
    struct nlsh__limits limits;
    size_t image_width, image_height; /* of vectors that are pictures; 0: they are none */
    struct nlsh__metrics metrics;
    pthread_mutex_t map_lock;
    struct nlsh__map_2d map; /* of file map_file; 0: there is none yet */
    uint64_t map_file;
};

enum nlsh__media { NLSH__MEDIA_JSON, NLSH__MEDIA_F32 };

struct nlsh__call {
    struct nlsh__service *service;
    enum nlsh__media media;
    char *body; /* [size], and a NUL behind it */
    size_t size;
    nlsh__argument_fn *argument;                        /* of the URL */
    const char *(*argument_name)(void *user, size_t i); /* of the i-th; NULL: there are no more */
    void *user;
    double began; /* nlsh__now() when the body was whole */

    unsigned code;    /* of HTTP */
    const char *type; /* of the content */
    struct nlsh__text text;
    struct nlsh_error
        failure; /* where code is 500 or more: for the server's log, not for clients */
};

/* Answers with an error, as JSON. hint may be NULL. */
void nlsh__call_fail(struct nlsh__call *call, unsigned code, const char *hint, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* The same with a library's error. Of what is wrong with the server and not with the request, a client is told no
 * more than that. */
void nlsh__call_failed(struct nlsh__call *call, const struct nlsh_error *error);

/* Whether the vectors of an index are pictures: one that came later may have others. */
int nlsh__call_has_pictures(const struct nlsh__call *call, const struct nlsh__seat *seat);

/* A seat on the index of now, for nlsh__served_give(); NULL after answering with what is wrong. */
struct nlsh__seat *nlsh__call_seat(struct nlsh__call *call);

/* Reads what the request asks for: of JSON all in the body, else what is not the vectors in the URL, which may say no more
 * than that, each once. 0, or -1 after answering with what is wrong. */
int nlsh__call_question(struct nlsh__call *call, size_t dim, unsigned allows,
                        struct nlsh__question *out);

/* Search options as they were asked for. */
void nlsh__question_options(const struct nlsh__question *asked, struct nlsh_search_options *out);

/* Whether the request has used up its time; then it has been answered with that. */
int nlsh__call_is_late(struct nlsh__call *call);

#endif
