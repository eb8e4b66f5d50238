/* ask.c - see ask.h. */
#include "router/ask.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"

enum nlsh_status nlsh__asker_create(const struct nlsh__router *router, struct nlsh__asker *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = nlsh__router_dim(router);
    *out = (struct nlsh__asker){.router = router};
    NLSH_TRY(nlsh__alloc(&out->floats, dim, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&out->bytes, (dim + 3) / 4 * 4, 1, error));
    NLSH_TRY(nlsh__calloc(&out->inputs, nlsh__router_input_size(router), sizeof(float), error));
    NLSH_TRY(
        nlsh__alloc(&out->probabilities, nlsh__router_output_size(router), sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&out->scratch, nlsh__router_scratch_size(router), sizeof(float), error));
out:
    if (status != NLSH_OK) nlsh__asker_free(out);
    return status;
}

void nlsh__asker_free(struct nlsh__asker *asker)
{
    nlsh__free(asker->floats);
    nlsh__free(asker->bytes);
    nlsh__free(asker->inputs);
    nlsh__free(asker->probabilities);
    nlsh__free(asker->scratch);
    *asker = (struct nlsh__asker){0};
}

void nlsh__asker_round(struct nlsh__asker *asker, const float *mean)
{
    asker->mean = nlsh__router_projects_bytes(asker->router) ? mean : NULL;
}

float nlsh__ask_round(struct nlsh__asker *asker, const float *floats, uint8_t *bytes)
{
    size_t dim = nlsh__router_dim(asker->router);
    for (size_t d = 0; d < dim; d++) asker->floats[d] = floats[d] - asker->mean[d];
    return nlsh__kernels()->quantise_u8(asker->floats, dim, NLSH__ROUNDED_ZERO, bytes);
}

const float *nlsh__ask_inputs(struct nlsh__asker *asker, const float *floats, const uint8_t *bytes)
{
    if (bytes != NULL || asker->mean == NULL) {
        nlsh__router_project(asker->router, floats, bytes, asker->inputs);
    } else {
        float scale = nlsh__ask_round(asker, floats, asker->bytes);
        nlsh__router_project_rounded(asker->router, asker->bytes, scale, asker->inputs);
    }
    return asker->inputs;
}

const float *nlsh__ask_probabilities(struct nlsh__asker *asker)
{
    nlsh__router_begin(asker->router, asker->inputs, asker->scratch, &asker->pass);
    nlsh__router_finish(asker->router, &asker->pass, asker->probabilities);
    return asker->probabilities;
}

const float *nlsh__ask_row(struct nlsh__asker *asker, const struct nlsh_matrix *rows, size_t i)
{
    size_t dim = rows->dim;
    if (rows->type == NLSH_U8) {
        /* the last row of a matrix ends with it, and a projection reads multiples of 4 */
        memcpy(asker->bytes, (const uint8_t *)rows->data + i * dim, dim);
        for (size_t d = 0; d < dim && !nlsh__router_projects_bytes(asker->router); d++)
            asker->floats[d] = asker->bytes[d];
        nlsh__ask_inputs(asker, asker->floats, asker->bytes);
    } else {
        nlsh__ask_inputs(asker, (const float *)rows->data + i * dim, NULL);
    }
    return nlsh__ask_probabilities(asker);
}

const float *nlsh__ask_projected(struct nlsh__asker *asker, const float *inputs)
{
    memcpy(asker->inputs, inputs, nlsh__router_n_inputs(asker->router) * sizeof *inputs);
    return nlsh__ask_probabilities(asker);
}
