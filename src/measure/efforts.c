/* efforts.c - see efforts.h. */
#include "measure/efforts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "promise/budget.h"
#include "search/plan.h"
#include "search/search.h"

enum {
    RUNGS = NLSH__RUNGS,
    KS = NLSH__CALIBRATION_KS,
    ALL = RUNGS, /* behind the rungs: all buckets by their codes */
    TRIED
};
/* One in so many asks for more than so many neighbours. */
enum { SMALL_K = 10, LARGE_K = 100, LARGE_SHARE = 5, LARGEST_SHARE = 15 };

/* What the budget is made for, rung by rung: what is asked is found between the recalls they reach. */
static const double rungs[RUNGS] = {.5,  .6,  .7,   .8,  .85,  .9,   .925, .95,
                                    .97, .98, .985, .99, .995, .998, .999, .9995};

/* Those of them that are asked; and all between two of which one finds so much more than the other. */
static const size_t rungs_asked[NLSH__RUNGS_ASKED] = {3, 5, 7, 11, 15};
#define UNLIKE 0.01

/* What one query came to with one effort: of its k neighbours. */
struct found {
    uint16_t of_all; /* that the search returned */
    uint16_t routed; /* that lie in the buckets it scanned */
};

struct worker {
    struct nlsh_searcher *searcher;
    uint32_t *stamps; /* [m] the last ask that scanned the bucket */
    uint32_t stamp;
};

/* A place of a row number. */
struct place {
    uint16_t segment;
    uint32_t place, bucket;
};

struct measure {
    const struct nlsh__known *of;
    struct place *places;               /* [n_rows] */
    struct nlsh__plan plans[KS][TRIED]; /* k is 0 where there is none */
    struct worker *workers;
    size_t n_workers;
    size_t n;                  /* queries that ask */
    struct found *found;       /* [n][KS][TRIED] */
    struct nlsh_error *errors; /* [n] */
};

/* ---- what is tried --------------------------------------------------------------------------- */

/* The recall that buckets surely hold where they hold `routed` in the mean: between measured points. */
static double surely_at(const struct nlsh__calibration *c, size_t t, double routed)
{
    size_t i = 0;
    while (i < c->n_points[t] && (double)c->points[t][i][0] < routed) i++;
    if (i == c->n_points[t]) return (double)c->surely[t][i - 1];
    if (i == 0) return (double)c->surely[t][0];
    double r0 = (double)c->points[t][i - 1][0], r1 = (double)c->points[t][i][0];
    double s0 = (double)c->surely[t][i - 1], s1 = (double)c->surely[t][i];
    return s0 + (routed - r0) / (r1 - r0) * (s1 - s0);
}

/* What is tried for a recall, by the t-th table of the calibration: its recall is that of buckets alone. The
 * threshold is 0 where nothing was measured. */
static struct nlsh__effort_point
point_of(const struct nlsh__calibration *c, size_t t, const struct nlsh__margins *rows,
         const struct nlsh__margins *of_leaves, size_t row_bytes, double rung)
{
    int codes = rows->n_ks > 0, leaves = codes && of_leaves->n_ks > 0;
    struct nlsh__target_table tables[KS];
    const struct nlsh__targets targets = nlsh__calibrated(c, tables);
    double share = codes ? nlsh__codes_share(row_bytes) : 0;
    struct nlsh__budget budget = nlsh__budget_of(rung, share, leaves);
    struct nlsh__effort_point point = {.leaf_margin = NLSH__NO_MARGIN};
    if (leaves) point.leaf_margin = nlsh__margin_within(of_leaves, c->k[t], budget.leaves);
    if (!(point.leaf_margin < NLSH__NO_MARGIN)) {
        point.leaf_margin = NLSH__NO_MARGIN;
        budget = nlsh__budget_of(rung, share, 0);
    }
    point.margin = nlsh__margin_at(rows, c->k[t], budget.codes);
    float most = tables[t].points[tables[t].n_points - 1][0];
    if (budget.routed <= (double)most) {
        point.threshold = nlsh__target_threshold(&targets, c->k[t], budget.routed);
        point.recall = (float)surely_at(c, t, budget.routed);
    } else if (c->all[t] > 0) {
        point.threshold = c->all[t];
        point.recall = (float)nlsh__surely(1, 1, (double)c->n_queries);
    }
    return point;
}

/* The number of the t-th table's k. */
static size_t number_of(const struct nlsh__calibration *c, size_t t)
{
    size_t i = 0;
    while (nlsh__calibration_ks[i] != c->k[t]) i++;
    return i;
}

/* All buckets by their codes, and what that may lose of them. Its recall is not known. */
static struct nlsh__effort_point point_of_all(const struct nlsh__margins *rows, size_t k)
{
    const struct nlsh__budget budget = nlsh__budget_of(rungs[RUNGS - 1], NLSH__CODES_SHARE, 0);
    return (struct nlsh__effort_point){.margin = nlsh__margin_at(rows, k, budget.codes),
                                       .leaf_margin = NLSH__NO_MARGIN};
}

static void make_plan(struct measure *m, const struct nlsh__calibration *c, size_t t, size_t r)
{
    const struct nlsh_index *index = m->of->index;
    const struct nlsh__effort_point point =
        r == ALL ? point_of_all(&index->row_margins, c->k[t])
                 : point_of(c, t, &index->row_margins, &index->leaf_margins,
                            nlsh__index_row_bytes(index), rungs[r]);
    struct nlsh__plan *plan = &m->plans[number_of(c, t)][r];
    if (r != ALL && !(point.threshold > 0)) return;
    *plan = (struct nlsh__plan){.k = c->k[t] + (m->of->own != NULL)};
    nlsh__plan_effort(index, &point, plan);
}

static void make_plans(struct measure *m, const struct nlsh__calibration *c, size_t t)
{
    for (size_t a = 0; a < NLSH__RUNGS_ASKED; a++) make_plan(m, c, t, rungs_asked[a]);
    if (m->of->by == NULL && m->of->index->row_margins.n_ks > 0) make_plan(m, c, t, ALL);
}

/* ---- the asking ------------------------------------------------------------------------------ */

static void find_places(const struct nlsh_index *index, struct place *places)
{
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t b = 0; b < index->meta.n_buckets; b++)
            for (uint32_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++)
                places[s->first_row + s->rows[p]] = (struct place){(uint16_t)i, p, (uint32_t)b};
    }
}

/* The exact score of a row, as the best of a search have theirs. */
static uint32_t score_of(const struct measure *m, const struct nlsh_searcher *s, uint32_t row)
{
    const struct place *p = &m->places[row];
    uint64_t best = UINT64_MAX;
    const struct nlsh__ranking one = {
        s->index, &s->index->segments[p->segment], &s->query, NULL, &best, 1};
    nlsh__rank_range(&one, p->place, p->place + 1);
    return (uint32_t)(best >> 32);
}

/* Of best [plan->k] those as near as the k-th true neighbour, which are true ones or as good. */
static size_t count_best(const uint64_t *best, const struct nlsh__plan *plan, uint32_t limit,
                         uint32_t own)
{
    size_t n = 0;
    for (size_t j = 0; j < plan->k; j++)
        n +=
            best[j] != UINT64_MAX && (uint32_t)(best[j] >> 32) <= limit && (uint32_t)best[j] != own;
    return n;
}

static void ask_k(const struct measure *m, struct worker *w, size_t query, size_t i,
                  struct found found[TRIED], int asks_all)
{
    const struct nlsh__known *of = m->of;
    struct nlsh_searcher *s = w->searcher;
    const uint32_t *truth = of->truth->ids + query * of->truth->k;
    size_t k = nlsh__calibration_ks[i];
    uint32_t own = of->own != NULL ? of->own[query] : NLSH__NO_ROW;
    uint32_t limit = k <= of->truth->k ? score_of(m, s, truth[k - 1]) : 0;
    for (size_t r = 0; r < TRIED; r++) {
        const struct nlsh__plan *plan = &m->plans[i][r];
        if (plan->k == 0 || (r == ALL && !asks_all)) continue;
        size_t routed = 0;
        struct nlsh__routed by;
        struct nlsh__cost cost;
        nlsh__search_by_plan(s, plan, &by, &cost);
        w->stamp++;
        for (size_t b = 0; b < by.n_buckets; b++) w->stamps[s->buckets[b]] = w->stamp;
        for (size_t j = 0; j < k; j++) routed += w->stamps[m->places[truth[j]].bucket] == w->stamp;
        size_t hits = count_best(s->best, plan, limit, own);
        found[r] = (struct found){(uint16_t)(hits < k ? hits : k), (uint16_t)routed};
    }
}

/* Large numbers of neighbours are asked of fewer queries: each of them tells more, and costs more. */
static int asks(size_t task, size_t k)
{
    return task % (k <= SMALL_K ? 1 : k <= LARGE_K ? LARGE_SHARE : LARGEST_SHARE) == 0;
}

/* The query of a task: they are spread over all. */
static size_t query_of(const struct measure *m, size_t task)
{
    return task * m->of->queries.n_rows / m->n;
}

static void ask_task(void *ctx, size_t task, size_t worker)
{
    const struct measure *m = ctx;
    struct worker *w = &m->workers[worker];
    struct nlsh_error *error = &m->errors[task];
    size_t query = query_of(m, task);
    error->status =
        nlsh__query_set(&w->searcher->query, m->of->index, &m->of->queries, query, error);
    for (size_t i = 0; i < KS && error->status == NLSH_OK; i++)
        if (asks(task, nlsh__calibration_ks[i]))
            ask_k(m, w, query, i, &m->found[(task * KS + i) * TRIED], task % LARGEST_SHARE == 0);
}

static enum nlsh_status answers_create(struct measure *m, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__calloc(&m->found, m->n * KS * TRIED, sizeof *m->found, error));
    NLSH_TRY(nlsh__calloc(&m->errors, m->n, sizeof *m->errors, error));
out:
    return status;
}

static enum nlsh_status measure_create(struct measure *m, const struct nlsh__job *job,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *index = m->of->index;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    NLSH_TRY(nlsh__alloc(&m->places, (size_t)index->meta.n_rows, sizeof *m->places, error));
    find_places(index, m->places);
    NLSH_TRY(nlsh__calloc(&m->workers, n_threads, sizeof *m->workers, error));
    m->n_workers = n_threads;
    for (size_t i = 0; i < n_threads; i++) {
        struct worker *w = &m->workers[i];
        NLSH_TRY(nlsh_searcher_create(index, &w->searcher, error));
        NLSH_TRY(nlsh__reserve_best(w->searcher, m->of->truth->k + 1, error));
        NLSH_TRY(nlsh__calloc(&w->stamps, index->meta.n_buckets, sizeof *w->stamps, error));
    }
    NLSH_TRY(answers_create(m, error));
out:
    return status;
}

static void measure_free(struct measure *m)
{
    for (size_t i = 0; i < m->n_workers; i++) {
        nlsh_searcher_free(m->workers[i].searcher);
        nlsh__free(m->workers[i].stamps);
    }
    nlsh__free(m->workers);
    nlsh__free(m->places);
    nlsh__free(m->found);
    nlsh__free(m->errors);
}

/* ---- by others --------------------------------------------------------------------------------- */

struct by_others {
    size_t n;
    uint32_t *tasks;            /* [n] of the queries */
    struct nlsh_matrix queries; /* [n] */
    uint8_t *bytes;             /* of these */
    uint64_t *best;             /* [n x most k] */
    uint8_t *scanned;           /* [n x m] */
    uint32_t *rows, *limits;    /* [n] */
};

static enum nlsh_status by_others_create(const struct measure *m, struct by_others *o,
                                         struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__known *of = m->of;
    NLSH_TRY(nlsh__alloc(&o->tasks, m->n, sizeof *o->tasks, error));
    NLSH_TRY(nlsh__alloc(&o->bytes, m->n, nlsh__row_bytes(&of->queries), error));
    NLSH_TRY(nlsh__alloc(&o->best, m->n, (of->truth->k + 1) * sizeof *o->best, error));
    NLSH_TRY(nlsh__alloc(&o->scanned, m->n, of->index->meta.n_buckets, error));
    NLSH_TRY(nlsh__alloc(&o->rows, m->n, sizeof *o->rows, error));
    NLSH_TRY(nlsh__alloc(&o->limits, m->n, sizeof *o->limits, error));
out:
    return status;
}

static void by_others_free(struct by_others *o)
{
    nlsh__free(o->tasks);
    nlsh__free(o->bytes);
    nlsh__free(o->best);
    nlsh__free(o->scanned);
    nlsh__free(o->rows);
    nlsh__free(o->limits);
}

/* The queries that ask for k neighbours, and their k-th. */
static void take_queries(const struct measure *m, size_t k, struct by_others *o)
{
    const struct nlsh__known *of = m->of;
    size_t row_bytes = nlsh__row_bytes(&of->queries);
    o->n = 0;
    for (size_t task = 0; task < m->n; task++) {
        if (!asks(task, k)) continue;
        size_t query = query_of(m, task);
        memcpy(o->bytes + o->n * row_bytes, nlsh__row(&of->queries, query), row_bytes);
        o->rows[o->n] = of->truth->ids[query * of->truth->k + k - 1];
        o->tasks[o->n++] = (uint32_t)task;
    }
    o->queries = (struct nlsh_matrix){o->bytes, o->n, of->queries.dim, of->queries.type, 0};
}

/* What they found by one plan. */
static void count_found(const struct measure *m, const struct by_others *o, size_t i, size_t r)
{
    const struct nlsh__known *of = m->of;
    const struct nlsh__plan *plan = &m->plans[i][r];
    size_t k = nlsh__calibration_ks[i], n_buckets = of->index->meta.n_buckets;
    for (size_t j = 0; j < o->n; j++) {
        size_t query = query_of(m, o->tasks[j]), routed = 0;
        const uint32_t *truth = of->truth->ids + query * of->truth->k;
        uint32_t own = of->own != NULL ? of->own[query] : NLSH__NO_ROW;
        size_t hits = count_best(o->best + j * plan->k, plan, o->limits[j], own);
        for (size_t t = 0; t < k; t++)
            routed += o->scanned[j * n_buckets + of->by->bucket_of[truth[t]]];
        m->found[(o->tasks[j] * KS + i) * TRIED + r] =
            (struct found){(uint16_t)(hits < k ? hits : k), (uint16_t)routed};
    }
}

static enum nlsh_status ask_others(const struct measure *m, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__known_by *by = m->of->by;
    struct by_others o = {.n = 0};
    NLSH_TRY(by_others_create(m, &o, error));
    for (size_t i = 0; i < KS; i++) {
        size_t r = 0;
        while (r < RUNGS && m->plans[i][r].k == 0) r++;
        if (r == RUNGS) continue;
        take_queries(m, nlsh__calibration_ks[i], &o);
        NLSH_TRY(by->scores(by->user, &o.queries, o.rows, o.limits, error));
        for (; r < RUNGS; r++) {
            if (m->plans[i][r].k == 0) continue;
            NLSH_TRY(by->search(by->user, &m->plans[i][r], &o.queries, o.best, o.scanned, error));
            count_found(m, &o, i, r);
        }
    }
out:
    by_others_free(&o);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------------- */

static double share_of(const struct nlsh__shares *s, size_t i, size_t r)
{
    uint64_t found = s->found[i][r], routed = s->routed[i][r];
    return routed > 0 && found < routed ? (double)found / (double)routed : 1;
}

/* The nearest efforts that were asked, from r on down and up; RUNGS where there is none. */
static void asked_about(const struct nlsh__shares *s, size_t i, size_t r, size_t *below,
                        size_t *above)
{
    *below = *above = RUNGS;
    for (size_t a = 0; a < RUNGS; a++) {
        if (s->routed[i][a] == 0) continue;
        if (a <= r) *below = a;
        if (a >= r && *above == RUNGS) *above = a;
    }
}

static enum nlsh_status ask_plans(struct measure *m, const struct nlsh__job *job,
                                  struct nlsh__shares *shares, struct nlsh_error *error)
{
    enum nlsh_status status;
    memset(m->found, 0, m->n * KS * TRIED * sizeof *m->found);
    NLSH_TRY(m->of->by != NULL
                 ? ask_others(m, error)
                 : nlsh__job_tasks(job, "what searches reach", m->n, ask_task, m, error));
    for (size_t task = 0; task < m->n; task++) {
        if (m->errors[task].status != NLSH_OK) {
            if (error != NULL) *error = m->errors[task];
            return m->errors[task].status;
        }
        for (size_t i = 0; i < KS; i++) {
            const struct found *found = &m->found[(task * KS + i) * TRIED];
            for (size_t r = 0; r < RUNGS; r++) {
                shares->found[i][r] += found[r].of_all;
                shares->routed[i][r] += found[r].routed;
            }
            shares->all_found[i] += found[ALL].of_all;
            shares->all_routed[i] += found[ALL].routed;
        }
    }
out:
    return status;
}

/* What was not asked yet, and lies between two efforts of which one finds more than the other; returns whether there is any. */
static int plan_between(struct measure *m, const struct nlsh__calibration *c,
                        const struct nlsh__shares *shares)
{
    int any = 0;
    memset(m->plans, 0, sizeof m->plans);
    for (size_t t = 0; t < c->n; t++) {
        size_t i = number_of(c, t), below, above;
        for (size_t r = 0; r < RUNGS; r++) {
            asked_about(shares, i, r, &below, &above);
            if (below == RUNGS || above == RUNGS || below == above) continue;
            if (!(fabs(share_of(shares, i, below) - share_of(shares, i, above)) > UNLIKE)) continue;
            make_plan(m, c, t, r);
            any |= m->plans[i][r].k > 0;
        }
    }
    return any;
}

static void add_shares(struct nlsh__shares *sum, const struct nlsh__shares *more)
{
    for (size_t i = 0; i < KS; i++) {
        for (size_t r = 0; r < RUNGS; r++) {
            sum->found[i][r] += more->found[i][r];
            sum->routed[i][r] += more->routed[i][r];
        }
        sum->all_found[i] += more->all_found[i];
        sum->all_routed[i] += more->all_routed[i];
    }
}

enum nlsh_status
nlsh__shares_add(const struct nlsh__known *of, const struct nlsh__calibration *calibration,
                 const struct nlsh__job *job, struct nlsh__shares *shares, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shares asked = {.found = {{0}}};
    struct measure m = {.of = of, .n = of->queries.n_rows};
    size_t n_rows = of->by != NULL ? of->n_rows : (size_t)of->index->meta.n_rows;
    if (m.n > of->n_asking) m.n = of->n_asking;
    NLSH_TRY(of->by != NULL ? answers_create(&m, error) : measure_create(&m, job, error));
    for (size_t t = 0; t < calibration->n; t++)
        if (calibration->k[t] <= of->truth->k && calibration->k[t] + (of->own != NULL) <= n_rows)
            make_plans(&m, calibration, t);
    NLSH_TRY(ask_plans(&m, job, &asked, error));
    if (plan_between(&m, calibration, &asked)) NLSH_TRY(ask_plans(&m, job, &asked, error));
    add_shares(shares, &asked);
out:
    measure_free(&m);
    return status;
}

static int ascending_f32(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

float nlsh__far(float *distances, size_t n)
{
    if (n == 0) return 0;
    qsort(distances, n, sizeof *distances, ascending_f32);
    return distances[(99 * n + 99) / 100 - 1];
}

enum nlsh_status nlsh__far_of(const struct nlsh__neighbors *truth, size_t n,
                              enum nlsh_metric metric, float *out, struct nlsh_error *error)
{
    float *distances = NULL;
    *out = 0;
    if (truth->l2sq == NULL) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc(&distances, n, sizeof *distances, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i++) {
        /* squared, of unit vectors where the metric is cosine */
        float score = truth->l2sq[i * truth->k];
        distances[i] = metric == NLSH_L2 ? sqrtf(score) : metric == NLSH_IP ? score : score / 2;
    }
    *out = nlsh__far(distances, n);
    if (metric == NLSH_IP) *out = fminf(*out, 0);
    nlsh__free(distances);
    return NLSH_OK;
}

/* ---- the tables ------------------------------------------------------------------------------ */

/* Between two efforts that were asked, in proportion to what they leave to be missing; beyond the last, as
 * there. */
static double share_found(const struct nlsh__shares *s, size_t i, size_t r)
{
    size_t below, above;
    asked_about(s, i, r, &below, &above);
    if (below == RUNGS) return above < RUNGS ? share_of(s, i, above) : 1;
    if (above == RUNGS || above == below) return share_of(s, i, below);
    double share = (rungs[r] - rungs[below]) / (rungs[above] - rungs[below]);
    return share_of(s, i, below) + share * (share_of(s, i, above) - share_of(s, i, below));
}

/* What a search of all buckets finds. One that scans nearly all has the same limit already, and loses as much; few were asked,
 * and they count where they found less than that, and chance (three standard errors and a query) does not explain it. */
static double share_of_all(const struct nlsh__shares *s, size_t i)
{
    double like = share_found(s, i, RUNGS - 1);
    if (s->all_routed[i] == 0) return like;
    double n = (double)s->all_routed[i] / (double)nlsh__calibration_ks[i];
    double found = (double)s->all_found[i] / (double)s->all_routed[i];
    double chance = 1 / n + 3 * sqrt((1 - like) / n);
    return found < like - chance ? found * n / (n + 1) : like;
}

/* Behind n points one for all buckets by their codes, if that is more than what is there; how many. */
static size_t add_all(const struct nlsh__calibration *c, size_t t, const struct nlsh__margins *rows,
                      const struct nlsh__shares *shares, struct nlsh__effort_point *points,
                      size_t n)
{
    struct nlsh__effort_point all = point_of_all(rows, c->k[t]);
    double share = share_of_all(shares, number_of(c, t));
    all.recall = (float)(share * (1 - 1 / (double)(c->n_queries + 1)));
    if (!(all.recall > 0 && all.recall < 1) || (n > 0 && !(all.recall > points[n - 1].recall)))
        return 0;
    points[n] = all;
    return 1;
}

void nlsh__efforts_from(const struct nlsh__calibration *c, const struct nlsh__margins *rows,
                        const struct nlsh__margins *leaves, size_t row_bytes,
                        const struct nlsh__shares *shares, struct nlsh__measured_efforts *out)
{
    *out = (struct nlsh__measured_efforts){.n_queries = c->n_queries};
    memcpy(out->outside, c->outside, sizeof out->outside);
    for (size_t t = 0; t < c->n; t++) {
        size_t n = 0;
        struct nlsh__effort_point *points = out->points[out->n];
        for (size_t r = 0; r < RUNGS; r++) {
            struct nlsh__effort_point p = point_of(c, t, rows, leaves, row_bytes, rungs[r]);
            p.recall *= (float)share_found(shares, number_of(c, t), r);
            if (!(p.threshold > 0 && p.recall > 0 && p.recall < 1)) continue;
            /* each more careful than the one before, and for something */
            if (n > 0 && !(p.recall > points[n - 1].recall)) continue;
            if (n > 0 && !(p.threshold <= points[n - 1].threshold)) continue;
            points[n++] = p;
        }
        if (rows->n_ks > 0) n += add_all(c, t, rows, shares, points, n);
        if (n == 0) continue;
        out->k[out->n] = c->k[t];
        out->n_points[out->n++] = n;
    }
}
