/*
 * test_unfinished.c - builds of more vectors than memory that are killed (SIGKILL) at any moment, and go on: the bytes are those of
 * a build that nobody stopped. What is of another build, damaged or not ours does no harm.
 *
 * A process is a copy of this one. It kills itself as it is told of a stage for the n-th time: so a seed has the moments.
 * NLSH_KILLS says how many are killed (10).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/streamed.h"

enum { NOTES = 4096 };

/* Memory that both see. */
static struct seen {
    char notes[NOTES];
    size_t rows_read, n_told;
    size_t kill_at;
    char kill_in[32]; /* or as this stage is told of, behind its beginning */
} * seen;

static int tell(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    if (strcmp(stage, seen->kill_in) == 0 && ++seen->n_told == seen->kill_at) (void)raise(SIGKILL);
    return 0;
}

static void note(void *user, const char *sentence)
{
    (void)user;
    size_t n = strlen(seen->notes);
    snprintf(seen->notes + n, NOTES - n, "%s\n", sentence);
}

static enum nlsh_status count_rows(void *user, size_t first, size_t n, void *values,
                                   struct nlsh_error *error)
{
    seen->rows_read += n;
    return read_matrix(user, first, n, values, error);
}

/* Returns whether it came to its end. */
static int run(const struct nlsh_matrix *base, const struct nlsh_build_options *o, const char *path,
               const char *kill_in, size_t kill_at)
{
    int code;
    memset(seen, 0, sizeof *seen);
    seen->kill_at = kill_at;
    snprintf(seen->kill_in, sizeof seen->kill_in, "%s", kill_in);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct of_matrix of = {.matrix = base};
        struct nlsh_rows rows = rows_of(&of);
        struct nlsh_run how = {
            .struct_size = sizeof how, .n_threads = 2, .progress = tell, .note = note};
        struct nlsh_error error;
        rows.read = count_rows;
        int failed = nlsh__build_planned(&rows, o, &few, path, &how, NULL, &error) != NLSH_OK;
        if (failed) printf("%s (%s)\n", error.message, error.hint);
        fflush(stdout);
        _exit(failed);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    if (WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL) return 0;
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
    return 1;
}

static char *beside(const char *path, const char *ending)
{
    static char names[2][512];
    static int next;
    next = !next;
    snprintf(names[next], sizeof names[next], "%s.%s", path, ending);
    return names[next];
}

static size_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static void check_bytes(const char *path, const char *wanted)
{
    size_t size, again_size;
    uint8_t *bytes = test_read_file(wanted, &size), *again = test_read_file(path, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    assert_int_not_equal(access(beside(path, "unfinished"), F_OK), 0);
    assert_int_not_equal(access(beside(path, "unfinished-sample"), F_OK), 0);
}

static struct nlsh_matrix base;
static struct nlsh_build_options options;
static char wanted[512], path[512];

static void begin(enum kind kind, enum nlsh_metric metric)
{
    base = matrix_new(kind, N, 24, 60, 30, 1);
    settings(&options, metric);
    options.epochs = 2;
    snprintf(wanted, sizeof wanted, "%s", test_path("wanted"));
    snprintf(path, sizeof path, "%s", test_path("killed"));
    assert_true(run(&base, &options, wanted, "", 0));
}

static void end(void)
{
    matrix_free(&base);
    (void)unlink(wanted);
    (void)unlink(path);
}

static void killed_at_any_moment_the_bytes_are_the_same(void **state)
{
    static const struct {
        enum kind kind;
        enum nlsh_metric metric;
    } cases[] = {{KIND_U8, NLSH_L2}, {KIND_F32, NLSH_IP}, {KIND_F32, NLSH_COSINE}};
    static const char *const stages[] = {"sampling", "training",          "writing",
                                         "routing",  "routing",           "placing",
                                         "leaves",   "neighbours of all", "exact distances"};
    const char *asked = getenv("NLSH_KILLS");
    size_t kills = asked != NULL ? strtoul(asked, NULL, 10) : 10;
    struct nlsh__rng when;
    (void)state;
    test_rng(&when, 77);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c += TEST_STRIDE) {
        size_t went_on = 0, killed = 0;
        begin(cases[c].kind, cases[c].metric);
        for (size_t i = 0; i < kills; i++) {
            const char *stage = stages[nlsh__rng_below(&when, sizeof stages / sizeof *stages)];
            int ended = run(&base, &options, path, stage, 1 + nlsh__rng_below(&when, 6));
            went_on += strstr(seen->notes, "goes on where it was stopped") != NULL;
            if (ended) check_bytes(path, wanted);
            killed += !ended;
        }
        assert_true(run(&base, &options, path, "", 0));
        check_bytes(path, wanted);
        printf("%zu killed, %zu went on\n", killed, went_on);
        assert_true(kills < 10 || (killed > 0 && went_on > 0));
        end();
    }
}

/* By what is read: the first pass sees all rows, and later ones only what is left to do. */
static void what_is_done_is_not_done_again(void **state)
{
    size_t left = N - few.block;
    (void)state;
    begin(KIND_U8, NLSH_L2);
    assert_false(run(&base, &options, path, "routing", 2)); /* as the second block begins */
    assert_false(run(&base, &options, path, "placing", 2));
    assert_true(seen->rows_read >= N + left && seen->rows_read <= N + left + few.block * 2);
    assert_non_null(strstr(seen->notes, "700 rows have their buckets"));
    assert_false(run(&base, &options, path, "neighbours of all", 2));
    assert_int_equal(seen->rows_read, 2 * N);
    assert_true(run(&base, &options, path, "", 0));
    assert_int_equal(seen->rows_read, 2 * N);
    assert_non_null(strstr(seen->notes, "4000 rows have their buckets"));
    check_bytes(path, wanted);
    end();
}

static void other_settings_and_vectors_begin_anew(void **state)
{
    (void)state;
    begin(KIND_U8, NLSH_L2);
    options.seed++;
    assert_false(run(&base, &options, path, "placing", 2));
    options.seed--;
    assert_true(run(&base, &options, path, "", 0));
    assert_non_null(strstr(seen->notes, "is of a build with other settings: this one begins anew"));
    check_bytes(path, wanted);
    uint8_t *value = (uint8_t *)(uintptr_t)base.data + 24 * 3999;
    *value ^= 1;
    assert_false(run(&base, &options, path, "placing", 2));
    *value ^= 1;
    assert_true(run(&base, &options, path, "", 0));
    assert_non_null(strstr(seen->notes, "is of a build with other vectors: this one begins anew"));
    check_bytes(path, wanted);
    end();
}

static void damage(const char *name, size_t at, size_t cut_to)
{
    uint8_t byte;
    int fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    if (cut_to > 0)
        assert_int_equal(ftruncate(fd, (off_t)cut_to), 0);
    else
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void damage_is_told_and_does_no_harm(void **state)
{
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 78);
    begin(KIND_F32, NLSH_L2);
    for (size_t i = 0; i < 6; i++) {
        int of_sample = i % 3 == 0, cuts = i % 3 == 1;
        assert_false(run(&base, &options, path, "neighbours of all", 2));
        const char *name = beside(path, of_sample ? "unfinished-sample" : "unfinished");
        size_t size = file_size(name), at = 8 + nlsh__rng_below(&rng, size - 8);
        damage(name, at, cuts ? at : 0);
        assert_true(run(&base, &options, path, "", 0));
        if (!cuts && strstr(seen->notes, "is damaged") == NULL)
            fail_msg("%s, byte %zu of %zu: not told: %s", name, at, size, seen->notes);
        check_bytes(path, wanted);
    }
    end();
}

static void what_is_no_journal_stays(void **state)
{
    size_t size;
    (void)state;
    begin(KIND_U8, NLSH_L2);
    FILE *file = fopen(beside(path, "unfinished"), "w");
    assert_non_null(file);
    assert_true(fputs("my notes", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_true(run(&base, &options, path, "", 0));
    assert_non_null(strstr(seen->notes, "it is no journal of a build, and stays as it is"));
    uint8_t *kept = test_read_file(beside(path, "unfinished"), &size);
    assert_int_equal(size, 8);
    assert_memory_equal(kept, "my notes", 8);
    free(kept);
    assert_int_equal(unlink(beside(path, "unfinished")), 0);
    check_bytes(path, wanted);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment_the_bytes_are_the_same),
        cmocka_unit_test(what_is_done_is_not_done_again),
        cmocka_unit_test(other_settings_and_vectors_begin_anew),
        cmocka_unit_test(damage_is_told_and_does_no_harm),
        cmocka_unit_test(what_is_no_journal_stays),
    };
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
