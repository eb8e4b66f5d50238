/*
 * written.h - an index file as the writer makes it, in memory: judged by open and verify, looked
 * into, changed.
 */
#ifndef NLSH_TESTS_WRITTEN_H
#define NLSH_TESTS_WRITTEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "support/sample_index.h"
#include "support/scratch.h"

static struct sample sample;

/* The bytes of what the sample holds, as the writer makes them. */
static inline uint8_t *sample_bytes(size_t *size)
{
    struct nlsh_error error;
    const char *path = scratch_path("written.nlsh");
    if (nlsh__index_write(path, sample.sections, sample.n_sections, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return slurp(path, size);
}

static inline uint8_t *written(enum nlsh_type source, size_t *size)
{
    sample_make(&sample, source);
    return sample_bytes(size);
}

static inline uint8_t *written_metric(enum nlsh_metric metric, size_t *size)
{
    sample_make_metric(&sample, metric);
    return sample_bytes(size);
}

static inline uint8_t *written_segments(enum nlsh_type source, size_t *size)
{
    sample_make_segments(&sample, source);
    return sample_bytes(size);
}

/* Both calls on these bytes: verify's status; open must agree, or open what it can be used for. */
static inline enum nlsh_status judge(const uint8_t *bytes, size_t size, struct nlsh_error *error)
{
    static const char name[] = "some/index.nlsh";
    const struct nlsh__map map = sample_copy(bytes, size);
    const struct nlsh__source_of_index source = {.name = name, .bytes = &map};
    const struct nlsh__source_of_index whole = {.name = name, .bytes = &map, .whole = 1};
    struct nlsh_index *index = (void *)1;
    struct nlsh_error other;
    nlsh__error_clear(&other);
    enum nlsh_status opened = nlsh__index_load(&source, &index, &other);
    assert_int_equal(opened, other.status);
    if (opened == NLSH_OK) {
        volatile uint64_t sum = sample_use(index);
        (void)sum;
    } else {
        assert_null(index);
        assert_non_null(strstr(other.message, name));
        assert_true(other.hint[0] != '\0');
    }
    nlsh_index_close(index);

    nlsh__error_clear(error);
    enum nlsh_status status = nlsh__index_load(&whole, &index, error);
    assert_int_equal(status, error->status);
    nlsh_index_close(index);
    if (opened != NLSH_OK) assert_true(status != NLSH_OK);
    if (status != NLSH_OK) {
        assert_non_null(strstr(error->message, name));
        assert_true(error->hint[0] != '\0');
    }
    free((void *)(uintptr_t)map.data);
    return status;
}

static inline void expect(const uint8_t *bytes, size_t size, enum nlsh_status status,
                          const char *words)
{
    struct nlsh_error error;
    enum nlsh_status got = judge(bytes, size, &error);
    if (got != status || strstr(error.message, words) == NULL)
        fail_msg("wanted %s (%s), got %s: %s", nlsh_status_name(status), words,
                 nlsh_status_name(got), error.message);
}

static inline struct nlsh__index_header *header_of(uint8_t *file)
{
    return (void *)file;
}

static inline struct nlsh__index_entry *entry_of(uint8_t *file, unsigned kind)
{
    struct nlsh__index_entry *e = (void *)(file + sizeof(struct nlsh__index_header));
    for (uint32_t i = 0; i < header_of(file)->n_sections; i++)
        if (e[i].kind == kind && e[i].segment == 0) return &e[i];
    fail_msg("no section %u", kind);
    return NULL;
}

static inline void *section_of(uint8_t *file, unsigned kind)
{
    return file + entry_of(file, kind)->offset;
}

static inline uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 8192);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    memset(copy + size, 0, 8192);
    return copy;
}

static inline int setup(void **state)
{
    (void)state;
    scratch_make();
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}

#endif
