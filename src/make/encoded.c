/* encoded.c - see encoded.h: which codes are quickest, and whether leaves save anything, by measurement. */
#include "make/encoded.h"

#include <math.h>

#include "base/buckets.h"
#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "codes/make/leaves.h"
#include "kernels/panel.h"
#include "make/forecast.h"
#include "make/resolve.h"
#include "promise/cost.h"

/* The recall of buckets alone up to which neighbours are looked for in leaves. */
#define LOOSEST 0.9995f
/* Leaves that auto keeps scan at most this share of the buckets' rows. */
#define WORTH_LEAVES 0.8
/* The routing that codes are measured with: looser routing scans fewer rows and needs no more of them. */
#define CODES_RECALL 0.99f

void nlsh__encoded_free(struct nlsh__encoded *e)
{
    nlsh__free(e->bucket_offsets);
    nlsh__free(e->rows);
    nlsh__free(e->codes);
    nlsh__free(e->leaves);
    *e = (struct nlsh__encoded){.rows = NULL};
}

/* The threshold that reaches a recall@k on held-out rows, or the nearest to it that was measured; 0 where none
 * was. */
static float measured_threshold(const struct nlsh__calibration *c, size_t k, float recall)
{
    struct nlsh__target_table tables[NLSH__CALIBRATION_KS];
    const struct nlsh__targets targets = nlsh__calibrated(c, tables);
    const struct nlsh__target_table *t = nlsh__target_table_of(&targets, k);
    float threshold = 0;
    for (size_t i = 0; t != NULL && i < t->n_points && t->points[i][0] < recall; i++)
        threshold = t->points[i][1];
    return threshold;
}

/* The loosest routing that searches for k neighbours may use: 0 where it was not measured. */
static float loosest_threshold(const struct nlsh__calibration *c, size_t k)
{
    struct nlsh__target_table tables[NLSH__CALIBRATION_KS];
    const struct nlsh__targets targets = nlsh__calibrated(c, tables);
    const struct nlsh__target_table *t = nlsh__target_table_of(&targets, k);
    if (t == NULL || t->points[t->n_points - 1][0] < LOOSEST) return 0;
    return measured_threshold(c, k, LOOSEST);
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* What one length of codes comes to. */
struct tried {
    void *bytes;
    size_t size;
    struct nlsh__row_margins margins;
};

/* Opens what has just been made. */
static enum nlsh_status open_codes(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                   const struct nlsh__encode *encode, const void *bytes,
                                   size_t size, struct nlsh__codes **out, struct nlsh_error *error)
{
    const struct nlsh__codes_of of = {encode->bucket_offsets, encode->n_buckets,
                                      nlsh__router_n_inputs(l->router), g->data->matrix.dim};
    return nlsh__codes_open(bytes, size, NLSH__CODES_VERSION, &of, out, error);
}

/* What searches by codes that were just made come to. */
static enum nlsh_status measure_codes(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                      const struct nlsh__encode *encode, const void *bytes,
                                      size_t size, struct nlsh__row_margins *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__codes *codes = NULL;
    NLSH_TRY(open_codes(g, l, encode, bytes, size, &codes, error));
    const struct nlsh__measured of = {
        encode, codes, l->router, g->held->held_rows, g->held->n_asked, &g->held->truth};
    const float of_10 = measured_threshold(&l->calibration, 10, CODES_RECALL);
    const float thresholds[NLSH__MARGIN_KS] = {
        of_10, of_10, fminf(of_10, measured_threshold(&l->calibration, 100, CODES_RECALL))};
    NLSH_TRY(nlsh__measure_rows(&of, thresholds, g->job, out, error));
out:
    nlsh__codes_close(codes);
    return status;
}

/* Codes of 4 bits for the encode's components, and the measure of them. */
static enum nlsh_status try_codes(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                  const struct nlsh__encode *encode, struct tried *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct tried){.bytes = NULL};
    NLSH_TRY(nlsh__encode_rows(encode, g->job, &out->bytes, &out->size, error));
    NLSH_TRY(measure_codes(g, l, encode, out->bytes, out->size, &out->margins, error));
out:
    if (status != NLSH_OK) nlsh__free(out->bytes);
    return status;
}

/* Components that codes of so many bytes hold. */
static size_t components_of(const struct nlsh__ground *g, size_t code_bytes)
{
    size_t most = g->inputs->projection.n_components;
    return 2 * code_bytes < most ? 2 * code_bytes : most;
}

/* Rows that a search scans, and those that it ranks exactly; with leaves both are fewer than of whole buckets. */
struct searched {
    double scanned, ranked;
};

static struct searched searched_of(const struct nlsh__ground *g,
                                   const struct nlsh__row_margins *margins)
{
    int leaves = nlsh__in_leaves(g->options, g->data->matrix.n_rows);
    return (struct searched){margins->candidates * (leaves ? NLSH__LEAVES_SCAN : 1),
                             margins->ranked * (leaves ? NLSH__LEAVES_RANK : 1)};
}

static double nanoseconds_of(const struct nlsh__ground *g, const struct nlsh__row_margins *margins,
                             size_t code_bytes)
{
    const struct searched of = searched_of(g, margins);
    return nlsh__cost_of_scan(of.scanned, code_bytes) +
           nlsh__cost_of_ranking(of.ranked,
                                 (size_t)nlsh__stored_row_bytes(&g->data->matrix, g->options));
}

static double say_nanoseconds(const struct nlsh__ground *g, const struct tried *t,
                              size_t code_bytes)
{
    const struct searched of = searched_of(g, &t->margins);
    double ns = nanoseconds_of(g, &t->margins, code_bytes);
    if (g->options->code_bytes == NLSH_AUTO)
        nlsh__job_note(g->job,
                       "codes of %zu bytes a vector: a query for recall .99 compares %.0f codes "
                       "and computes %.0f exact distances, about %.1f us",
                       code_bytes, of.scanned, of.ranked, ns / 1000);
    return ns;
}

/* Where nobody said how long codes are to be: all of the router's components, three quarters or a half of them. What
 * shorter codes save is in proportion to what they leave out, and what ranking costs grows faster: so the first that is
 * slower ends it. */
static enum nlsh_status make_codes(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                   struct nlsh__encode *encode, struct nlsh__encoded *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    int choose = g->options->code_bytes == NLSH_AUTO;
    size_t whole = choose ? nlsh__whole_code(g->options) : g->options->code_bytes;
    double least = INFINITY;
    for (size_t quarters = 4; quarters >= (choose ? 2 : 4) && whole > 0; quarters--) {
        struct tried one;
        size_t code_bytes = (whole * quarters + 3) / 4;
        if (code_bytes == out->code_bytes) continue;
        encode->n_components = components_of(g, code_bytes);
        NLSH_TRY(try_codes(g, l, encode, &one, error));
        double ns = say_nanoseconds(g, &one, code_bytes);
        if (ns > least) {
            nlsh__free(one.bytes);
            break;
        }
        least = ns;
        nlsh__free(out->codes);
        out->codes = one.bytes;
        out->codes_size = one.size;
        out->row_margins = one.margins;
        out->code_bytes = code_bytes;
    }
    encode->n_components = components_of(g, out->code_bytes);
out:
    return status;
}

/* Queries of floats are projected in bytes where that is quicker: a rounded query's scores are farther off, and so a few
 * rows more are ranked exactly. */
static enum nlsh_status round_queries(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                      const struct nlsh__encode *encode, struct nlsh__encoded *out,
                                      struct nlsh_error *error)
{
    struct nlsh__codes_header *header = out->codes;
    struct nlsh__row_margins rounded;
    size_t dim = g->data->matrix.dim, inputs = nlsh__router_n_inputs(l->router);
    if (encode->queries->type != NLSH_F32 || !nlsh__router_projects_bytes(l->router))
        return NLSH_OK;
    header->rounded = 1;
    enum nlsh_status status =
        measure_codes(g, l, encode, out->codes, out->codes_size, &rounded, error);
    double bytes =
        nlsh__cost_of_projection(dim, inputs, 1) + nanoseconds_of(g, &rounded, out->code_bytes);
    double floats = nlsh__cost_of_projection(dim, inputs, 0) +
                    nanoseconds_of(g, &out->row_margins, out->code_bytes);
    if (bytes < floats)
        out->row_margins = rounded;
    else
        header->rounded = 0;
    return status;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

/* Behind the codes, whose components encode has. Where auto finds that leaves save nothing, none. */
static enum nlsh_status make_leaves(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                    const struct nlsh__encode *encode, struct nlsh__encoded *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__calibration *c = &l->calibration;
    struct nlsh__codes *codes = NULL;
    struct nlsh__leaves *leaves = NULL;
    const float thresholds[NLSH__MARGIN_KS] = {loosest_threshold(c, 1), loosest_threshold(c, 10),
                                               loosest_threshold(c, 100)};
    NLSH_TRY(open_codes(g, l, encode, out->codes, out->codes_size, &codes, error));
    NLSH_TRY(nlsh__encode_leaves(encode, codes, g->job, &out->leaves, &out->leaves_size, error));
    NLSH_TRY(nlsh__leaves_open(out->leaves, out->leaves_size, NLSH__LEAVES_VERSION, codes,
                               encode->n_buckets, &leaves, error));
    const struct nlsh__measured of = {
        encode, codes, l->router, g->held->held_rows, g->held->n_asked, &g->held->truth};
    NLSH_TRY(nlsh__measure_leaves(&of, leaves, thresholds, g->job, &out->leaf_margins, error));
    double scanned = fmin(NLSH__GROUP * out->leaf_margins.scanned, c->candidates_95);
    int keep = g->options->leaves != NLSH_AUTO || scanned < WORTH_LEAVES * c->candidates_95;
    nlsh__job_note(g->job,
                   "leaves: a query for recall .95 scans about %.0f of the %.0f vectors in its "
                   "buckets%s",
                   scanned, c->candidates_95, keep ? "" : "; too few are saved: no leaves");
    if (keep) out->scanned = scanned;
out:
    nlsh__leaves_close(leaves);
    nlsh__codes_close(codes);
    if (status != NLSH_OK || !keep) {
        nlsh__free(out->leaves);
        out->leaves = NULL;
    }
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum nlsh_status nlsh__encode_segment(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                      struct nlsh__encoded *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = g->data->matrix.n_rows, m = g->options->n_buckets;
    int in_leaves = nlsh__in_leaves(g->options, n);
    *out = (struct nlsh__encoded){.scanned = l->calibration.candidates_95};
    NLSH_TRY(nlsh__alloc(&out->bucket_offsets, m + 1, sizeof *out->bucket_offsets, error));
    NLSH_TRY(nlsh__alloc(&out->rows, n, sizeof *out->rows, error));
    nlsh__count_sort(l->bucket_of, n, m, out->bucket_offsets, out->rows);
    if (in_leaves)
        NLSH_TRY(nlsh__order_leaves(g->inputs->rows, g->inputs->projection.n_components,
                                    out->bucket_offsets, m, g->job, out->rows, error));
    struct nlsh__encode encode = {
        .base = &g->data->matrix,
        .inner = g->options->metric == NLSH_IP,
        .projection = &g->inputs->projection,
        .inputs = g->inputs->rows,
        .query_inputs = g->inputs->queries,
        .queries = &g->space->queries,
        .bucket_offsets = out->bucket_offsets,
        .n_buckets = m,
        .ids = out->rows,
    };
    NLSH_TRY(make_codes(g, l, &encode, out, error));
    if (out->codes != NULL) NLSH_TRY(round_queries(g, l, &encode, out, error));
    if (in_leaves && out->codes != NULL) NLSH_TRY(make_leaves(g, l, &encode, out, error));
out:
    if (status != NLSH_OK) nlsh__encoded_free(out);
    return status;
}
