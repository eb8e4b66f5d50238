/*
 * test_settings.c - the table of settings: every default sets, every value reads back as it was
 * written, what is outside its meaning is refused with words; JSON files likewise.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "testing.h"

#include <math.h>
#include <sys/mman.h>

#include "make/resolve.h"
#include "make/settings.h"

static const struct nlsh_setting *setting(size_t i)
{
    return nlsh_build_setting(i);
}

/* -1 where there is no such. */
static int number_of(const char *name)
{
    for (int i = 0; setting((size_t)i) != NULL; i++)
        if (strcmp(setting((size_t)i)->name, name) == 0) return i;
    return -1;
}

static void check_set(struct nlsh_build_options *o, const char *name, const char *value)
{
    struct nlsh_error error;
    if (nlsh_build_options_set(o, name, value, &error) != NLSH_OK)
        fail_msg("%s=%s: %s (%s)", name, value, error.message, error.hint);
}

static void check_refused(const char *name, const char *value)
{
    struct nlsh_build_options before, after;
    struct nlsh_error error;
    nlsh_build_options_init(&before, sizeof before);
    memcpy(&after, &before, sizeof after);
    if (nlsh_build_options_set(&after, name, value, &error) != NLSH_E_ARG)
        fail_msg("%s takes \"%s\"", name, value);
    assert_memory_equal(&before, &after, sizeof after); /* nothing half done */
    assert_non_null(strstr(error.message, name));
    assert_true(error.hint[0] != '\0');
    assert_int_equal(nlsh_build_options_set(&after, name, value, NULL), NLSH_E_ARG);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void the_table_holds_together(void **state)
{
    (void)state;
    static const char *const names[] = {"m",         "knn",         "imbalance",  "seed",
                                        "graph",     "partitioner", "kahip_mode", "labels",
                                        "label_knn", "layers",      "nodes",      "dropout",
                                        "epochs",    "batch_size",  "lr",         "weight_decay",
                                        "scheduler"}; /* promised to users */
    struct nlsh_build_options o, again;
    size_t n = 0;
    nlsh_build_options_init(&o, sizeof o);
    for (; setting(n) != NULL; n++) {
        const struct nlsh_setting *s = setting(n);
        char value[64];
        struct nlsh_error error;
        assert_int_equal(number_of(s->name), n); /* no name twice */
        assert_true(s->argument[0] != '\0' && s->help[0] != '\0');
        assert_true(s->help[strlen(s->help) - 1] != '.');
        memcpy(&again, &o, sizeof o);
        if (nlsh_build_options_set(&again, s->name, s->default_value, &error) != NLSH_OK)
            fail_msg("the default of %s: %s", s->name, error.message);
        assert_memory_equal(&o, &again, sizeof o); /* init() took the same */
        assert_int_equal(nlsh_build_options_get(&o, s->name, value, sizeof value), 1);
        assert_string_equal(value, s->default_value);
    }
    assert_null(setting(n + 1));
    assert_null(setting(SIZE_MAX));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(number_of(names[i]) >= 0);
}

/* What the table's text says a value may be, some of each kind. */
static size_t values_of(const struct nlsh_setting *s, struct nlsh__rng *rng, char out[16][64])
{
    size_t n = 0;
    if (s->argument[0] == '{') {
        char list[256];
        snprintf(list, sizeof list, "%s", s->argument + 1);
        for (char *word = strtok(list, ",}"); word != NULL; word = strtok(NULL, ",}"))
            snprintf(out[n++], 64, "%s", word);
        return n;
    }
    if (strcmp(s->name, "seed") == 0) {
        snprintf(out[n++], 64, "0");
        snprintf(out[n++], 64, "18446744073709551615");
        snprintf(out[n++], 64, "9223372036854775807");
        snprintf(out[n++], 64, "9223372036854775808");
        snprintf(out[n++], 64, "%llu", (unsigned long long)nlsh__rng_u64(rng));
        return n;
    }
    if (strcmp(s->default_value, "auto") == 0) snprintf(out[n++], 64, "auto");
    snprintf(out[n++], 64, "1");
    if (strcmp(s->name, "dropout") == 0) n--;
    snprintf(out[n++], 64, "%s", s->default_value);
    if (strcmp(s->name, "imbalance") == 0 || strcmp(s->name, "dropout") == 0 ||
        strcmp(s->name, "lr") == 0 || strcmp(s->name, "weight_decay") == 0)
        for (int i = 0; i < 8; i++) snprintf(out[n++], 64, "%.17g", 0.9 * nlsh__rng_uniform(rng));
    return n;
}

static void values_read_back(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 1);
    for (size_t i = 0; setting(i) != NULL; i++) {
        char values[16][64];
        size_t n = values_of(setting(i), &rng, values);
        assert_true(n >= 2);
        for (size_t v = 0; v < n; v++) {
            struct nlsh_build_options o, again;
            char text[64], tiny[3];
            const char *name = setting(i)->name;
            nlsh_build_options_init(&o, sizeof o);
            memcpy(&again, &o, sizeof o);
            check_set(&o, name, values[v]);
            assert_int_equal(nlsh_build_options_get(&o, name, text, sizeof text), 1);
            check_set(&again, name, text);
            assert_memory_equal(&o, &again, sizeof o); /* to the last bit */
            assert_int_equal(nlsh_build_options_get(&o, name, tiny, sizeof tiny), 1);
            assert_int_equal(tiny[strlen(text) < 2 ? strlen(text) : 2], '\0');
            /* And through the record that an index keeps. */
            char *json = nlsh__settings_json(&o);
            assert_non_null(json);
            test_write_file(test_path("s.json"), json, strlen(json));
            struct nlsh_error error;
            nlsh_build_options_init(&again, sizeof again);
            again.layers = 7;
            again.seed = 99;
            if (nlsh_build_options_read(test_path("s.json"), &again, &error) != NLSH_OK)
                fail_msg("%s: %s", error.message, json);
            assert_memory_equal(&o, &again, sizeof o);
            free(json);
        }
    }
    struct nlsh_build_options o;
    char text[8] = "x";
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(nlsh_build_options_get(&o, "nothing", text, sizeof text), 0);
}

static void what_is_outside_is_refused(void **state)
{
    (void)state;
    static const char *const never[] = {"",          " ",         "x",     "nan", "inf",
                                        "-inf",      "-1",        "1e999", "3 4", "12,5",
                                        "automatic", "soft,hard", "0x",    "1e",  "--"};
    for (size_t i = 0; setting(i) != NULL; i++)
        for (size_t v = 0; v < sizeof never / sizeof *never; v++)
            check_refused(setting(i)->name, never[v]);
    static const char *const pairs[][2] = {{"m", "0"},
                                           {"m", "65537"},
                                           {"m", "1.5"},
                                           {"knn", "0"},
                                           {"knn", "1001"},
                                           {"knn", "auto"},
                                           {"seed", "18446744073709551616"},
                                           {"seed", "1.0"},
                                           {"seed", "+1"},
                                           {"seed", " 1"},
                                           {"kahip_mode", "6"},
                                           {"label_knn", "0"},
                                           {"components", "0"},
                                           {"layers", "9"},
                                           {"nodes", "0"},
                                           {"nodes", "4097"},
                                           {"dropout", "0.91"},
                                           {"epochs", "0"},
                                           {"batch_size", "0"},
                                           {"lr", "0"},
                                           {"lr", "10.5"},
                                           {"lr", "auto"},
                                           {"weight_decay", "11"},
                                           {"scheduler", "cos"},
                                           {"scheduler", "COSINE"},
                                           {"graph", "Exact"},
                                           {"labels", "auto"},
                                           {"partitioner", "metis "}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        check_refused(pairs[i][0], pairs[i][1]);
    struct nlsh_build_options o;
    struct nlsh_error error;
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(nlsh_build_options_set(&o, "buckets", "5", &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "buckets"));
    assert_int_equal(nlsh_build_options_set(&o, "", "5", &error), NLSH_E_ARG);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static enum nlsh_status read_text(const char *text, struct nlsh_build_options *o,
                                  struct nlsh_error *error)
{
    const char *path = test_path("c.json");
    test_write_file(path, text, strlen(text));
    return nlsh_build_options_read(path, o, error);
}

static void json_is_read(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_error error;
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(read_text("{\"m\": 256, \"labels\": \"hard\", \"lr\": 0.25, \"knn\": \"12\", "
                               "\"batch-size\": 64,\n"
                               "  \"imbalance\": 1, \"seed\": 7, \"epochs\": \"auto\"}",
                               &o, &error),
                     NLSH_OK);
    assert_int_equal(o.n_buckets, 256);
    assert_int_equal(o.labels, NLSH_LABELS_HARD);
    assert_true(o.lr == 0.25 && o.imbalance == 1);
    assert_int_equal(o.knn, 12);
    assert_int_equal(o.seed, 7);
    assert_int_equal(o.batch_size, 64);
    assert_int_equal(o.epochs, NLSH_AUTO);
    struct nlsh_build_options before = o;
    assert_int_equal(read_text("{}", &o, &error), NLSH_OK);
    assert_memory_equal(&before, &o, sizeof o);
    /* Long text is read to its end. */
    char text[200];
    snprintf(text, sizeof text, "{\"seed\": \"%0100d\"}", 123);
    assert_int_equal(read_text(text, &o, &error), NLSH_OK);
    assert_int_equal(o.seed, 123);
}

static void json_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum nlsh_status status;
        const char *word;
    } cases[] = {
        {"", NLSH_E_DATA, "line"},
        {"{", NLSH_E_DATA, "line 1"},
        {"{\"m\": 256,}", NLSH_E_DATA, "line 1"},
        {"{\"m\": 256}\n{}", NLSH_E_DATA, "line 2"},
        {"{\"m\":\n 256,\n \"knn\" 3}", NLSH_E_DATA, "line 3"},
        {"[1, 2]", NLSH_E_DATA, "not a JSON object"},
        {"7", NLSH_E_DATA, "line 1"},
        {"\"m\"", NLSH_E_DATA, "line 1"},
        {"null", NLSH_E_DATA, "line 1"},
        {"{\"m\": 1, \"knn\": 3, \"m\": 2}", NLSH_E_DATA, "duplicate"},
        {"{\"buckets\": 5}", NLSH_E_ARG, "buckets"},
        {"{\"M\": 5}", NLSH_E_ARG, "\"M\""},
        {"{\"m\": true}", NLSH_E_ARG, "m is true"},
        {"{\"m\": null}", NLSH_E_ARG, "m is null"},
        {"{\"m\": [5]}", NLSH_E_ARG, "m is an array"},
        {"{\"m\": {\"a\": 5}}", NLSH_E_ARG, "m is an object"},
        {"{\"buckets\": null}", NLSH_E_ARG, "no setting"},
        {"{\"m\": -5}", NLSH_E_ARG, "-5"},
        {"{\"m\": 2.5}", NLSH_E_ARG, "2.5"},
        {"{\"m\": 1e300}", NLSH_E_ARG, "m is"},
        {"{\"m\": 99999999999999999999}", NLSH_E_DATA, "line 1"},
        {"{\"labels\": 1}", NLSH_E_ARG, "labels is"},
        {"{\"labels\": \"softly\"}", NLSH_E_ARG, "softly"},
        {"{\"labels\": \"soft\\u0000\"}", NLSH_E_DATA, "line 1"},
        {"{\"layers\": 3, \"knn\": 5, \"lr\": \"fast\"}", NLSH_E_ARG, "fast"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nlsh_build_options o, before;
        struct nlsh_error error;
        nlsh_build_options_init(&o, sizeof o);
        memcpy(&before, &o, sizeof o);
        enum nlsh_status status = read_text(cases[i].text, &o, &error);
        if (status != cases[i].status) fail_msg("%s: status %d", cases[i].text, (int)status);
        if (strstr(error.message, cases[i].word) == NULL || strstr(error.message, "c.json") == NULL)
            fail_msg("%s: no '%s' in '%s'", cases[i].text, cases[i].word, error.message);
        assert_true(error.hint[0] != '\0');
        assert_memory_equal(&before, &o, sizeof o); /* all or nothing */
        assert_int_equal(read_text(cases[i].text, &o, NULL), cases[i].status);
    }
    struct nlsh_build_options o;
    struct nlsh_error error;
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(nlsh_build_options_read(test_path("none.json"), &o, &error), NLSH_E_NO_INPUT);
    assert_non_null(strstr(error.message, "none.json"));
    /* Every cut of a good file is an error; so is a directory. */
    const char *good = "{\"m\": 256, \"labels\": \"hard\"}";
    for (size_t size = 0; size < strlen(good); size++) {
        test_write_file(test_path("c.json"), good, size);
        assert_int_equal(nlsh_build_options_read(test_path("c.json"), &o, &error), NLSH_E_DATA);
    }
    assert_int_equal(nlsh_build_options_read(test_dir(), &o, &error), NLSH_E_NO_INPUT);
    assert_non_null(strstr(error.message, "directory"));
}

/* ---- resolving ------------------------------------------------------------------------------- */

static void auto_is_filled_in(void **state)
{
    (void)state;
    static const size_t rows[] = {2, 3, 10, 79, 80, 1000, 60000, 1000000};
    static const size_t dims[] = {1, 2, 63, 64, 65, 784, 4096, 5000};
    /* zeros, which take no memory until they are written: that is not allowed */
    const size_t size = (size_t)5 << 30;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(data != MAP_FAILED);
    for (size_t r = 0; r < 8; r++)
        for (size_t d = 0; d < 8; d++) {
            struct nlsh_matrix base = {data, rows[r], dims[d], NLSH_U8, 0};
            struct nlsh_build_options o, again;
            struct nlsh_build_forecast forecast = {.struct_size = sizeof forecast};
            struct nlsh_error error;
            nlsh_build_options_init(&o, sizeof o);
            if (nlsh_build_resolve(&base, &o, NULL, &forecast, &error) != NLSH_OK)
                fail_msg("%s", error.message);
            assert_true(o.n_buckets >= 1 && o.n_buckets <= 1024 && o.n_buckets <= rows[r]);
            assert_true(o.components >= 1 && o.components <= dims[d]);
            assert_true(o.epochs >= 1 && o.epochs <= 100000);
            assert_true(o.knn >= 1 && o.knn < rows[r] && o.label_knn >= 1 && o.label_knn < rows[r]);
            assert_true(forecast.seconds > 0 && isfinite(forecast.seconds));
            assert_true(forecast.index_bytes >= rows[r] * dims[d]);
            assert_true(forecast.peak_bytes >= forecast.index_bytes);
            memcpy(&again, &o, sizeof o);
            assert_int_equal(nlsh_build_resolve(&base, &again, NULL, NULL, &error), NLSH_OK);
            assert_memory_equal(&o, &again, sizeof o); /* what is resolved stays */
        }
    munmap(data, size);
}

/* Floats that are all bytes are stored as bytes: the forecast counts them so (the index file is a
 * quarter of what floats would take). */
static void the_forecast_counts_bytes_as_bytes(void **state)
{
    (void)state;
    static float values[100][50];
    struct nlsh_matrix base = {values, 100, 50, NLSH_F32, 0};
    struct nlsh_build_forecast bytes = {.struct_size = sizeof bytes}, floats = bytes;
    struct nlsh_build_options o;
    struct nlsh_error error;
    for (size_t i = 0; i < 100; i++)
        for (size_t j = 0; j < 50; j++) values[i][j] = (float)((i * 7 + j) % 256);
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(nlsh_build_resolve(&base, &o, NULL, &bytes, &error), NLSH_OK);
    values[99][49] = 0.1f; /* which f16 does not hold */
    assert_int_equal(nlsh_build_resolve(&base, &o, NULL, &floats, &error), NLSH_OK);
    assert_int_equal(floats.index_bytes - bytes.index_bytes, 3 * 100 * 50);
}

static void settings_against_the_data(void **state)
{
    (void)state;
    static const uint8_t data[1];
    struct nlsh_matrix base = {data, 50, 4, NLSH_U8, 0};
    struct nlsh_build_options good, o;
    struct nlsh_error error;
    nlsh_build_options_init(&good, sizeof good);
#define REFUSED(member, value, word)                                                               \
    do {                                                                                           \
        o = good;                                                                                  \
        o.member = (value);                                                                        \
        assert_int_equal(nlsh_build_resolve(&base, &o, NULL, NULL, &error), NLSH_E_ARG);           \
        assert_non_null(strstr(error.message, word));                                              \
    } while (0)
    REFUSED(n_buckets, 0, "m is 0");
    REFUSED(n_buckets, 51, "m is 51");
    REFUSED(knn, 0, "knn");
    REFUSED(label_knn, 0, "label_knn");
    REFUSED(components, 0, "components");
    REFUSED(layers, 9, "layers");
    REFUSED(nodes, 0, "nodes");
    REFUSED(nodes, 5000, "nodes");
    REFUSED(dropout, 0.95, "dropout");
    REFUSED(dropout, NAN, "dropout");
    REFUSED(epochs, 0, "epochs");
    REFUSED(batch_size, 0, "batch_size");
    REFUSED(lr, 0, "lr");
    REFUSED(lr, NAN, "lr");
    REFUSED(weight_decay, -1, "weight_decay");
    REFUSED(imbalance, -0.5, "imbalance");
    REFUSED(imbalance, NAN, "imbalance");
    REFUSED(kahip_mode, 6, "kahip_mode");
    REFUSED(partitioner, (enum nlsh_partitioner)5, "partitioner");
    REFUSED(graph, (enum nlsh_graph_method)4, "graph");
    REFUSED(labels, (enum nlsh_labels)2, "labels");
    REFUSED(scheduler, (enum nlsh_scheduler)4, "scheduler");
    o = good; /* more than there is, is cut to what there is */
    o.knn = o.label_knn = 1000;
    o.components = 4096;
    assert_int_equal(nlsh_build_resolve(&base, &o, NULL, NULL, &error), NLSH_OK);
    assert_int_equal(o.knn, 49);
    assert_int_equal(o.label_knn, 49);
    assert_int_equal(o.components, 4);
    base.n_rows = 1;
    o = good;
    assert_int_equal(nlsh_build_resolve(&base, &o, NULL, NULL, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "1 vector"));
}

/* What a text may be set to, a program may put into the struct, and nothing else. */
static void ranges_are_those_of_the_table(void **state)
{
    (void)state;
    struct nlsh__setting_range range;
    struct nlsh_build_options o;
    size_t n_ends = 0;
    for (size_t i = 0; setting(i) != NULL; i++) {
        if (!nlsh__setting_range(i, &range) || range.kind == NLSH__RANGE_CHOICE) continue;
        const char *name = setting(i)->name;
        for (int high = 0; high < 2; high++) {
            char text[64];
            nlsh_build_options_init(&o, sizeof o);
            snprintf(text, sizeof text, "%.17g", high ? range.high : range.low);
            check_set(&o, name, text);
            assert_int_equal(nlsh__settings_check(&o, NULL), NLSH_OK);
            n_ends++;
        }
    }
    assert_true(n_ends > 30);
    static const struct {
        const char *name;
        size_t at;
        size_t value;
    } beyond[] = {
        {"m", offsetof(struct nlsh_build_options, n_buckets), 65537},
        {"knn", offsetof(struct nlsh_build_options, knn), 1001},
        {"code_bytes", offsetof(struct nlsh_build_options, code_bytes), 4097},
        {"leaves", offsetof(struct nlsh_build_options, leaves), 2},
        {"groups", offsetof(struct nlsh_build_options, groups), 65537},
        {"refine", offsetof(struct nlsh_build_options, refine), 21},
        {"batch_size", offsetof(struct nlsh_build_options, batch_size), 1000001},
    };
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        struct nlsh_error error;
        nlsh_build_options_init(&o, sizeof o);
        memcpy((char *)&o + beyond[i].at, &beyond[i].value, sizeof beyond[i].value);
        assert_int_equal(nlsh__settings_check(&o, &error), NLSH_E_ARG);
        assert_non_null(strstr(error.message, beyond[i].name));
    }
    nlsh_build_options_init(&o, sizeof o);
    o.imbalance = 10.5;
    assert_int_equal(nlsh__settings_check(&o, NULL), NLSH_E_ARG);
    o.imbalance = NLSH_AUTO_REAL;
    o.graph = (enum nlsh_graph_method)4;
    char text[16];
    assert_int_equal(nlsh_build_options_get(&o, "graph", text, sizeof text), 1);
    assert_string_equal(text, "4"); /* no name, and no memory of others */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_holds_together),
        cmocka_unit_test(values_read_back),
        cmocka_unit_test(what_is_outside_is_refused),
        cmocka_unit_test(json_is_read),
        cmocka_unit_test(json_that_is_wrong),
        cmocka_unit_test(auto_is_filled_in),
        cmocka_unit_test(the_forecast_counts_bytes_as_bytes),
        cmocka_unit_test(settings_against_the_data),
        cmocka_unit_test(ranges_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
