/*
 * router.h - the network that tells the bucket from the vector, as it serves: a blob of bytes with
 * a checked header (docs/index-format.md), and its forward pass.
 *
 * Where buckets are many they stand in groups, and the network answers twice: with a probability for
 * each group, and with logits of the buckets. The former says cheaply which of the latter can matter
 * (after Goodman, "Classes for fast maximum entropy training", 2001, but with one softmax over all
 * buckets that are computed: a prototype with two levels of softmax needed 7 % more candidates).
 */
#ifndef NLSH_ROUTER_ROUTER_H
#define NLSH_ROUTER_ROUTER_H

#include "nlsh/nlsh.h"

#define NLSH__ROUTER_MAGIC "NLSHRT01"
#define NLSH__ROUTER_MAX_LAYERS 9

/* The blob's first 128 bytes; little-endian. Behind it, each padded with zeros to 64 bytes:
 *   projected 1: W [ceil(sizes[0] / 16)][dim][16] f32, bias [16 x ceil(sizes[0] / 16)] f32, and
 *     the same W for byte vectors as a layer below has it: values i8, scale f32, sums i32
 *   projected 0: mean [dim] f32; the network then sees (x - mean) x scale, sizes[0] = dim
 *   each layer l, g = ceil(sizes[l + 1] / 16) groups, c = ceil(sizes[l] / 4) chunks:
 *     W [g][c][16 rows][4] i8, scale [16 g] f32, bias [16 g] f32, sums [16 g] i32 of W's rows
 * A network's last size is the number of buckets m. Without groups that is what its last layer
 * answers with. With groups a table u32 [n_groups + 1] of their first buckets stands behind all
 * layers, and the last layer's rows are the groups', then each group's buckets, each of these parts
 * filled up to a multiple of 16 rows. */
struct nlsh__router_header {
    char magic[8];
    uint64_t size_bytes; /* of the blob */
    uint32_t dim;
    uint32_t projected; /* 0 or 1 */
    uint32_t n_layers;  /* matrices, 1 to NLSH__ROUTER_MAX_LAYERS */
    float scale;
    uint32_t sizes[NLSH__ROUTER_MAX_LAYERS + 1];
    uint32_t n_groups;    /* of buckets; 0: one, and no group's outputs in the last layer */
    uint32_t n_outputs;   /* rows of the last layer where n_groups is not 0, a multiple of 16 */
    uint8_t reserved[48]; /* written as 0, ignored when read */
};

/* Which buckets a group holds: first[g] to first[g + 1] - 1, none empty. */
struct nlsh__groups {
    size_t n;        /* 0: no groups */
    uint32_t *first; /* [n + 1] */
};

/* Where the arrays stand, in bytes from the blob's start. */
struct nlsh__router_layout {
    size_t projection, projection_bias; /* projection_bias: the mean where projected is 0 */
    size_t projection_i8, projection_scales, projection_sums;
    size_t weights[NLSH__ROUTER_MAX_LAYERS], scales[NLSH__ROUTER_MAX_LAYERS];
    size_t biases[NLSH__ROUTER_MAX_LAYERS], sums[NLSH__ROUTER_MAX_LAYERS];
    size_t groups;
    size_t size;
    size_t n_weights; /* the projection's included */
};

/* From the header's sizes alone; -1 where they overflow. */
int nlsh__router_layout(const struct nlsh__router_header *header, struct nlsh__router_layout *out);

struct nlsh__router;

/* Checks a blob (its sizes against its length, dim and n_buckets) and makes a view of it; the
 * bytes are borrowed and must be aligned to 64. NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__router_open(const void *bytes, size_t size, size_t dim, size_t n_buckets,
                                   struct nlsh__router **out, struct nlsh_error *error);
void nlsh__router_close(struct nlsh__router *router);
size_t nlsh__router_n_weights(const struct nlsh__router *router);
size_t nlsh__router_n_buckets(const struct nlsh__router *router);

/* Of the vectors that it is asked about. */
size_t nlsh__router_dim(const struct nlsh__router *router);

/* What the network sees of a vector: sizes[0]. */
size_t nlsh__router_n_inputs(const struct nlsh__router *router);

/* Floats that the calls below need: scratch, inputs and probabilities, padded to a group. */
size_t nlsh__router_scratch_size(const struct nlsh__router *router);
size_t nlsh__router_input_size(const struct nlsh__router *router);
size_t nlsh__router_output_size(const struct nlsh__router *router);

/* query [dim] f32 to what the network sees of it. bytes: the same query as u8, padded to a multiple
 * of 4, or NULL; it is then projected in int8. All buffers are aligned to 64. */
void nlsh__router_project(const struct nlsh__router *router, const float *query,
                          const uint8_t *bytes, float *inputs);

/* The same of floats less the projection's mean, rounded to bytes [dim, padded to 4] by quantise_u8() with this zero, which
 * says their scale: a quarter of the bytes to read, and nearly the same inputs. Every table gives the same bits. Only where
 * nlsh__router_projects_bytes(). */
#define NLSH__ROUNDED_ZERO 128
void nlsh__router_project_rounded(const struct nlsh__router *router, const uint8_t *bytes,
                                  float scale, float *inputs);

/* inputs to probabilities, in int8: each row of weights has a scale, and so has each layer's input,
 * found anew for every query. */
void nlsh__router_forward(const struct nlsh__router *router, const float *inputs, float *scratch,
                          float *probabilities);

/* The same in two steps, for those who need some groups only. Lies in scratch until the next call
 * with it. */
struct nlsh__router_pass {
    const float *groups; /* [n_groups] probabilities */
    const float
        *logits; /* of all rows of the last layer; or NULL: they are computed when asked for */
    const uint8_t *bytes;
    float scale;
};
void nlsh__router_begin(const struct nlsh__router *router, const float *inputs, float *scratch,
                        struct nlsh__router_pass *out);
/* Logits of the buckets of a group, from first[group] on; out has room for as many, rounded up to a
 * multiple of 16. */
void nlsh__router_group(const struct nlsh__router *router, const struct nlsh__router_pass *pass,
                        size_t group, float *out);
/* Probabilities of all buckets. */
void nlsh__router_finish(const struct nlsh__router *router, const struct nlsh__router_pass *pass,
                         float *probabilities);

/* The same for up to NLSH__BLOCK queries at once, and the same bits: weights are read once. A query's
 * pass lies in the block until its next use. NLSH_E_NOMEM. */
struct nlsh__router_block;
enum nlsh_status nlsh__router_block_create(const struct nlsh__router *router,
                                           struct nlsh__router_block **out,
                                           struct nlsh_error *error);
void nlsh__router_block_free(struct nlsh__router_block *block);
/* Whether queries of bytes are projected in int8: else nlsh__router_project() serves. */
int nlsh__router_projects_bytes(const struct nlsh__router *router);
/* bytes [n x stride], as matmat_i8() takes them; inputs [n x nlsh__router_input_size()]. scales [n] are those of bytes
 * that nlsh__router_project_rounded() takes; or NULL: the bytes are queries. */
void nlsh__router_project_block(const struct nlsh__router *router, const uint8_t *bytes,
                                size_t stride, const float *scales, size_t n, float *inputs);
void nlsh__router_begin_block(const struct nlsh__router *router, struct nlsh__router_block *block,
                              const float *inputs, size_t n);
void nlsh__router_block_pass(const struct nlsh__router_block *block, size_t i,
                             struct nlsh__router_pass *out);

/* n >= 1 here: a router without groups has one that holds all buckets. */
const struct nlsh__groups *nlsh__router_groups(const struct nlsh__router *router);

#endif
