/*
 * use.c FOLDER - a program of another version than the library: compiled against headers that were kept
 * (keep.sh), as they are, with structs that are shorter, or with structs that are longer (change.sh).
 *
 * Behind each struct lie bytes that nobody may write to. What the headers have is there; what they do not
 * have takes its default; what only they have is refused where it is set, and 0 in an answer.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nlsh/learn.h>

#if defined(SHORTER) != defined(NLSH_CHANGED_shorter) ||                                           \
    defined(LONGER) != defined(NLSH_CHANGED_longer)
#error "these are not the headers that were meant"
#endif

enum { N = 400, DIM = 8, K = 5, M = 6, GUARD = 64, MARK = 0x5a };

static const char *folder;
static unsigned char data[N * DIM];
static const struct nlsh_matrix base = {data, N, DIM, NLSH_U8, 0};

#define CHECK(holds)                                                                               \
    do {                                                                                           \
        if (holds) break;                                                                          \
        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                \
        exit(1);                                                                                   \
    } while (0)

/* The call succeeds. */
#define DO(call)                                                                                   \
    do {                                                                                           \
        struct nlsh_error error;                                                                   \
        if ((call) == NLSH_OK) break;                                                              \
        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, error.message);                         \
        exit(1);                                                                                   \
    } while (0)

/* A variable whose member s is the struct, all of it marked. */
#define GUARDED(type, name)                                                                        \
    struct {                                                                                       \
        struct type s;                                                                             \
        unsigned char guard[GUARD];                                                                \
    } name;                                                                                        \
    memset(&name, MARK, sizeof name)

/* The same, ready for an answer. */
#define ANSWER(type, name)                                                                         \
    GUARDED(type, name);                                                                           \
    name.s.struct_size = sizeof name.s

#define INTACT(name)                                                                               \
    do {                                                                                           \
        for (int byte = 0; byte < GUARD; byte++) CHECK((name).guard[byte] == MARK);                \
        CHECK((name).s.struct_size == sizeof(name).s);                                             \
    } while (0)

/* A member that only this program knows. */
#ifdef LONGER
#define NEWER_IS_0(name) CHECK((name).s.of_the_future == 0)
#else
#define NEWER_IS_0(name) (void)(name)
#endif

static const char *path(const char *name)
{
    static char paths[4][4096];
    static int next;
    char *out = paths[next++ % 4];
    snprintf(out, sizeof paths[0], "%s/%s", folder, name);
    return out;
}

/* ---- make ------------------------------------------------------------------------------------ */

static void fill_options(struct nlsh_build_options *o)
{
    nlsh_build_options_init(o, sizeof *o);
    o->n_buckets = M;
    o->nodes = 16;
    o->layers = 1;
    o->epochs = 2;
    o->partitioner = NLSH_PARTITIONER_KMEANS;
}

static void build(void)
{
    GUARDED(nlsh_run, run);
    GUARDED(nlsh_build_options, options);
    ANSWER(nlsh_build_forecast, forecast);
    ANSWER(nlsh_build_report, report);
    char text[32];
    nlsh_run_init(&run.s, sizeof run.s);
    INTACT(run);
    CHECK(run.s.n_threads >= 1 && run.s.progress == NULL && run.s.cache_dir == NULL);
    NEWER_IS_0(run);
    run.s.n_threads = 2;
    fill_options(&options.s);
    INTACT(options);
    NEWER_IS_0(options);
    DO(nlsh_build_options_set(&options.s, "knn", "9", &error));
    INTACT(options);
    CHECK(options.s.knn == 9);
    CHECK(nlsh_build_options_get(&options.s, "epochs", text, sizeof text) == 1);
    CHECK(strcmp(text, "2") == 0);
    DO(nlsh_build_resolve(&base, &options.s, &run.s, &forecast.s, &error));
    INTACT(options);
    INTACT(forecast);
    CHECK(options.s.components >= 1 && options.s.components <= DIM);
    CHECK(forecast.s.seconds > 0 && forecast.s.peak_bytes > 0);
    NEWER_IS_0(forecast);
    DO(nlsh_build(&base, &options.s, path("a.nlsh"), &run.s, &report.s, &error));
    INTACT(report);
    CHECK(report.s.seconds[NLSH_STAGE_TRAIN] > 0 && report.s.held_out_scanned > 0);
    CHECK(report.s.partitioner == NLSH_PARTITIONER_KMEANS);
    NEWER_IS_0(report);
    for (size_t i = 0; nlsh_build_setting(i) != NULL; i++)
        CHECK(nlsh_build_setting(i)->name[0] != '\0' && nlsh_build_setting(i)->help[0] != '\0');
#ifndef SHORTER
    CHECK(report.s.index_bytes > 0 && forecast.s.index_bytes > 0);
#endif
#ifdef LONGER
    struct nlsh_error error;
    options.s.of_the_future = 1;
    CHECK(nlsh_build(&base, &options.s, path("b.nlsh"), &run.s, NULL, &error) ==
          NLSH_E_UNSUPPORTED);
    options.s.of_the_future = 0;
    run.s.of_the_future = 1;
    CHECK(nlsh_build(&base, &options.s, path("b.nlsh"), &run.s, NULL, &error) ==
          NLSH_E_UNSUPPORTED);
#endif
}

/* ---- look inside ----------------------------------------------------------------------------- */

static void inspect(const struct nlsh_index *index)
{
    ANSWER(nlsh_index_info, info);
    ANSWER(nlsh_section_info, section);
    ANSWER(nlsh_segment, segment);
    size_t rows = 0;
    DO(nlsh_index_info(index, &info.s, &error));
    INTACT(info);
    CHECK(info.s.n_rows == N && info.s.dim == DIM && info.s.n_buckets == M);
    CHECK(info.s.n_segments == 1 && info.s.settings[0] == '{');
    NEWER_IS_0(info);
    for (size_t i = 0; nlsh_index_section(index, i, &section.s); i++) {
        INTACT(section);
        CHECK(section.s.name[0] != '\0' && section.s.segment == 0);
        NEWER_IS_0(section);
    }
    CHECK(nlsh_index_segment(index, 0, &segment.s) == 1);
    INTACT(segment);
    CHECK(segment.s.n_rows == N && segment.s.bucket_offsets[M] == N);
    for (size_t i = 0; i < N; i++) rows += segment.s.rows[i];
    CHECK(rows == (size_t)N * (N - 1) / 2);
    NEWER_IS_0(segment);
#ifndef SHORTER
    CHECK(info.s.has_keys == 0 && section.s.used == 1 && segment.s.keys == NULL);
#endif
}

/* ---- search ---------------------------------------------------------------------------------- */

static void search(const struct nlsh_index *index)
{
    static uint64_t keys[N * K];
    static float distances[N * K];
    static uint32_t counts[3][N];
    struct nlsh_searcher *searcher;
    struct nlsh_searcher_pool *pool;
    struct nlsh_matrix one = base;
    size_t n_found;
    GUARDED(nlsh_search_options, how);
    ANSWER(nlsh_search_stats, stats);
    nlsh_search_options_init(&how.s, sizeof how.s);
    INTACT(how);
    CHECK(how.s.k == 10 && how.s.recall == 0.95 && how.s.n_threads == 1);
    NEWER_IS_0(how);
    how.s.k = K;
    how.s.probes = M;
    stats.s = (struct nlsh_search_stats){
        .struct_size = sizeof stats.s, .probes = counts[0], .candidates = counts[1]};
#ifndef SHORTER
    stats.s.ranked = counts[2];
#endif
    DO(nlsh_searcher_create(index, &searcher, &error));
    DO(nlsh_searcher_pool_create(index, 2, &pool, &error));
    for (int way = 0; way < 3; way++) {
        memset(keys, MARK, sizeof keys);
        memset(counts, 0, sizeof counts);
        how.s.n_threads = 2;
        if (way == 0)
            DO(nlsh_search(searcher, &base, &how.s, keys, distances, &stats.s, &error));
        else if (way == 1)
            DO(nlsh_search_batch(index, &base, &how.s, keys, distances, &stats.s, &error));
        else
            DO(nlsh_searcher_pool_search(pool, &base, &how.s, keys, distances, &stats.s, &error));
        INTACT(how);
        INTACT(stats);
        for (size_t i = 0; i < N; i++) {
            CHECK(keys[i * K] <= i && distances[i * K] == 0); /* itself, or a copy before it */
            CHECK(counts[0][i] == M && counts[1][i] == N);
#ifndef SHORTER
            CHECK(counts[2][i] == N);
#else
            CHECK(counts[2][i] == 0);
#endif
        }
    }
    one.n_rows = 1;
    DO(nlsh_search_range(searcher, &one, &how.s, 1e9, keys, distances, K, &n_found, &error));
    CHECK(n_found == N); /* no filter */
#ifdef LONGER
    struct nlsh_error error;
    how.s.of_the_future = (uint64_t)1 << 63;
    CHECK(nlsh_search(searcher, &base, &how.s, keys, distances, NULL, &error) ==
          NLSH_E_UNSUPPORTED);
    CHECK(nlsh_search_range(searcher, &one, &how.s, 1, keys, NULL, K, &n_found, &error) ==
          NLSH_E_UNSUPPORTED);
#endif
    nlsh_searcher_pool_free(pool);
    nlsh_searcher_free(searcher);
}

/* ---- neighbours, curves, tuning -------------------------------------------------------------- */

static void judge(const struct nlsh_index *index)
{
    GUARDED(nlsh_neighbors, truth);
    GUARDED(nlsh_neighbors, graph);
    ANSWER(nlsh_curve_point, point);
    ANSWER(nlsh_reliability_bin, bin);
    struct nlsh_curve *curve;
    struct nlsh_reliability *reliability;
    double recall;
    nlsh_neighbors_init(&truth.s, sizeof truth.s);
    nlsh_neighbors_init(&graph.s, sizeof graph.s);
    NEWER_IS_0(graph);
    DO(nlsh_ground_truth(&base, &base, NLSH_L2, K, NULL, &truth.s, &error));
    INTACT(truth);
    CHECK(truth.s.n_rows == N && truth.s.k == K && truth.s.distances[0] == 0);
    NEWER_IS_0(truth);
    DO(nlsh_graph_build(&base, NLSH_L2, NLSH_GRAPH_EXACT, K, 1, NULL, &graph.s, &error));
    DO(nlsh_graph_recall(&base, NLSH_L2, &graph.s, 20, 1, NULL, &recall, &error));
    CHECK(recall == 1);
    DO(nlsh_neighbors_write(path("a.graph"), &truth.s, &error));
    nlsh_neighbors_free(&truth.s);
    INTACT(truth);
    CHECK(truth.s.ids == NULL);
    DO(nlsh_neighbors_read(path("a.graph"), &truth.s, &error));
    INTACT(truth);
    DO(nlsh_evaluate(index, &base, &truth.s, K, NULL, &curve, &error));
    for (size_t i = 0; i < nlsh_curve_n_points(curve); i++) {
        CHECK(nlsh_curve_point(curve, i, &point.s) == 1);
        INTACT(point);
        CHECK(point.s.recall >= 0 && point.s.recall <= 1 && point.s.probes >= 1);
        NEWER_IS_0(point);
#ifndef SHORTER
        CHECK(point.s.oracle_recall >= point.s.recall);
#endif
    }
    DO(nlsh_reliability(index, &base, &truth.s, K, NULL, &reliability, &error));
    CHECK(nlsh_reliability_bin(reliability, 0, &bin.s) == 1);
    INTACT(bin);
    CHECK(bin.s.low >= 0 && bin.s.high > bin.s.low && bin.s.observed <= 1);
    NEWER_IS_0(bin);
    nlsh_reliability_free(reliability);
    nlsh_curve_free(curve);
    nlsh_neighbors_free(&graph.s);
    nlsh_neighbors_free(&truth.s);
    INTACT(graph);
    INTACT(truth);
}

static void tune(void)
{
    GUARDED(nlsh_tune_options, options);
    GUARDED(nlsh_build_options, first);
    ANSWER(nlsh_tune_report, report);
    fill_options(&first.s);
    nlsh_tune_options_init(&options.s, sizeof options.s);
    INTACT(options);
    CHECK(options.s.n_trials == 50 && options.s.resume == 0 && options.s.build == NULL);
    NEWER_IS_0(options);
    options.s.build = &first.s;
    options.s.folder = path("tuned");
    options.s.n_trials = options.s.n_folds = options.s.epochs = 1;
    options.s.top_k = options.s.final_epochs = 1;
    DO(nlsh_tune(&base, &options.s, NULL, &report.s, &error));
    INTACT(options);
    INTACT(first);
    INTACT(report);
    CHECK(report.s.n_complete == 1 && report.s.n_models >= 1 && report.s.left_to_another == 0);
    NEWER_IS_0(report);
#ifndef SHORTER
    CHECK(report.s.best_file[0] != '\0');
#endif
}

int main(int argc, char **argv)
{
    struct nlsh_index *index;
    unsigned random = 1;
    if (argc != 2) return 2;
    folder = argv[1];
    for (size_t i = 0; i < sizeof data; i++) {
        random = random * 1664525u + 1013904223u;
        data[i] = (unsigned char)((i / DIM * 37 + i % DIM * 11) % 7 * 25 + (random >> 27));
    }
    build();
    GUARDED(nlsh_open_options, how);
    nlsh_open_options_init(&how.s, sizeof how.s);
    INTACT(how);
    CHECK(how.s.memory == NLSH_MEMORY_MAP);
    DO(nlsh_index_open(path("a.nlsh"), &how.s, &index, &error));
    inspect(index);
    search(index);
    judge(index);
    nlsh_index_close(index);
    tune();
    printf("headers of %s with library %s\n", NLSH_VERSION, nlsh_version());
    return 0;
}
