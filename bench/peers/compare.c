/*
 * compare.c - recall against speed, ours beside other libraries, in one process on the same data.
 *
 *   bench_peers --dataset NAME --base FILE --queries FILE --rows CSV [--index LABEL=FILE]...
 *               [--peer FILE.so]... [--k 10,1,100] [--rounds 3] [--cache DIR] [--costs CSV]
 *               [--metric l2|cosine] [--modes single,batch1,batch2] [--without METHOD]
 *               [--core N] [--realtime] [--lock FILE] [--builds N] [--tune N] [--table] [--quick]
 *
 * 1. Tuning: every index that a peer offers, at every setting it offers, with 2,000 of the queries or as
 *    many as --tune says. What is fastest at each of some twelve recalls goes on, for each way of asking (one
 *    query a call; all in one) by itself: so a peer is shown at the best of its whole grid.
 * 2. Recall: of those, over all queries. --rounds 0 stops after it.
 * 3. Rounds: every point once a round, all methods in turn, so that what else the machine does
 *    falls on all alike. Every second round goes backwards: what comes first in one comes last in
 *    the next. The fastest of the rounds counts.
 *
 * Indexes and what 1 and 2 found are kept in --cache, but for ours, which is measured each time.
 * --builds N takes the first N kinds of index of each peer only, --without leaves a method out, --table
 * measures at the recalls of the tables alone (.90, .95, .99), and draws no curve between them.
 * cosine: all vectors are brought to unit length as they are read; then l2 finds the same neighbours.
 *
 * bench/run.sh calls it and says what the columns mean.
 */
#include <dlfcn.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { max_peers = 32, max_builds = 64, max_ks = 4, setting_length = 48 };

struct build {
    const struct peer *peer;
    char name[64], file[1024];
    void *index;
    double seconds, size_mb;
    double before_mb, growth_mb; /* resident: before it was opened; more after it was searched */
};

struct point {
    struct build *build;
    char setting[setting_length];
    double tuned_recall, tuned_qps[2]; /* single, batch1 */
    int chosen[2];
    double recall[2]; /* over all queries; NaN where that is not known */
    struct timing best[N_MODES];
    double candidates, bytes, products;
};

static struct {
    const char *dataset, *cache, *base_file, *query_file;
    const char *without;
    int quick, rounds, cosine, table_only, modes[N_MODES];
    size_t most_builds, tune_queries;
    size_t ks[max_ks], n_ks;
    FILE *rows, *costs;
    struct nlsh_vectors *base_vectors, *query_vectors;
    struct peer_data base, queries;
    struct nlsh_neighbors truth;
    const struct peer *peers[max_peers];
    size_t n_peers;
    struct build builds[max_peers * max_builds];
    size_t n_builds;
    struct point *points;
    size_t n_points, points_room;
} g;

static void fail(const char *what, const char *which)
{
    fprintf(stderr, "error: %s: %s\n", which, what);
    exit(65);
}

/* ---- data ------------------------------------------------------------------------------------ */

static void read_vectors(const char *file, struct nlsh_vectors **vectors, struct peer_data *out)
{
    struct nlsh_error error = {0};
    if (nlsh_vectors_read(file, NLSH_FORMAT_AUTO, vectors, &error) != NLSH_OK)
        fail(error.message, file);
    const struct nlsh_matrix *m = nlsh_vectors_matrix(*vectors);
    *out = (struct peer_data){.n_rows = m->n_rows, .dim = m->dim};
    if (m->type == NLSH_F32) {
        out->rows = m->data;
        return;
    }
    if (m->type != NLSH_U8) fail("compared are u8 and f32 vectors only", file);
    float *rows = room(m->n_rows * m->dim, sizeof *rows);
    const uint8_t *bytes = m->data;
    for (size_t i = 0; i < m->n_rows * m->dim; i++) rows[i] = bytes[i];
    out->rows = rows;
    out->bytes = bytes;
}

/* Queries in a random order, always the same, so that the first n of them are a fair sample. */
static void shuffle_queries(void)
{
    size_t n = g.queries.n_rows, dim = g.queries.dim;
    const struct nlsh_matrix *m = nlsh_vectors_matrix(g.query_vectors);
    size_t element = m->type == NLSH_F32 ? 4 : 1, row = dim * element;
    char *rows = (char *)(uintptr_t)m->data, *swapped = room(row, 1);
    uint64_t state = 88172645463325252U;
    for (size_t i = n - 1; i > 0; i--) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t j = (size_t)(state % (i + 1));
        memcpy(swapped, rows + i * row, row);
        memmove(rows + i * row, rows + j * row, row);
        memcpy(rows + j * row, swapped, row);
    }
    free(swapped);
}

/* Lengths in double: what is left of them is an error of rounding. */
static void to_unit_length(const struct peer_data *data, const char *file)
{
    if (data->bytes != NULL) fail("cosine is compared of floats only", file);
    for (size_t i = 0; i < data->n_rows; i++) {
        float *row = (float *)(uintptr_t)data->rows + i * data->dim;
        double sum = 0;
        for (size_t d = 0; d < data->dim; d++) sum += (double)row[d] * row[d];
        if (sum == 0) fail("has a vector of length 0: cosine knows no neighbours of it", file);
        for (size_t d = 0; d < data->dim; d++) row[d] = (float)(row[d] / sqrt(sum));
    }
}

static void load_data(void)
{
    struct nlsh_error error = {0};
    struct nlsh_run run;
    size_t most_k = 0;
    read_vectors(g.base_file, &g.base_vectors, &g.base);
    read_vectors(g.query_file, &g.query_vectors, &g.queries);
    if (g.base.dim != g.queries.dim) fail("has another dimension than the base", g.query_file);
    if (g.cosine) {
        to_unit_length(&g.base, g.base_file);
        to_unit_length(&g.queries, g.query_file);
    }
    shuffle_queries();
    if (g.queries.bytes != NULL) {
        float *rows = (float *)(uintptr_t)g.queries.rows;
        for (size_t i = 0; i < g.queries.n_rows * g.queries.dim; i++) rows[i] = g.queries.bytes[i];
    }
    for (size_t i = 0; i < g.n_ks; i++)
        if (g.ks[i] > most_k) most_k = g.ks[i];
    nlsh_run_init(&run, sizeof run);
    run.cache_dir = g.cache;
    nlsh_neighbors_init(&g.truth, sizeof g.truth);
    if (nlsh_ground_truth(nlsh_vectors_matrix(g.base_vectors), nlsh_vectors_matrix(g.query_vectors),
                          NLSH_L2, most_k, &run, &g.truth, &error) != NLSH_OK)
        fail(error.message, g.query_file);
}

/* ---- peers and their indexes ----------------------------------------------------------------- */

static void add_peers(const struct peer *list)
{
    for (; list->name != NULL && g.n_peers < max_peers; list++) g.peers[g.n_peers++] = list;
}

static void leave_out(const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < g.n_peers; i++)
        if (strcmp(g.peers[i]->name, name) != 0) g.peers[kept++] = g.peers[i];
    if (kept == g.n_peers) fail("is none of the methods", name);
    g.n_peers = kept;
}

static void load_peer(const char *file)
{
    const struct peer *(*peers)(void) = NULL;
    /* DEEPBIND: two versions of one library may be here, each with its own names. */
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library != NULL) *(void **)&peers = dlsym(library, "nlsh_bench_peers");
    if (peers == NULL) fail(dlerror(), file);
    add_peers(peers());
}

/* "out/peers/mnist-hnswlib_0.6.2_AVX-512-M=16_efC=200.index" */
static void name_file(const struct peer *peer, const char *what, const char *ending, char *out,
                      size_t size)
{
    snprintf(out, size, "%s/%s-%s %s-%s.%s", g.cache, g.dataset, peer->name, peer->version, what,
             ending);
    for (char *c = out + strlen(g.cache) + 1; *c != '\0'; c++)
        if (strchr(" ,;/", *c) != NULL) *c = '_';
}

static int is_own(const struct peer *peer)
{
    return peer == &own_peers[0] || peer == &own_peers[1];
}

static double file_mb(const char *file)
{
    struct stat s;
    return stat(file, &s) == 0 ? (double)s.st_size / 1e6 : NAN;
}

/* Seconds beside an index: written when it is made, read when it is taken from the cache. */
static double build_seconds(const char *file, double made)
{
    char name[1100];
    double seconds = NAN;
    snprintf(name, sizeof name, "%s.seconds", file);
    FILE *f = fopen(name, made > 0 ? "w" : "r");
    if (f == NULL) return NAN;
    if (made > 0) fprintf(f, "%.2f\n", seconds = made);
    if (made <= 0 && fscanf(f, "%lf", &seconds) != 1) seconds = NAN;
    fclose(f);
    return seconds;
}

static int open_build(struct build *b)
{
    if (b->index != NULL) return 1;
    int own = is_own(b->peer), here = access(b->file, R_OK) == 0;
    if (!here && !own) fprintf(stderr, "%s: %s, %s: build\n", g.dataset, b->peer->name, b->name);
    double resident = resident_mb(), start = cpu_seconds();
    char part[1100]; /* a file that was not finished never has the index's name */
    snprintf(part, sizeof part, "%s.part", b->file);
    if (!here) remove(part);
    b->index = b->peer->open(&g.base, b->name, here ? b->file : part);
    double spent = cpu_seconds() - start;
    if (b->index != NULL && !here && !own && rename(part, b->file) != 0) perror(part);
    if (b->index == NULL) {
        fprintf(stderr, "%s: %s, %s: could not be made\n", g.dataset, b->peer->name, b->name);
        return 0;
    }
    b->before_mb = resident;
    b->seconds = here || own ? build_seconds(b->file, 0) : spent;
    if (!here && !own) build_seconds(b->file, spent);
    b->size_mb = b->peer->size != NULL ? b->peer->size(b->index) / 1e6 : file_mb(b->file);
    return 1;
}

static void close_build(struct build *b)
{
    if (b->index != NULL) b->peer->close(b->index);
    b->index = NULL;
}

static struct build *add_build(const struct peer *peer, const char *name)
{
    for (size_t i = 0; i < g.n_builds; i++)
        if (g.builds[i].peer == peer && strcmp(g.builds[i].name, name) == 0) return &g.builds[i];
    if (g.n_builds == sizeof g.builds / sizeof *g.builds) fail("too many indexes", peer->name);
    struct build *b = &g.builds[g.n_builds++];
    b->peer = peer;
    snprintf(b->name, sizeof b->name, "%s", name);
    name_file(peer, name, "index", b->file, sizeof b->file);
    for (size_t i = 0; peer == &own_peers[0] && i < n_own_indexes; i++)
        if (strcmp(own_indexes[i].label, name) == 0)
            snprintf(b->file, sizeof b->file, "%s", own_indexes[i].file);
    return b;
}

/* ---- 1. tuning ------------------------------------------------------------------------------- */

static struct point *add_point(struct build *b, const char *setting)
{
    if (g.n_points == g.points_room) {
        g.points_room = 2 * g.points_room + 64;
        struct point *more = room(g.points_room, sizeof *more);
        if (g.n_points > 0) memcpy(more, g.points, g.n_points * sizeof *more);
        free(g.points);
        g.points = more;
    }
    struct point *p = &g.points[g.n_points++];
    memset(p, 0, sizeof *p);
    p->build = b;
    p->recall[0] = p->recall[1] = NAN;
    p->candidates = p->bytes = p->products = NAN;
    snprintf(p->setting, sizeof p->setting, "%s", setting);
    return p;
}

static size_t at_most(double n, size_t most)
{
    return n < 1 ? 1 : n > (double)most ? most : (size_t)n;
}

/* How many queries fit into so many seconds, at least fewest, at most there are. */
static size_t queries_in(double seconds, double qps, size_t fewest)
{
    size_t n = at_most(seconds * qps, g.queries.n_rows);
    if (n < fewest) n = fewest;
    return n < g.queries.n_rows ? n : g.queries.n_rows;
}

/* With the first k most is done; the others are for the tables only. */
static void tune_point(struct point *p, size_t k, uint32_t *ids)
{
    const struct build *b = p->build;
    int first = k == g.ks[0];
    size_t most = first ? g.tune_queries : g.tune_queries / 4;
    struct timing t;
    b->peer->set(b->index, k, p->setting);
    time_roughly(b->peer, b->index, &g.queries, queries_in(0, 1, 20), k, MODE_BATCH1, ids, &t);
    size_t n = queries_in(2, t.qps, 20);
    if (n > most) n = most;
    time_roughly(b->peer, b->index, &g.queries, n, k, MODE_BATCH1, ids, &t);
    p->tuned_recall = check_recall(&g.base, &g.queries, n, k, ids, &g.truth);
    p->tuned_qps[1] = t.qps;
    time_roughly(b->peer, b->index, &g.queries, queries_in(first ? 0.08 : 0.04, t.qps, 20), k,
                 MODE_SINGLE, ids, &t);
    p->tuned_qps[0] = t.qps;
}

/* Batches are timed for the first k only. */
static int is_asked(enum mode mode, size_t k)
{
    return g.modes[mode] && (mode == MODE_SINGLE || k == g.ks[0]);
}

static int way_is_asked(int way, size_t k)
{
    if (way == 0) return is_asked(MODE_SINGLE, k);
    return is_asked(MODE_BATCH1, k) || is_asked(MODE_BATCH2, k);
}

/* Marks, for the ways of asking that are wanted, the fastest point from `first` on at each recall, at those of the
 * tables the second one too, and closes up the rest. The tables' recalls stand there three times: what reaches
 * one over the sample may miss it over all queries, and the other way round. The curve is for the first k; of the
 * others only what the tables show. */
static void choose(size_t first, size_t k)
{
    static const double table[] = {0.893, 0.9, 0.903, 0.945, 0.95, 0.952, 0.988, 0.99, 0.991};
    static const double curve[] = {0.893, 0.9,  0.903, 0.945, 0.95, 0.952, 0.988, 0.99,
                                   0.991, 0.75, 0.85,  0.93,  0.97, 0.98,  0.996};
    enum { n_table = sizeof table / sizeof *table, n_curve = sizeof curve / sizeof *curve };
    int whole = k == g.ks[0] && !g.table_only;
    const double *recalls = whole ? curve : table;
    size_t n = whole ? n_curve : n_table;
    for (struct point *p = g.points + first; p < g.points + g.n_points; p++)
        p->chosen[0] = p->chosen[1] = 0;
    for (int way = 0; way < 2; way++)
        for (size_t r = 0; r < n && way_is_asked(way, k); r++) {
            struct point *best = NULL, *second = NULL;
            for (struct point *p = g.points + first; p < g.points + g.n_points; p++) {
                if (p->tuned_recall < recalls[r]) continue;
                if (best == NULL || p->tuned_qps[way] > best->tuned_qps[way])
                    second = best, best = p;
                else if (second == NULL || p->tuned_qps[way] > second->tuned_qps[way])
                    second = p;
            }
            if (best != NULL) best->chosen[way] = 1;
            if (second != NULL && r < n_table) second->chosen[way] = 1;
        }
    size_t kept = first;
    for (size_t i = first; i < g.n_points; i++)
        if (g.points[i].chosen[0] || g.points[i].chosen[1]) g.points[kept++] = g.points[i];
    g.n_points = kept;
}

static void name_tuned(const struct peer *peer, size_t k, char *out, size_t size)
{
    char what[48];
    snprintf(what, sizeof what, "k=%zu%s", k, g.quick ? " quick" : "");
    name_file(peer, what, "tuned", out, size);
}

/* What tuning found of a peer, and the recall over all queries where that is known by now. Tabs part
 * it: no name holds one. */
static void keep_tuned(const struct peer *peer, size_t k)
{
    char file[1024];
    name_tuned(peer, k, file, sizeof file);
    FILE *f = is_own(peer) ? NULL : fopen(file, "w");
    if (f == NULL) return;
    for (const struct point *p = g.points; p < g.points + g.n_points; p++)
        if (p->build->peer == peer)
            fprintf(f, "%s\t%s\t%.5f\t%.1f\t%.1f\t%.5f\t%.5f\t%.1f\t%.0f\t%.0f\n", p->build->name,
                    p->setting, p->tuned_recall, p->tuned_qps[0], p->tuned_qps[1], p->recall[0],
                    p->recall[1], p->candidates, p->bytes, p->products);
    fclose(f);
}

static int take_tuned(const struct peer *peer, size_t k)
{
    char file[1024], line[512], name[64], setting[setting_length];
    name_tuned(peer, k, file, sizeof file);
    FILE *f = is_own(peer) ? NULL : fopen(file, "r");
    int taken = 0;
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        struct point in;
        if (sscanf(line, "%63[^\t]\t%47[^\t]\t%lf\t%lf\t%lf\t%lf\t%lf\t%lf\t%lf\t%lf", name,
                   setting, &in.tuned_recall, &in.tuned_qps[0], &in.tuned_qps[1], &in.recall[0],
                   &in.recall[1], &in.candidates, &in.bytes, &in.products) != 10)
            continue;
        struct point *p = add_point(add_build(peer, name), setting);
        in.build = p->build;
        memcpy(in.setting, p->setting, sizeof in.setting);
        memset(in.best, 0, sizeof in.best);
        *p = in;
        taken = 1;
    }
    fclose(f);
    return taken;
}

/* For a second k only indexes that were worth something for the first one. */
static int worth_trying(const struct peer *peer, const char *name, size_t k)
{
    if (k == g.ks[0]) return 1;
    for (size_t i = 0; i < g.n_builds; i++)
        if (g.builds[i].peer == peer && strcmp(g.builds[i].name, name) == 0) return 1;
    return 0;
}

static void tune(const struct peer *peer, size_t k, uint32_t *ids)
{
    size_t first = g.n_points;
    if (take_tuned(peer, k)) {
        choose(first, k);
        return;
    }
    const char *name, *setting;
    for (size_t i = 0; i < g.most_builds; i++) {
        if ((name = peer->build(&g.base, g.quick, i)) == NULL) break;
        if (!worth_trying(peer, name, k)) continue;
        struct build *b = add_build(peer, name);
        int was_open = b->index != NULL;
        if (!open_build(b)) continue;
        fprintf(stderr, "%s: %s, %s: tune for k = %zu\n", g.dataset, peer->name, name, k);
        int perfect = 0; /* settings in a row that leave nothing to gain */
        for (size_t s = 0; (setting = peer->setting(b->index, k, g.quick, s)) != NULL; s++) {
            struct point *p = add_point(b, setting);
            tune_point(p, k, ids);
            perfect = p->tuned_recall > 0.9993 ? perfect + 1 : 0;
            if (perfect == 4) break;
        }
        if (!was_open) close_build(b);
    }
    choose(first, k);
    keep_tuned(peer, k);
}

/* Builds that no point needs are forgotten. */
static void drop_idle_builds(void)
{
    for (size_t i = 0; i < g.n_builds; i++) {
        int used = 0;
        for (size_t j = 0; j < g.n_points; j++) used |= g.points[j].build == &g.builds[i];
        if (!used) close_build(&g.builds[i]), g.builds[i].peer = NULL;
    }
}

/* ---- 2. recall, 3. rounds -------------------------------------------------------------------- */

static void settle(struct point *p, size_t k, uint32_t *ids)
{
    struct build *b = p->build;
    if (!open_build(b)) exit(65);
    for (int way = 0; way < 2; way++) {
        struct timing t;
        /* The exact scans and the like need not answer them all. */
        size_t n = queries_in(3, p->tuned_qps[way], 20);
        int known = !isnan(p->recall[way]);
        if (!p->chosen[way] || (known && b->growth_mb != 0)) continue;
        if (known) n = at_most(500, n); /* enough to have its pages here */
        b->peer->set(b->index, k, p->setting);
        time_roughly(b->peer, b->index, &g.queries, n, k, way ? MODE_BATCH1 : MODE_SINGLE, ids, &t);
        if (known) continue;
        p->recall[way] = check_recall(&g.base, &g.queries, n, k, ids, &g.truth);
        if (b->peer->cost != NULL) b->peer->cost(b->index, &p->candidates, &p->bytes, &p->products);
    }
    if (b->growth_mb == 0) b->growth_mb = resident_mb() - b->before_mb;
}

static void time_point(struct point *p, enum mode mode, size_t k, uint32_t *ids)
{
    struct timing t;
    const struct build *b = p->build;
    int way = mode != MODE_SINGLE;
    if (!p->chosen[way] || !is_asked(mode, k)) return;
    double seconds = g.quick ? 0.05 : way ? 0.2 : 0.15;
    size_t n = queries_in(seconds, p->tuned_qps[way], 50);
    quiet_take();
    b->peer->set(b->index, k, p->setting);
    time_pass(b->peer, b->index, &g.queries, n, k, mode, ids, &t);
    if (t.qps > p->best[mode].qps) p->best[mode] = t;
}

static void print_number(FILE *f, double value, const char *format)
{
    fputc(',', f);
    if (isfinite(value)) fprintf(f, format, value);
}

static void print_point(const struct point *p, size_t k)
{
    const struct build *b = p->build;
    for (int mode = 0; mode < N_MODES; mode++) {
        int way = mode != MODE_SINGLE;
        const struct timing *t = &p->best[mode];
        if (!p->chosen[way] || t->qps <= 0) continue;
        for (int file = 0; file < 2; file++) {
            FILE *f = file ? g.costs : g.rows;
            if (f == NULL) continue;
            char params[64 + setting_length];
            snprintf(params, sizeof params, "%s %s", b->name, p->setting);
            for (char *c = params; *c != '\0'; c++)
                if (*c == ',') *c = ' ';
            if (p->setting[0] == '\0') params[strlen(b->name)] = '\0';
            fprintf(f, "%s,%s,%s,%s,%s,%zu,%.5f,%.1f", g.dataset, b->peer->name, b->peer->version,
                    mode_names[mode], params, k, p->recall[way], t->qps);
            if (file == 0) {
                print_number(f, p->candidates, "%.1f");
                print_number(f, t->p99_us, "%.1f");
                print_number(f, b->seconds, "%.3f");
                print_number(f, b->size_mb, "%.1f");
            } else {
                print_number(f, t->p50_us, "%.1f");
                print_number(f, t->p95_us, "%.1f");
                print_number(f, t->p99_us, "%.1f");
                print_number(f, b->growth_mb, "%.0f");
                print_number(f, p->bytes, "%.0f");
                print_number(f, p->products, "%.0f");
            }
            fputc('\n', f);
        }
    }
}

static void compare(size_t k)
{
    size_t n = g.queries.n_rows;
    uint32_t *ids = room(n * k, sizeof *ids);
    g.n_points = 0;
    for (size_t i = 0; i < g.n_peers; i++) tune(g.peers[i], k, ids);
    drop_idle_builds();
    for (size_t i = 0; i < g.n_points; i++) settle(&g.points[i], k, ids);
    for (size_t i = 0; i < g.n_peers; i++) keep_tuned(g.peers[i], k);
    for (int round = 0; round < g.rounds; round++) {
        fprintf(stderr, "%s: k = %zu, round %d of %d: %zu points\n", g.dataset, k, round + 1,
                g.rounds, g.n_points);
        for (int mode = 0; mode < N_MODES; mode++)
            for (size_t i = 0; i < g.n_points; i++)
                time_point(&g.points[round % 2 == 0 ? i : g.n_points - 1 - i], (enum mode)mode, k,
                           ids);
    }
    quiet_leave();
    for (size_t i = 0; i < g.n_points; i++) print_point(&g.points[i], k);
    free(ids);
}

/* ---- the command line ------------------------------------------------------------------------ */

static void read_ks(const char *text)
{
    for (g.n_ks = 0; *text != '\0' && g.n_ks < max_ks; g.n_ks++) {
        char *end;
        g.ks[g.n_ks] = strtoul(text, &end, 10);
        if (end == text || g.ks[g.n_ks] < 1) fail("is not a list of numbers", text);
        text = *end == ',' ? end + 1 : end;
    }
}

static void read_modes(const char *text)
{
    memset(g.modes, 0, sizeof g.modes);
    while (*text != '\0') {
        size_t length = strcspn(text, ","), mode = 0;
        while (mode < N_MODES &&
               (strlen(mode_names[mode]) != length || strncmp(text, mode_names[mode], length) != 0))
            mode++;
        if (mode == N_MODES) fail("is not a list of single, batch1 and batch2", text);
        g.modes[mode] = 1;
        text += length + (text[length] == ',');
    }
}

static void add_own(char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || n_own_indexes == 16) fail("must be LABEL=FILE", text);
    *equals = '\0';
    own_indexes[n_own_indexes++] = (struct own_index){text, equals + 1};
}

static FILE *table(const char *file, const char *head)
{
    FILE *f = fopen(file, "w");
    if (f == NULL) fail("cannot be written", file);
    fprintf(f, "dataset,method,version,mode,params,k,recall,qps,%s\n", head);
    return f;
}

static void read_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--quick") == 0) {
            g.quick = 1;
        } else if (strcmp(name, "--realtime") == 0) {
            quiet.realtime = 1;
        } else if (strcmp(name, "--table") == 0) {
            g.table_only = 1;
        } else if (++i == argc) {
            fail("needs a value", name);
        } else if (strcmp(name, "--dataset") == 0) {
            g.dataset = argv[i];
        } else if (strcmp(name, "--base") == 0) {
            g.base_file = argv[i];
        } else if (strcmp(name, "--queries") == 0) {
            g.query_file = argv[i];
        } else if (strcmp(name, "--cache") == 0) {
            g.cache = argv[i];
        } else if (strcmp(name, "--index") == 0) {
            add_own(argv[i]);
        } else if (strcmp(name, "--peer") == 0) {
            load_peer(argv[i]);
        } else if (strcmp(name, "--k") == 0) {
            read_ks(argv[i]);
        } else if (strcmp(name, "--rounds") == 0) {
            g.rounds = atoi(argv[i]);
        } else if (strcmp(name, "--core") == 0) {
            quiet.core = atoi(argv[i]);
        } else if (strcmp(name, "--builds") == 0) {
            g.most_builds = strtoul(argv[i], NULL, 10);
        } else if (strcmp(name, "--tune") == 0) {
            g.tune_queries = strtoul(argv[i], NULL, 10);
            if (g.tune_queries < 80) fail("is too few to choose by: 80 at least", argv[i]);
        } else if (strcmp(name, "--metric") == 0) {
            g.cosine = strcmp(argv[i], "cosine") == 0;
            if (!g.cosine && strcmp(argv[i], "l2") != 0) fail("is neither l2 nor cosine", argv[i]);
        } else if (strcmp(name, "--modes") == 0) {
            read_modes(argv[i]);
        } else if (strcmp(name, "--without") == 0) {
            g.without = argv[i];
        } else if (strcmp(name, "--lock") == 0) {
            quiet.lock = argv[i];
        } else if (strcmp(name, "--rows") == 0) {
            g.rows = table(argv[i], "candidates,p99_us,build_s,index_mb");
        } else if (strcmp(name, "--costs") == 0) {
            g.costs = table(argv[i], "p50_us,p95_us,p99_us,rss_mb,bytes,products");
        } else {
            fail("is not an option (see bench/peers/compare.c)", name);
        }
    }
}

int main(int argc, char **argv)
{
    g.cache = "out/peers";
    g.rounds = 3;
    g.most_builds = max_builds;
    g.tune_queries = 2000;
    quiet.core = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    read_ks("10");
    read_modes("single,batch1,batch2");
    add_peers(own_peers);
    read_arguments(argc, argv);
    if (g.without != NULL) leave_out(g.without);
    if (g.base_file == NULL || g.query_file == NULL || g.dataset == NULL)
        fail("--dataset, --base and --queries are needed", argv[0]);
    load_data();
    for (size_t i = 0; i < g.n_ks; i++) compare(g.ks[i]);
    for (size_t i = 0; i < g.n_builds; i++) close_build(&g.builds[i]);
    if (g.rows != NULL && fclose(g.rows) != 0) fail("could not be written whole", "--rows");
    if (g.costs != NULL && fclose(g.costs) != 0) fail("could not be written whole", "--costs");
    return 0;
}
