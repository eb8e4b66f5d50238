/*
 * test_write.c - what is written is read; a writer that fails or dies leaves the target alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "kernels/kernels.h"
#include "written.h"

/* ---- round trip ------------------------------------------------------------------------------- */

static void check_round_trip(enum nlsh_type source)
{
    size_t size;
    uint8_t *bytes = written(source, &size);
    const char *path = scratch_path("written.nlsh");
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_error error = {.status = NLSH_E_DATA, .message = "left over"};
    assert_int_equal(nlsh_index_open(path, NULL, &index, &error), NLSH_OK);
    assert_int_equal(error.status, NLSH_OK);
    assert_int_equal(error.message[0], '\0');
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.n_rows, SAMPLE_ROWS);
    assert_int_equal(info.dim, SAMPLE_DIM);
    assert_int_equal(info.type, source);
    assert_int_equal(info.n_buckets, SAMPLE_BUCKETS);
    assert_int_equal(info.bucket_min, 0);
    assert_int_equal(info.bucket_max, 14);
    assert_true(info.data_hash == sample.meta.data_hash);
    assert_true(info.router_weights > SAMPLE_BUCKETS);
    assert_int_equal(info.router_weights, nlsh__router_n_weights(index->router));
    assert_int_equal(info.size_bytes, size);
    assert_string_equal(info.settings, sample.settings);
    assert_true(info.disagreement == 0.125);
    assert_int_equal(info.format, NLSH__INDEX_VERSION);
    assert_int_equal(info.n_segments, 1);
    assert_int_equal(info.has_keys, 0);
    struct nlsh_segment segment = {.struct_size = sizeof segment}, unset = {.n_rows = 7};
    assert_int_equal(nlsh_index_segment(index, 0, &segment), 1);
    assert_int_equal(segment.n_rows, SAMPLE_ROWS);
    assert_memory_equal(segment.bucket_offsets, sample.buckets, sizeof sample.buckets);
    assert_memory_equal(segment.rows, sample.rows, sizeof sample.rows);
    assert_null(segment.keys);
    assert_int_equal(nlsh_index_segment(index, 1, &segment), 0);
    assert_int_equal(nlsh_index_segment(index, 0, &unset), 0);
    assert_int_equal(unset.n_rows, 7);
    const struct nlsh__segment *stored = &index->segments[0];
    assert_memory_equal(stored->vectors, sample.sections[4].data, sample.sections[4].size);
    assert_int_equal(index->targets.n, 2);
    assert_int_equal(index->targets.tables[1].k, 10);
    assert_int_equal(index->targets.tables[0].n_points, 3);
    assert_memory_equal(index->targets.tables[1].points, sample.targets.points[3],
                        2 * 2 * sizeof(float));
    assert_int_equal(index->row_margins.n_ks, 3);
    assert_int_equal(index->row_margins.n_losses, SAMPLE_LOSSES);
    assert_memory_equal(index->row_margins.k, sample.margins.k, 3 * sizeof(uint32_t));
    assert_memory_equal(index->row_margins.margin, sample.margins.margin, 15 * sizeof(float));
    assert_int_equal(index->leaf_margins.n_ks, 2);
    assert_memory_equal(index->leaf_margins.loss, sample.margins.leaf_loss, 3 * sizeof(float));
    assert_memory_equal(index->leaf_margins.margin, sample.margins.leaf_margin, 6 * sizeof(float));
    assert_true(index->leaf_slope == 0.5f);
    const uint8_t *codes = section_of(bytes, NLSH__SECTION_CODES);
    assert_int_equal(stored->codes->rows.n_groups, SAMPLE_GROUPS);
    assert_memory_equal(stored->codes->rows.values, codes + sizeof sample.codes - 320, 320);

    /* The account of the file: in order, aligned, every section with what was written. */
    struct nlsh_section_info section = {.struct_size = sizeof section};
    uint64_t end = 64 + 32 * sample.n_sections;
    for (size_t i = 0; i < sample.n_sections; i++) {
        assert_int_equal(nlsh_index_section(index, i, &section), 1);
        assert_int_equal(section.offset % 64, 0);
        assert_int_equal(section.offset, (end + 63) / 64 * 64);
        assert_int_equal(section.size_bytes, sample.sections[i].size);
        assert_memory_equal(bytes + section.offset, sample.sections[i].data, section.size_bytes);
        end = section.offset + section.size_bytes;
        assert_string_equal(section.name, nlsh__section_name((unsigned)sample.sections[i].kind));
        assert_int_equal(section.used, sample.sections[i].kind != SAMPLE_UNKNOWN);
        assert_int_equal(section.segment, 0);
    }
    assert_int_equal(end, size);
    assert_int_equal(nlsh_index_section(index, sample.n_sections, &section), 0);
    assert_int_equal(nlsh_index_section(index, SIZE_MAX, &section), 0);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);

    size_t again_size;
    uint8_t *again = written(source, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(again);
    free(bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    check_round_trip(NLSH_U8);
    check_round_trip(NLSH_I8);
    check_round_trip(NLSH_F32);
}

/* Floats that were all bytes: the stored type is what callers see. */
static void test_narrowed_floats(void **state)
{
    (void)state;
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    const char *path = scratch_path("narrowed.nlsh");
    sample_make(&sample, NLSH_U8);
    sample.meta.source_type = NLSH_F32;
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.type, NLSH_U8);
    nlsh_index_close(index);
}

static void test_smallest(void **state)
{
    (void)state;
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_error error;
    const char *path = scratch_path("smallest.nlsh");
    sample_make(&sample, NLSH_U8);
    sample.meta.n_rows = sample.meta.dim = sample.meta.n_buckets = 1;
    sample.buckets[1] = 1;
    sample.sections[1] = (struct nlsh__section_data){NLSH__SECTION_SETTINGS, 0, "", 1};
    sample.sections[2].size = 2 * sizeof(uint32_t);
    sample.sections[3].size = sizeof(uint32_t);
    sample.sections[4].size = 1;
    sample_router(&sample, 1, 1, 0);
    sample.sections[5].size = sample.router_size;
    sample.n_sections = 6;
    sample.meta.data_hash = nlsh_data_hash(&(struct nlsh_matrix){sample.bytes, 1, 1, NLSH_U8, 0});
    assert_int_equal(nlsh__index_write(path, sample.sections, 6, &error), NLSH_OK);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, NULL, &index, &error), NLSH_OK);
    assert_int_equal(index->targets.n, 0);
    assert_null(index->segments[0].codes);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.bucket_min, 1);
    assert_int_equal(info.bucket_max, 1);
    nlsh_index_close(index);
}

/* Larger than every buffer on the way; empty sections anywhere, the last place too. */
static void test_large_and_empty_sections(void **state)
{
    (void)state;
    struct nlsh_error error;
    const char *path = scratch_path("large.nlsh");
    sample_make(&sample, NLSH_U8);
    size_t size = ((size_t)5 << 20) + 3;
    uint8_t *large = malloc(size);
    assert_non_null(large);
    for (size_t i = 0; i < size; i++) large[i] = (uint8_t)(i * 2654435761u >> 13);
    sample.sections[8] = (struct nlsh__section_data){(enum nlsh__section_kind)1003, 0, large, size};
    sample.sections[9] = (struct nlsh__section_data){(enum nlsh__section_kind)1000, 0, NULL, 0};
    sample.sections[10] = sample.sections[6]; /* targets, last */
    sample.sections[6] = (struct nlsh__section_data){(enum nlsh__section_kind)1001, 0, NULL, 0};
    sample.sections[11] = (struct nlsh__section_data){(enum nlsh__section_kind)1002, 0, NULL, 0};
    if (nlsh__index_write(path, sample.sections, 12, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    size_t file_size;
    uint8_t *file = slurp(path, &file_size);
    const struct nlsh__index_entry *entry = entry_of(file, 1003);
    assert_memory_equal(file + entry->offset, large, size);
    file[entry->offset + size - 1] ^= 1;
    expect(file, file_size, NLSH_E_DATA, "section unknown");
    free(file);
    free(large);
}

/* ---- writers that fail ------------------------------------------------------------------------ */

static void test_write_fails(void **state)
{
    (void)state;
    struct nlsh_error error;
    sample_make(&sample, NLSH_U8);
    assert_int_equal(nlsh__index_write("/dev/full", sample.sections, sample.n_sections, &error),
                     NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "/dev/full"));
    assert_non_null(strstr(error.hint, "regular file"));
    assert_int_equal(nlsh__index_write(scratch_path("no/such/directory"), sample.sections,
                                       sample.n_sections, &error),
                     NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__index_write(scratch, sample.sections, sample.n_sections, &error),
                     NLSH_E_CANT_CREATE);
    const char *locked = scratch_path("locked");
    assert_int_equal(mkdir(locked, 0500), 0);
    if (geteuid() != 0) /* root may write everywhere */
        assert_int_equal(nlsh__index_write(scratch_path("locked/index"), sample.sections,
                                           sample.n_sections, &error),
                         NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__index_write("/proc/index", sample.sections, sample.n_sections, &error),
                     NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__index_write(scratch_path("x"), sample.sections, 0, &error),
                     NLSH_E_INTERNAL);
    assert_int_equal(
        nlsh__index_write(scratch_path("x"), sample.sections, NLSH__MAX_SECTIONS + 1, &error),
        NLSH_E_INTERNAL);
    sample.sections[8] = sample.sections[3];
    assert_int_equal(
        nlsh__index_write(scratch_path("x"), sample.sections, sample.n_sections, &error),
        NLSH_E_INTERNAL);
    assert_int_equal(access(scratch_path("x"), F_OK), -1);
}

/* The system stops the writer at its n-th byte (SIGXFSZ kills): the old index stays whole, and the
 * next writer clears away what lies about. */
static void test_killed_half_way(void **state)
{
    (void)state;
    struct nlsh_error error;
    const char *path = scratch_path("killed.nlsh");
    sample_make(&sample, NLSH_U8);
    size_t large_size = (size_t)3 << 20;
    uint8_t *large = calloc(large_size, 1);
    assert_non_null(large);
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, &error), NLSH_OK);
    sample.sections[8] =
        (struct nlsh__section_data){(enum nlsh__section_kind)1003, 0, large, large_size};
    static const rlim_t limits[] = {0, 1, 1000, 4096, (1 << 20) + 5, 3 << 20};
    for (int i = 0; i < 6; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct rlimit limit = {limits[i], limits[i]};
            const struct rlimit no_core = {0, 0};
            if (setrlimit(RLIMIT_CORE, &no_core) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
                signal(SIGXFSZ, SIG_DFL) == SIG_ERR)
                _exit(2);
            enum nlsh_status status =
                nlsh__index_write(path, sample.sections, sample.n_sections, NULL);
            _exit(status == NLSH_OK ? 0 : 1);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGXFSZ);
        assert_int_equal(nlsh_index_verify(path, &error), NLSH_OK);
        /* one orphan: this round's; the one before was removed by this round's writer */
        assert_int_equal(scratch_count(".killed.nlsh"), 1);
    }
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, &error), NLSH_OK);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_OK);
    assert_int_equal(scratch_count(".killed.nlsh"), 0);
    free(large);
}

/* An index that is open when its file is replaced stays what it was. */
static void test_replaced_while_open(void **state)
{
    (void)state;
    const char *path = scratch_path("replaced.nlsh");
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    sample_make(&sample, NLSH_U8);
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    const uint64_t hash = sample.meta.data_hash;
    sample.meta.data_hash = 1;
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_true(info.data_hash == hash);
    sample_use(index);
    nlsh_index_close(index);
}

/* ---- in memory -------------------------------------------------------------------------------- */

static void test_bytes_are_the_files(void **state)
{
    (void)state;
    size_t size, in_memory;
    uint8_t *bytes, *of_file = written(NLSH_U8, &size);
    sample_make(&sample, NLSH_U8);
    assert_int_equal(
        nlsh__index_bytes(sample.sections, sample.n_sections, &bytes, &in_memory, NULL), NLSH_OK);
    assert_int_equal(in_memory, size);
    assert_memory_equal(bytes, of_file, size);
    nlsh__free(bytes);
    free(of_file);
}

/* ---- what came since it was trained ----------------------------------------------------------- */

static void check_meter(const struct nlsh__meter_header *header, size_t n)
{
    const char *path = scratch_path("meter.nlsh");
    struct nlsh_index *index;
    struct nlsh__section_data sections[sizeof sample.sections / sizeof *sample.sections + 1];
    sample_make(&sample, NLSH_U8);
    memcpy(sections, sample.sections, sample.n_sections * sizeof *sections);
    sections[sample.n_sections] = (struct nlsh__section_data){
        NLSH__SECTION_METER, 0, header, sizeof *header + n * sizeof(uint32_t)};
    assert_int_equal(nlsh__index_write(path, sections, sample.n_sections + 1, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_memory_equal(&index->meter, header, sizeof *header);
    if (n > 0) assert_memory_equal(index->untaught, header + 1, n * sizeof(uint32_t));
    nlsh_index_close(index);
}

/* The section is its header alone where no rows came. */
static void test_meter(void **state)
{
    (void)state;
    struct {
        struct nlsh__meter_header header;
        uint32_t rows[3];
    } meter = {{.n_trained = 40, .changed = 3, .trained = 5, .now = 7}, {1, 4, 6}};
    check_meter(&meter.header, 0);
    meter.header.n = 3;
    check_meter(&meter.header, 3);
}

/* ---- what may be changed ---------------------------------------------------------------------- */

static void test_only_what_this_version_writes_is_changed(void **state)
{
    (void)state;
    static const struct {
        unsigned format;
        struct nlsh__index_entry entry;
        enum nlsh_status status;
    } cases[] = {
        {NLSH__INDEX_VERSION, {.kind = NLSH__SECTION_TARGETS, .version = 0}, NLSH_OK},
        {NLSH__INDEX_VERSION, {.kind = NLSH__SECTION_TARGETS, .version = 999}, NLSH_E_UNSUPPORTED},
        {NLSH__INDEX_VERSION, {.kind = NLSH__SECTION_CODES, .version = 1}, NLSH_OK},
        {NLSH__INDEX_VERSION, {.kind = NLSH__SECTION_CODES, .version = 0}, NLSH_E_UNSUPPORTED},
        {NLSH__INDEX_VERSION, {.kind = NLSH__SECTION_META, .version = 999}, NLSH_E_UNSUPPORTED},
        {NLSH__INDEX_VERSION, {.kind = NLSH__N_KNOWN}, NLSH_E_UNSUPPORTED},
        {NLSH__INDEX_VERSION, {.kind = NLSH__SECTION_CALIBRATION}, NLSH_E_UNSUPPORTED},
        {NLSH__INDEX_VERSION - 1, {.kind = NLSH__SECTION_TARGETS}, NLSH_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct nlsh__index_entry entries[] = {
            {.kind = NLSH__SECTION_META,
             .version = nlsh__known_sections[NLSH__SECTION_META].version},
            cases[i].entry};
        const struct nlsh__index_table table = {entries, 2, cases[i].format};
        struct nlsh_error error = {.status = NLSH_OK};
        assert_int_equal(nlsh__index_check_current("a.nlsh", &table, &error), cases[i].status);
        if (cases[i].status != NLSH_OK) assert_non_null(strstr(error.message, "a.nlsh"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_narrowed_floats),
        cmocka_unit_test(test_smallest),
        cmocka_unit_test(test_large_and_empty_sections),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_killed_half_way),
        cmocka_unit_test(test_replaced_while_open),
        cmocka_unit_test(test_bytes_are_the_files),
        cmocka_unit_test(test_meter),
        cmocka_unit_test(test_only_what_this_version_writes_is_changed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
