/*
 * test_verify.c - a hostile file that keeps its checksums meets the checks behind them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>

#include "base/rng.h"
#include "kernels/kernels.h"
#include "router/router.h"
#include "support/counting.h"
#include "written.h"

/* ---- hostile files: the checksums hold -------------------------------------------------------- */

static void test_hostile_header(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    static const struct {
        size_t offset, width;
        uint64_t value;
        enum nlsh_status status;
        const char *words;
    } attacks[] = {
        {8, 4, 0, NLSH_E_DATA, "contradicts itself"},
        {8, 4, 9, NLSH_OK, ""}, /* newer, but readable by this version */
        {12, 4, 0, NLSH_E_DATA, "contradicts itself"},
        {12, 4, NLSH__INDEX_VERSION + 1, NLSH_E_UNSUPPORTED, "newer nlsh"},
        {12, 4, UINT32_MAX, NLSH_E_UNSUPPORTED, "newer nlsh"},
        {16, 8, 0, NLSH_E_DATA, "before the file does"},
        {16, 8, UINT64_MAX, NLSH_E_DATA, "cut short"},
        {16, 8, (uint64_t)1 << 63, NLSH_E_DATA, "cut short"},
        {24, 4, 0, NLSH_E_DATA, "0 sections"},
        {24, 4, NLSH__MAX_SECTIONS + 1, NLSH_E_DATA, "1025 sections"},
        {24, 4, UINT32_MAX, NLSH_E_DATA, "sections"},
        {24, 4, 1, NLSH_E_DATA, "behind the last section"},
        {24, 4, 9, NLSH_E_DATA, "behind the last section"}, /* margins forgotten */
        {28, 4, UINT32_MAX, NLSH_OK, ""},                   /* reserved: ignored */
        {48, 8, UINT64_MAX, NLSH_OK, ""},
    };
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        uint8_t *file = copy_of(bytes, size);
        memcpy(file + attacks[i].offset, &attacks[i].value, attacks[i].width);
        sample_seal(file, size);
        expect(file, size, attacks[i].status, attacks[i].words);
        free(file);
    }
    free(bytes);
}

/* Each field of each entry, to each of many values: nothing may crash, and a section may not lie
 * elsewhere than where the table's rules allow. */
static void test_hostile_table(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    struct nlsh_error error;
    for (size_t i = 0; i < sample.n_sections; i++) {
        struct nlsh__index_entry was;
        uint8_t *at = bytes + 64 + 32 * i;
        memcpy(&was, at, sizeof was);
        const uint64_t offsets[] = {0,
                                    1,
                                    63,
                                    64,
                                    128,
                                    was.offset - 64,
                                    was.offset + 1,
                                    was.offset + 64,
                                    was.offset + 32,
                                    size,
                                    size - 1,
                                    (size + 63) / 64 * 64,
                                    UINT32_MAX,
                                    (uint64_t)1 << 32,
                                    (uint64_t)1 << 63,
                                    UINT64_MAX,
                                    UINT64_MAX - 63,
                                    UINT64_MAX - was.size + 1,
                                    -was.size};
        for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy(file + (at - bytes) + 8, &offsets[j], 8);
            sample_seal(file, size);
            assert_int_equal(judge(file, size, &error), NLSH_E_DATA);
            free(file);
        }
        const uint64_t sizes[] = {0,
                                  1,
                                  was.size - 1,
                                  was.size + 1,
                                  was.size + 64,
                                  was.size * 2,
                                  size,
                                  size - was.offset + 1,
                                  UINT32_MAX,
                                  (uint64_t)1 << 32,
                                  (uint64_t)1 << 62,
                                  (uint64_t)1 << 63,
                                  UINT64_MAX,
                                  UINT64_MAX - was.offset + 1,
                                  -was.offset + 64};
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy(file + (at - bytes) + 16, &sizes[j], 8);
            sample_seal(file, size);
            enum nlsh_status status = judge(file, size, &error);
            /* The unknown section may be of any size that lies before the next one, where the rest
             * is zeros; an optional one may be empty, where the rest is not. */
            if (was.kind == SAMPLE_UNKNOWN && sizes[j] == was.size + 1)
                assert_int_equal(status, NLSH_OK);
            else
                assert_int_equal(status, NLSH_E_DATA);
            free(file);
        }
        const uint16_t kinds[] = {0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  5,
                                  6,
                                  NLSH__SECTION_CODES,
                                  NLSH__SECTION_TARGETS,
                                  NLSH__SECTION_MARGINS,
                                  99,
                                  1000,
                                  UINT16_MAX};
        for (size_t j = 0; j < sizeof kinds / sizeof kinds[0]; j++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy(file + (at - bytes), &kinds[j], 2);
            sample_seal(file, size);
            enum nlsh_status status = judge(file, size, &error);
            int optional = was.kind > NLSH__SECTION_ROUTER;
            int renamed = kinds[j] == 0 || kinds[j] >= 99; /* to one that nobody knows */
            if (kinds[j] == was.kind || (optional && renamed))
                assert_int_equal(status, NLSH_OK);
            else if (renamed) /* has the required flag, and is unknown */
                assert_int_equal(status, NLSH_E_UNSUPPORTED);
            else
                assert_non_null(strstr(error.message, "twice"));
            free(file);
        }
    }
    free(bytes);
}

/* A section that says it belongs to a segment that is not there, or has a layout of the future. */
static void test_hostile_kinds(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    for (size_t i = 0; i < sample.n_sections; i++) {
        unsigned kind = (unsigned)sample.sections[i].kind;
        int optional = kind > NLSH__SECTION_ROUTER;
        const uint16_t numbers[] = {1, 2, 255, 256, UINT16_MAX};
        for (size_t j = 0; j < 5; j++) {
            char words[64];
            snprintf(words, sizeof words, "no section %s of segment 0", nlsh__section_name(kind));
            uint8_t *file = copy_of(bytes, size);
            entry_of(file, kind)->segment = numbers[j];
            sample_seal(file, size);
            expect(file, size, optional ? NLSH_OK : NLSH_E_DATA, optional ? "" : words);
            free(file);
            file = copy_of(bytes, size);
            unsigned known = kind < NLSH__N_KNOWN ? nlsh__known_sections[kind].version : 0;
            assert_int_equal(entry_of(file, kind)->version, known);
            entry_of(file, kind)->version = (uint16_t)(known + numbers[j]);
            if (entry_of(file, kind)->version > known) {
                sample_seal(file, size);
                expect(file, size, optional ? NLSH_OK : NLSH_E_UNSUPPORTED,
                       optional ? "" : "newer nlsh");
            }
            free(file);
        }
    }
    free(bytes);
}

static void test_newer_sections(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *file = written(NLSH_U8, &size);
    entry_of(file, SAMPLE_UNKNOWN)->flags = 0xfffe; /* flags of the future: ignored */
    sample_seal(file, size);
    expect(file, size, NLSH_OK, "");
    ((uint8_t *)section_of(file, SAMPLE_UNKNOWN))[5] ^= 1; /* skipped, but looked after */
    expect(file, size, NLSH_E_DATA, "section unknown (kind 77");
    ((uint8_t *)section_of(file, SAMPLE_UNKNOWN))[5] ^= 1;
    entry_of(file, SAMPLE_UNKNOWN)->flags = NLSH__SECTION_REQUIRED;
    sample_seal(file, size);
    expect(file, size, NLSH_E_UNSUPPORTED, "newer nlsh");
    free(file);
}

static void test_missing_sections(void **state)
{
    (void)state;
    for (size_t left_out = 0; left_out < 10; left_out++) {
        struct nlsh_error error;
        char words[64];
        const char *path = scratch_path("missing.nlsh");
        sample_make(&sample, NLSH_U8);
        size_t last = --sample.n_sections;
        unsigned kind = (unsigned)sample.sections[left_out].kind;
        memmove(&sample.sections[left_out], &sample.sections[left_out + 1],
                (last - left_out) * sizeof sample.sections[0]);
        assert_int_equal(nlsh__index_write(path, sample.sections, last, &error), NLSH_OK);
        enum nlsh_status status = nlsh_index_verify(path, &error);
        if (kind > 6) {
            assert_int_equal(status, NLSH_OK);
            continue;
        }
        assert_int_equal(status, NLSH_E_DATA);
        snprintf(words, sizeof words, "no section %s", nlsh__section_name(kind));
        assert_non_null(strstr(error.message, words));
    }
}

static void attack_meta(const uint8_t *bytes, size_t size, size_t offset, const void *value,
                        size_t width, const char *words)
{
    uint8_t *file = copy_of(bytes, size);
    memcpy((uint8_t *)section_of(file, NLSH__SECTION_META) + offset, value, width);
    sample_seal(file, size);
    expect(file, size, words[0] != '\0' ? NLSH_E_DATA : NLSH_OK, words);
    free(file);
}

static void test_hostile_meta(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    static const struct {
        size_t offset, width;
        uint64_t value;
        const char *words;
    } attacks[] = {
        {0, 8, 0, "section rows"}, /* an index may be empty, but not this one */
        {0, 8, 36, "section rows"},
        {0, 8, 38, "section rows"},
        {0, 8, UINT32_MAX - 1, "section rows"},
        {0, 8, UINT32_MAX, "2^32 - 2"},
        {0, 8, (uint64_t)1 << 32, "rows"},
        {0, 8, UINT64_MAX, "rows"},
        {0, 8, ((uint64_t)1 << 62) + 37, "rows"}, /* x 4 wraps to 148 */
        {8, 8, 1, "not those it says"},
        {16, 4, 0, "dimension 0"},
        {16, 4, 10, "dimension"},
        {16, 4, 12, "dimension"},
        {16, 4, NLSH__MAX_DIM_U8, "dimension"},
        {16, 4, NLSH__MAX_DIM_U8 + 1, "dimension"},
        {16, 4, UINT32_MAX, "dimension"},
        {20, 4, 0, "no buckets"},
        {20, 4, 5, "index's buckets"},
        {20, 4, 7, "index's buckets"},
        {20, 4, UINT32_MAX, "index's buckets"}, /* + 1 wraps to 0 in 32 bits */
        {24, 4, 0, "type 0"},
        {24, 4, 4, "type 4"},
        {24, 4, UINT32_MAX, "which is none"},
        {28, 4, 0, "stored as type 0"},
        {28, 4, 2, "stored as type 2"}, /* bytes with a scale are of floats */
        {28, 4, 6, "stored as type 6"}, /* and so is bf16 */
        {28, 4, 3, "stored as type 3"}, /* bytes as floats */
        {40, 4, 0, "0 segments"},
        {40, 4, NLSH__MAX_SEGMENTS + 1, "257 segments"},
        {40, 4, UINT32_MAX, "segments"},
        {44, 4, 1, ""}, /* reserved: ignored */
        {56, 8, UINT64_MAX, ""},
    };
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        attack_meta(bytes, size, attacks[i].offset, &attacks[i].value, attacks[i].width,
                    attacks[i].words);
    const double wrong[] = {-0.001, 1.001, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int i = 0; i < 5; i++) attack_meta(bytes, size, 32, &wrong[i], 8, "disagreement");
    free(bytes);
    /* the limit for floats */
    bytes = written(NLSH_F32, &size);
    const uint32_t dims[] = {1 << 20, (1 << 20) + 1};
    attack_meta(bytes, size, 16, &dims[0], 4, "router: its dimension");
    attack_meta(bytes, size, 16, &dims[1], 4, "dimension");
    free(bytes);
}

/* What bytes are scaled by: a number above 0, and the one that they were made with. */
static void test_hostile_scales(void **state)
{
    static const float none[] = {0, -0.0f, -0.75f, NAN, INFINITY, -INFINITY, 1e-39f, 3e38f};
    static const float others[] = {0.5f, 0.75000006f};
    (void)state;
    for (int metric = NLSH_IP; metric <= NLSH_COSINE; metric++) {
        uint8_t *bytes;
        size_t size;
        sample_make_scaled(&sample, (enum nlsh_metric)metric);
        assert_int_equal(nlsh__index_bytes(sample.sections, sample.n_sections, &bytes, &size, NULL),
                         NLSH_OK);
        expect(bytes, size, NLSH_OK, "");
        for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy((uint8_t *)section_of(file, NLSH__SECTION_META) + 44, &none[i], 4);
            sample_seal(file, size);
            expect(file, size, NLSH_E_DATA, "which is no scale");
            free(file);
        }
        for (size_t i = 0; i < 2; i++)
            attack_meta(bytes, size, 44, &others[i], 4, "not those it says");
        nlsh__free(bytes);
    }
}

static void test_hostile_buckets(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    for (int b = 0; b <= SAMPLE_BUCKETS; b++) {
        const uint32_t values[] = {0, 1, 21, 36, 38, 1u << 31, UINT32_MAX};
        for (int j = 0; j < 7; j++) {
            uint8_t *file = copy_of(bytes, size);
            uint32_t *offsets = section_of(file, NLSH__SECTION_BUCKETS);
            offsets[b] = values[j];
            int ascending = offsets[0] == 0 && offsets[SAMPLE_BUCKETS] == SAMPLE_ROWS;
            for (int i = 0; i < SAMPLE_BUCKETS; i++) ascending &= offsets[i] <= offsets[i + 1];
            uint32_t groups = 0; /* other sizes may be lawful, but not beside these codes */
            for (int i = 0; i < SAMPLE_BUCKETS; i++)
                groups += (offsets[i + 1] - offsets[i] + 15) / 16;
            int lawful = ascending && groups == SAMPLE_GROUPS;
            sample_seal(file, size);
            expect(file, size, lawful ? NLSH_OK : NLSH_E_DATA, lawful ? "" : "bucket");
            free(file);
        }
    }
    free(bytes);
}

static void test_hostile_targets(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    const float wrong[] = {0, 1, -0.5f, 1.5f, NAN, INFINITY, -INFINITY};
    const size_t first = offsetof(struct sample, targets.points) / sizeof(float) -
                         offsetof(struct sample, targets) / sizeof(float);
    for (size_t i = 0; i < 2 * SAMPLE_TARGETS; i++)
        for (size_t j = 0; j < 7; j++) {
            uint8_t *file = copy_of(bytes, size);
            ((float *)section_of(file, NLSH__SECTION_TARGETS))[first + i] = wrong[j];
            sample_seal(file, size);
            expect(file, size, NLSH_E_DATA, "target ");
            free(file);
        }
    /* Tables that are not as many, as long or as ordered as the section has room for. */
    const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 10, 11, 0x40000000u, UINT32_MAX};
    const size_t tables = offsetof(struct sample, targets.tables) / sizeof(uint32_t) -
                          offsetof(struct sample, targets) / sizeof(uint32_t);
    const size_t fields[] = {0, tables, tables + 1, tables + 2, tables + 3};
    for (size_t f = 0; f < 5; f++)
        for (size_t j = 0; j < 10; j++) {
            uint8_t *file = copy_of(bytes, size);
            uint32_t *h = section_of(file, NLSH__SECTION_TARGETS), *t = h + tables;
            h[fields[f]] = numbers[j];
            int lawful = h[0] == 2 && t[0] > 0 && t[2] > t[0] && t[1] == 3 && t[3] == 2;
            sample_seal(file, size);
            expect(file, size, lawful ? NLSH_OK : NLSH_E_DATA, lawful ? "" : "target");
            free(file);
        }
    ((float *)section_of(bytes, NLSH__SECTION_TARGETS))[first + 2] = 0.5f; /* a recall twice */
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_E_DATA, "target 1");
    free(bytes);
}

/* Two tables, of one and two points. */
static void test_hostile_efforts(void **state)
{
    (void)state;
    static struct {
        struct nlsh__efforts_header header;
        uint32_t tables[16];
        struct nlsh__effort_point points[3];
    } efforts = {.header = {.n = 2, .n_queries = 100},
                 .tables = {1, 1, 10, 2},
                 .points = {{.9f, .1f, 2, 3}, {.5f, .2f, 1, -2}, {.9f, .05f, 2, NLSH__NO_MARGIN}}};
    size_t size = 0;
    sample_make(&sample, NLSH_U8);
    sample.sections[sample.n_sections++] =
        (struct nlsh__section_data){NLSH__SECTION_EFFORTS, 0, &efforts, sizeof efforts};
    uint8_t *bytes = sample_bytes(&size);
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_OK, "");
    const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 10, 11, 0x40000000u, UINT32_MAX};
    const size_t fields[] = {0, 16, 17, 18, 19};
    for (size_t f = 0; f < 5; f++)
        for (size_t j = 0; j < 10; j++) {
            uint8_t *file = copy_of(bytes, size);
            uint32_t *h = section_of(file, NLSH__SECTION_EFFORTS), *t = h + 16;
            h[fields[f]] = numbers[j];
            int lawful = h[0] == 2 && t[0] > 0 && t[2] > t[0] && t[1] == 1 && t[3] == 2;
            sample_seal(file, size);
            expect(file, size, lawful ? NLSH_OK : NLSH_E_DATA, lawful ? "" : "effort");
            free(file);
        }
    const float wrong[] = {NAN, INFINITY, -INFINITY, 2e9f, -2e9f};
    for (size_t i = 0; i < 12; i++)
        for (size_t j = 0; j < 5; j++) {
            uint8_t *file = copy_of(bytes, size);
            ((float *)section_of(file, NLSH__SECTION_EFFORTS))[32 + i] = wrong[j];
            sample_seal(file, size);
            expect(file, size, NLSH_E_DATA, "effort ");
            free(file);
        }
    free(bytes);
}

static void test_hostile_outside(void **state)
{
    (void)state;
    static struct {
        struct nlsh__outside_header header;
        struct nlsh__outside_point points[3];
    } outside = {.header = {.n = 3}, .points = {{.5f, .7f}, {.1f, .2f}, {.01f, 0}}};
    size_t size = 0;
    sample_make(&sample, NLSH_U8);
    sample.sections[sample.n_sections++] =
        (struct nlsh__section_data){NLSH__SECTION_OUTSIDE, 0, &outside, sizeof outside};
    uint8_t *bytes = sample_bytes(&size);
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_OK, "");
    const uint32_t numbers[] = {0, 2, 4, 0x20000000u, UINT32_MAX};
    for (size_t j = 0; j < 5; j++) {
        uint8_t *file = copy_of(bytes, size);
        *(uint32_t *)section_of(file, NLSH__SECTION_OUTSIDE) = numbers[j];
        sample_seal(file, size);
        expect(file, size, NLSH_E_DATA, "section outside");
        free(file);
    }
    const float wrong[] = {NAN, INFINITY, -INFINITY, 2, -1};
    for (size_t j = 0; j < 5; j++) {
        uint8_t *file = copy_of(bytes, size);
        ((float *)section_of(file, NLSH__SECTION_OUTSIDE))[1] = wrong[j];
        sample_seal(file, size);
        expect(file, size, wrong[j] == 2 ? NLSH_OK : NLSH_E_DATA,
               wrong[j] == 2 ? "" : "section outside");
        free(file);
    }
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 5; j++) {
            uint8_t *file = copy_of(bytes, size);
            ((float *)section_of(file, NLSH__SECTION_OUTSIDE))[16 + i] = wrong[j];
            sample_seal(file, size);
            expect(file, size, NLSH_E_DATA, "section outside");
            free(file);
        }
    free(bytes);
}

/* Format 2 had room for four tables in a header of 64 bytes, and points behind it. */
static void test_targets_of_format_2(void **state)
{
    uint32_t header[16] = {4, 0, 0, 0, 1, 2, 3, 4, 1, 1, 1, 10};
    float points[13][2];
    size_t size;
    (void)state;
    for (size_t i = 0; i < 13; i++) {
        points[i][0] = 0.5f + 0.03f * (float)i;
        points[i][1] = 0.25f;
    }
    for (uint32_t n = 4; n <= 5; n++) {
        sample_make(&sample, NLSH_U8);
        assert_int_equal(sizeof sample.targets, sizeof header + sizeof points);
        header[0] = n;
        memcpy(&sample.targets, header, sizeof header);
        memcpy((char *)&sample.targets + sizeof header, points, sizeof points);
        uint8_t *file = sample_bytes(&size);
        entry_of(file, NLSH__SECTION_TARGETS)->version = 0;
        sample_seal(file, size);
        expect(file, size, n == 4 ? NLSH_OK : NLSH_E_DATA, n == 4 ? "" : "too many tables");
        free(file);
    }
}

/* A table of so many numbers of neighbours, and the points behind it where the next 64 bytes begin. */
static void test_many_targets(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 70; n++) {
        static uint32_t section[16 + 2 * 80 + 2 * 80];
        const float point[2] = {.5f, .25f};
        size_t size, points = 16 + (2 * n + 15) / 16 * 16;
        memset(section, 0, sizeof section);
        section[0] = n;
        for (uint32_t i = 0; i < n; i++) {
            section[16 + 2 * i] = i + 1;
            section[17 + 2 * i] = 1;
            memcpy(section + points + 2 * i, point, sizeof point);
        }
        sample_make(&sample, NLSH_U8);
        sample.sections[6].data = section;
        sample.sections[6].size = 4 * (points + 2 * n);
        uint8_t *file = sample_bytes(&size);
        expect(file, size, NLSH_OK, "");
        free(file);
    }
}

/* Numbers of the margins' section at the byte `at`, to a value; words: of the refusal. */
static void attack_margins(const uint8_t *bytes, size_t size, size_t at, const void *value,
                           const char *words)
{
    uint8_t *file = copy_of(bytes, size);
    memcpy((uint8_t *)section_of(file, NLSH__SECTION_MARGINS) + at, value, 4);
    sample_seal(file, size);
    expect(file, size, words[0] != '\0' ? NLSH_E_DATA : NLSH_OK, words);
    free(file);
}

#define AT(field, i)                                                                               \
    (offsetof(struct sample, margins.field) - offsetof(struct sample, margins) + 4 * (i))

static void test_hostile_margins(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    const uint32_t counts[] = {17, 1u << 30, UINT32_MAX}, zero = 0, ten = 10, one = 1;
    for (size_t field = 0; field < 4; field++)
        for (size_t j = 0; j < 3; j++)
            attack_margins(bytes, size, AT(header, field), &counts[j], "margins");
    for (size_t field = 0; field < 4; field++) /* the tables that follow end before the section */
        attack_margins(bytes, size, AT(header, field), &zero, "length");
    attack_margins(bytes, size, AT(k, 0), &zero, "number of neighbours");
    attack_margins(bytes, size, AT(k, 2), &ten, "number of neighbours");
    attack_margins(bytes, size, AT(leaf_k, 1), &one, "number of neighbours");
    const float wrong[] = {NAN, INFINITY, -INFINITY, 2e9f, -2e9f};
    const float losses[] = {0, 0.6f, -0.1f, 0.0005f /* again */};
    const float below = -1, steep = 2e9f;
    for (size_t i = 0; i < 5; i++) {
        attack_margins(bytes, size, AT(loss, 1), &wrong[i], "share of neighbours");
        attack_margins(bytes, size, AT(leaf_loss, 1), &wrong[i], "share of neighbours");
        attack_margins(bytes, size, AT(margin, 14), &wrong[i], "a margin");
        attack_margins(bytes, size, AT(leaf_margin, 5), &wrong[i], "a margin");
        attack_margins(bytes, size, AT(header.leaf_slope, 0), &wrong[i], "slope");
    }
    for (size_t i = 0; i < 4; i++)
        attack_margins(bytes, size, AT(loss, 1), &losses[i], "share of neighbours");
    attack_margins(bytes, size, AT(margin, 3), &below, "a margin");
    attack_margins(bytes, size, AT(leaf_margin, 3), &below,
                   ""); /* a leaf may be better than its score */
    attack_margins(bytes, size, AT(header.leaf_slope, 0), &steep, "slope");
    attack_margins(bytes, size, AT(header.reserved, 0), &one, ""); /* reserved, padding: ignored */
    attack_margins(bytes, size, AT(k, 3), &one, "");
    free(bytes);
}
#undef AT

/* The table of groups at the router's end. */
static void test_hostile_groups(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_F32, &size);
    const uint32_t numbers[] = {0, 1, 2, 3, 5, 6, 7, 16, 17, UINT32_MAX};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 10; j++) {
            uint8_t *file = copy_of(bytes, size), *router = section_of(file, NLSH__SECTION_ROUTER);
            struct nlsh__router_header header;
            struct nlsh__router_layout layout;
            memcpy(&header, router, sizeof header);
            assert_int_equal(header.n_groups, 2);
            assert_int_equal(nlsh__router_layout(&header, &layout), 0);
            uint32_t *first = (uint32_t *)(void *)(router + layout.groups);
            first[i] = numbers[j];
            int lawful = first[0] == 0 && first[1] > 0 && first[1] < 6 && first[2] == 6;
            sample_seal(file, size);
            expect(file, size, lawful ? NLSH_OK : NLSH_E_DATA, lawful ? "" : "group");
            free(file);
        }
    free(bytes);
}

static void test_hostile_settings(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    char *settings = section_of(bytes, NLSH__SECTION_SETTINGS);
    size_t length = strlen(settings);
    settings[length] = 'x';
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_E_DATA, "settings");
    settings[length] = '\0';
    settings[3] = '\0';
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_E_DATA, "settings");
    free(bytes);
}

/* Every place holds another row: else neither call takes the file. */
static void test_hostile_rows(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_F32, &size);
    struct nlsh_index *index;
    struct nlsh_error error;
    const char *path = scratch_path("rows.nlsh");
    const uint32_t rows[] = {1, SAMPLE_ROWS, UINT32_MAX}; /* a double, two out of range */
    for (size_t place = 0; place < SAMPLE_ROWS; place++)
        for (int i = 0; i < 3; i++) {
            uint8_t *file = copy_of(bytes, size);
            uint32_t *stored = section_of(file, NLSH__SECTION_ROWS);
            if (stored[place] != rows[i]) {
                stored[place] = rows[i];
                sample_seal(file, size);
                expect(file, size, NLSH_E_DATA, i == 0 ? "at another place too" : "too large");
                spit(path, file, size);
                assert_int_equal(nlsh_index_open(path, NULL, &index, &error), NLSH_E_DATA);
                assert_null(index);
                assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
            }
            free(file);
        }
    free(bytes);
}

/* What only verify looks at: open takes it, verify says no. */
static void test_what_verify_adds(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_F32, &size);
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        uint8_t *file = copy_of(bytes, size);
        ((float *)section_of(file, NLSH__SECTION_VECTORS))[3 * SAMPLE_DIM + 2] = values[i];
        sample_seal(file, size);
        expect(file, size, NLSH_E_DATA, "value 2 of the vector at place 3 is not finite");
        free(file);
    }
    /* two rows changed places: nothing but the data hash can tell */
    uint8_t *swapped = copy_of(bytes, size);
    uint32_t *swapped_rows = section_of(swapped, NLSH__SECTION_ROWS);
    const uint32_t first = swapped_rows[0];
    swapped_rows[0] = swapped_rows[1];
    swapped_rows[1] = first;
    sample_seal(swapped, size);
    expect(swapped, size, NLSH_E_DATA, "not those it says");
    free(swapped);
    /* a gap that is wider than need be is lawful; what hides in it is not */
    uint8_t *file = copy_of(bytes, size);
    struct nlsh__index_entry *last = entry_of(file, NLSH__SECTION_MARGINS);
    memmove(file + last->offset + 4096, file + last->offset, last->size);
    memset(file + last->offset, 0, 4096);
    last->offset += 4096;
    header_of(file)->file_size = size + 4096;
    sample_seal(file, size + 4096);
    expect(file, size + 4096, NLSH_OK, "");
    file[last->offset - 2000] = 1;
    expect(file, size + 4096, NLSH_E_DATA, "between two sections");
    free(file);
    free(bytes);
}

/* Rows of the last layer that no group has, or too few of them; all lengths agree. Two groups of at most 16
 * buckets have 16 rows each, behind 16 of the groups themselves. */
static void test_rows_of_no_group(void **state)
{
    (void)state;
    for (uint32_t n_outputs = 32; n_outputs <= 64; n_outputs += 16) {
        const uint32_t groups[] = {0, SAMPLE_BUCKETS / 3, SAMPLE_BUCKETS};
        struct nlsh__router_header header;
        struct nlsh__router_layout layout;
        size_t size;
        sample_make(&sample, NLSH_F32);
        memcpy(&header, sample.router, sizeof header);
        header.n_outputs = n_outputs;
        assert_int_equal(nlsh__router_layout(&header, &layout), 0);
        assert_true(layout.size <= sizeof sample.router);
        header.size_bytes = sample.sections[5].size = layout.size;
        memset(sample.router, 0, sizeof sample.router);
        memcpy(sample.router, &header, sizeof header);
        memcpy(sample.router + layout.groups, groups, sizeof groups);
        uint8_t *file = sample_bytes(&size);
        expect(file, size, n_outputs == 48 ? NLSH_OK : NLSH_E_DATA,
               n_outputs == 48 ? "" : "do not fill its last layer");
        free(file);
    }
}

/* Two of three groups hold all buckets, and have all rows of the last layer. */
static void test_a_group_of_no_bucket(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = written(NLSH_F32, &size);
    const uint32_t groups[] = {0, 0, SAMPLE_BUCKETS};
    struct nlsh__router_header header;
    struct nlsh__router_layout layout;
    memcpy(&header, sample.router, sizeof header);
    header.n_outputs = 32;
    assert_int_equal(nlsh__router_layout(&header, &layout), 0);
    header.size_bytes = sample.sections[5].size = layout.size;
    memset(sample.router, 0, sizeof sample.router);
    memcpy(sample.router, &header, sizeof header);
    memcpy(sample.router + layout.groups, groups, sizeof groups);
    free(file);
    file = sample_bytes(&size);
    expect(file, size, NLSH_E_DATA, "a group holds no bucket");
    free(file);
}

/* One segment whose rows have keys, none of them deleted. */
static void test_keys_of_one_segment(void **state)
{
    (void)state;
    for (size_t twice = 0; twice < SAMPLE_ROWS;
         twice++) { /* the last row has the key of this one */
        size_t size;
        sample_make(&sample, NLSH_U8);
        for (size_t row = 0; row < SAMPLE_ROWS; row++) sample.keys[0][row] = 900 - row;
        memset(&sample.keys[0][7], COUNTED_MARK, 8); /* what is in memory that was never written */
        sample_add(&sample, NLSH__SECTION_KEYS, 0, sample.keys[0], sizeof sample.keys[0]);
        sample.keys[0][SAMPLE_ROWS - 1] = sample.keys[0][twice];
        uint8_t *file = sample_bytes(&size);
        int lawful = twice == SAMPLE_ROWS - 1;
        expect(file, size, lawful ? NLSH_OK : NLSH_E_DATA, lawful ? "" : "there twice");
        free(file);
    }
}

/* A segment that says it has no rows, or more than all have. */
static void test_rows_of_a_segment(void **state)
{
    (void)state;
    static const struct {
        uint64_t n_rows;
        const char *words;
    } wrong[] = {{0, "segment 0 has 0 rows"},
                 {SAMPLE_SEGMENTS * SAMPLE_ROWS + 1, "segment 0 has 112 rows"},
                 {SAMPLE_ROWS + 1, "rows"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t size;
        uint8_t *file = written_segments(NLSH_U8, &size);
        struct nlsh__segment_meta *own = section_of(file, NLSH__SECTION_SEGMENT);
        own->n_rows = wrong[i].n_rows;
        sample_seal(file, size);
        expect(file, size, NLSH_E_DATA, wrong[i].words);
        free(file);
    }
}

static void test_router_refuses(void **state)
{
    (void)state;
    struct nlsh_error error;
    const char *path = scratch_path("router.nlsh");
    sample_make(&sample, NLSH_U8);
    sample.sections[5].size -= 64;
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, &error), NLSH_OK);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, path)); /* the router cannot know it */
    assert_non_null(strstr(error.message, "router"));
}

/* Random damage of several places at once behind good checksums; most of it where the decisions are, in the
 * first `small` bytes. */
static void damage_at_random(uint8_t *bytes, size_t size, size_t small, uint64_t stream)
{
    static const uint64_t special[] = {0, 1, 2, 63, 64, 255, UINT32_MAX, INT32_MAX, UINT64_MAX};
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 20200426, stream);
    size_t n_good = 0, n_bad = 0;
    for (int round = 0; round < 20000; round++) {
        struct nlsh_error error;
        uint8_t *file = copy_of(bytes, size);
        size_t n_places = 1 + nlsh__rng_below(&rng, 4);
        size_t limit = nlsh__rng_below(&rng, 4) == 0 ? size : small;
        while (n_places-- > 0) {
            size_t width = (size_t)1 << nlsh__rng_below(&rng, 4);
            size_t at = nlsh__rng_below(&rng, limit / width) * width;
            uint64_t value =
                nlsh__rng_below(&rng, 2) ? special[nlsh__rng_below(&rng, 9)] : nlsh__rng_u64(&rng);
            memcpy(file + at, &value, width);
        }
        sample_seal(file, size);
        if (judge(file, size, &error) == NLSH_OK)
            n_good++;
        else
            n_bad++;
        free(file);
    }
    /* Both outcomes must happen, or the test looks at one side only. */
    assert_true(n_good > 200 && n_bad > 2000);
    free(bytes);
}

static void test_random_hostility(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *bytes = written(NLSH_F32, &size);
    damage_at_random(bytes, size, 700, 0);
    bytes = written_segments(NLSH_U8, &size);
    damage_at_random(bytes, size, 1200, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_header),       cmocka_unit_test(test_hostile_table),
        cmocka_unit_test(test_hostile_kinds),        cmocka_unit_test(test_newer_sections),
        cmocka_unit_test(test_missing_sections),     cmocka_unit_test(test_hostile_meta),
        cmocka_unit_test(test_hostile_scales),       cmocka_unit_test(test_hostile_buckets),
        cmocka_unit_test(test_hostile_targets),      cmocka_unit_test(test_hostile_margins),
        cmocka_unit_test(test_hostile_groups),       cmocka_unit_test(test_hostile_settings),
        cmocka_unit_test(test_what_verify_adds),     cmocka_unit_test(test_hostile_rows),
        cmocka_unit_test(test_router_refuses),       cmocka_unit_test(test_random_hostility),
        cmocka_unit_test(test_targets_of_format_2),  cmocka_unit_test(test_rows_of_no_group),
        cmocka_unit_test(test_a_group_of_no_bucket), cmocka_unit_test(test_keys_of_one_segment),
        cmocka_unit_test(test_rows_of_a_segment),    cmocka_unit_test(test_many_targets),
        cmocka_unit_test(test_hostile_efforts),      cmocka_unit_test(test_hostile_outside),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, setup, teardown));
}
