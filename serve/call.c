/* call.c - see call.h. */
#include "serve/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static void answer_error(struct nlsh__call *call, unsigned code, const char *status,
                         const char *message, const char *hint)
{
    call->code = code;
    call->type = "application/json";
    call->text.size = 0;
    nlsh__text_add(&call->text, "{\"error\":", 9);
    nlsh__text_string(&call->text, message);
    if (hint != NULL && hint[0] != '\0') {
        nlsh__text_add(&call->text, ",\"hint\":", 8);
        nlsh__text_string(&call->text, hint);
    }
    if (status != NULL) nlsh__text_print(&call->text, ",\"status\":\"%s\"", status);
    nlsh__text_add(&call->text, "}\n", 2);
}

void nlsh__call_fail(struct nlsh__call *call, unsigned code, const char *hint, const char *format,
                     ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    answer_error(call, code, NULL, message, hint);
}

void nlsh__call_failed(struct nlsh__call *call, const struct nlsh_error *error)
{
    const char *status = nlsh_status_name(error->status);
    switch (error->status) {
    case NLSH_E_ARG:
    case NLSH_E_MISMATCH: answer_error(call, 400, status, error->message, error->hint); return;
    case NLSH_E_UNSUPPORTED: answer_error(call, 403, status, error->message, error->hint); return;
    case NLSH_E_NOMEM:
        answer_error(call, 503, status, "the server is out of memory", "try again later");
        break;
    case NLSH_E_CANT_CREATE:
        answer_error(call, 507, status, "the server could not write", "its log says why");
        break;
    default:
        answer_error(call, 500, status, "the server could not answer", "its log says why");
        break;
    }
    call->failure = *error;
}

struct nlsh__seat *nlsh__call_seat(struct nlsh__call *call)
{
    struct nlsh_error error = {0};
    struct nlsh__seat *seat;
    if (nlsh__served_take(call->service->served, &seat, &error) != NLSH_OK)
        nlsh__call_failed(call, &error);
    return seat;
}

int nlsh__call_has_pictures(const struct nlsh__call *call, const struct nlsh__seat *seat)
{
    const struct nlsh__service *s = call->service;
    return s->image_width > 0 && s->image_width * s->image_height == seat->state->info.dim;
}

/* A word that is misspelt would be passed over in silence. */
static int knows_arguments(struct nlsh__call *call, unsigned allows)
{
    unsigned in_url = call->media == NLSH__MEDIA_JSON ? 0 : allows & ~(unsigned)NLSH__SAYS_VECTORS;
    const char *name;
    for (size_t i = 0; (name = call->argument_name(call->user, i)) != NULL; i++) {
        int is_for_page = (allows & NLSH__SAYS_EXACT) != 0 && strcmp(name, "pictures") == 0;
        const char *what = !is_for_page && !nlsh__body_knows(name, in_url) ? "means nothing"
                           : call->argument(call->user, name) == NULL      ? "has no value"
                                                                           : NULL;
        for (size_t j = 0; j < i && what == NULL; j++)
            if (strcmp(call->argument_name(call->user, j), name) == 0) what = "is said twice";
        if (what == NULL) continue;
        nlsh__call_fail(call, 400,
                        call->media == NLSH__MEDIA_JSON ? "say it in the JSON"
                                                        : "see docs/serve.md for what a URL says",
                        "\"%s\" %s in this request's URL", name, what);
        return 0;
    }
    return 1;
}

int nlsh__call_question(struct nlsh__call *call, size_t dim, unsigned allows,
                        struct nlsh__question *out)
{
    struct nlsh_error error = {0};
    const struct nlsh__limits *limits = &call->service->limits;
    if (!knows_arguments(call, allows)) return -1;
    enum nlsh_status status =
        call->media == NLSH__MEDIA_JSON
            ? nlsh__body_json(call->body, call->size, dim, allows, limits, out, &error)
            : nlsh__body_f32(call->body, call->size, dim, allows, limits, call->argument,
                             call->user, out, &error);
    if (status == NLSH_OK && out->n_vectors * out->k > limits->n_answers) {
        nlsh__call_fail(call, 400, "ask for fewer at a time",
                        "%zu neighbours of %zu vectors are more than %zu", out->k, out->n_vectors,
                        limits->n_answers);
        nlsh__question_free(out);
        return -1;
    }
    if (status != NLSH_OK) nlsh__call_failed(call, &error);
    return status == NLSH_OK ? 0 : -1;
}

void nlsh__question_options(const struct nlsh__question *asked, struct nlsh_search_options *out)
{
    nlsh_search_options_init(out, sizeof *out);
    out->k = asked->k;
    out->recall = asked->recall;
    out->probes = asked->probes;
    out->cautious = asked->cautious;
}

int nlsh__call_is_late(struct nlsh__call *call)
{
    if (nlsh__now() - call->began <= call->service->limits.seconds) return 0;
    nlsh__call_fail(call, 503, "ask for fewer at a time", "the request took longer than %g seconds",
                    call->service->limits.seconds);
    return 1;
}
