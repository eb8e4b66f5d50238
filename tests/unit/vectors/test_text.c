/*
 * test_text.c - vectors as text: every kind of line gives its numbers; what is no vector is an error that
 * names its line.
 */
#include "testing.h"

#include <locale.h>
#include <zlib.h>

#include "vectors/parse.h"
#include "vectors/text.h"

static struct nlsh_error error;

static enum nlsh_status parse(const char *name, const char *text, struct nlsh_vectors *v)
{
    /* At the end of an allocation: ASan sees a read behind it. */
    size_t size = strlen(text);
    uint8_t *bytes = malloc(size);
    memcpy(bytes, text, size);
    enum nlsh_status status =
        nlsh__vectors_parse(bytes, size, name, NLSH_FORMAT_AUTO, NULL, v, &error);
    free(bytes);
    return status;
}

/* text is {1, 2.5, -3e-2} and {4, 5, 6}, by name and by content. */
static void is_the_sample(const char *text)
{
    static const float want[] = {1, 2.5f, -3e-2f, 4, 5, 6};
    static const char *const names[] = {"a.csv", "a.b.txt", "a"};
    for (int i = 0; i < 3; i++) {
        struct nlsh_vectors v;
        if (parse(names[i], text, &v) != NLSH_OK) fail_msg("'%s': %s", text, error.message);
        assert_int_equal(v.format, NLSH_FORMAT_TEXT);
        assert_int_equal(v.matrix.n_rows, 2);
        assert_int_equal(v.matrix.dim, 3);
        if (memcmp(v.matrix.data, want, sizeof want) != 0) fail_msg("'%s': other numbers", text);
        nlsh__vectors_clear(&v);
    }
}

static void every_kind_of_line(void **state)
{
    (void)state;
    is_the_sample("1,2.5,-3e-2\n4,5,6\n");
    is_the_sample("1,2.5,-3e-2\r\n4,5,6\r\n");
    is_the_sample("1,2.5,-3e-2\n4,5,6");
    is_the_sample("1, 2.5 ,-3e-2\n\n 4,5,6 \n\n");
    is_the_sample("x,y,z\n1,2.5,-3e-2\n4,5,6\n");
    is_the_sample("# made by hand\n1,2.5,-3e-2\n# more\n4,5,6\n");
    is_the_sample("# made\n# by hand\n\nx,y,z\n1,2.5,-3e-2\n4,5,6\n");
    is_the_sample("# 1 2.5 -3e-2\nof 4 5 6\n");
    is_the_sample("1;2.5;-3e-2\n4;5;6\n");
    is_the_sample("1\t2.5\t-3e-2\n4\t5\t6\n");
    is_the_sample("1 2.5 -3e-2\n4 5 6\n");
    is_the_sample("  1   2.5 -.03 \n 4. +5 06\n");
    is_the_sample("the 1 2.5 -3e-2\nof 4 5 6\n");
    is_the_sample(". . . 1 2.5 -3e-2\nof 4 5 6\n");
    is_the_sample("the 1 2.5 -3e-2\n# 4 5 6\n");
    is_the_sample("2 3\nthe 1 2.5 -3e-2\nof 4 5 6\n");
    is_the_sample("2 3\n2008 1 2.5 -3e-2\n2009 4 5 6\n");
    is_the_sample("caf\xc3\xa9 1 2.5 -3e-2\nof 4 5 6\n");
    is_the_sample("id,a,b,c\nfirst,1,2.5,-3e-2\nsecond,4,5,6\n");
}

static void one_line_is_one_vector(void **state)
{
    (void)state;
    struct nlsh_vectors v;
    assert_int_equal(parse("a", "0.1 0.2 0.3 0.4", &v), NLSH_OK);
    assert_int_equal(v.matrix.n_rows, 1);
    assert_int_equal(v.matrix.dim, 4);
    nlsh__vectors_clear(&v);
    assert_int_equal(parse("a.csv", "5 1\n7 2\n", &v), NLSH_OK); /* no sizes of word2vec's */
    assert_int_equal(v.matrix.n_rows, 2);
    assert_int_equal(v.matrix.dim, 2);
    nlsh__vectors_clear(&v);
}

static void what_is_no_vector_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"1,2,3\n4,5,6\n7,8\n7,8,9\n", "line 3 has 2 numbers"},
        {"1,2,3\n4,5,6\n7,8,9,10\n", "line 3 has more numbers"},
        {"1,2,3\n4,5,six\n", "no text of vectors"},
        {"1,2,3\n4,5,6\n7,x,9\n", "line 3: \"x\" is no number"},
        {"1,2,3\n4,5,6\n7,,9\n", "line 3: \"\" is no number"},
        {"1,2,3\n4,5,6\nnan,8,9\n", "row 2, column 0 is NaN"},
        {"1,2,3\n4,5,6\n7,1e99,9\n", "row 2, column 1 is infinite"},
        {"1,2,3\n4,5,6\n1,2,1234567890123456789012345678901234567890123456789012345678901234567\n",
         "line 3"},
        {"the 1 2 3\nof 4 5 6\na 1 b 3\n", "line 3: \"b\" is no number"},
        {"the 1 2 3\nof 4 5 6\n7 8\n", "line 3 has 2 numbers"},
        {"a letter\nand another\n", "no text of vectors"},
        {"x,y\n", "no text of vectors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nlsh_vectors v;
        assert_int_equal(parse("a.csv", cases[i].text, &v), NLSH_E_DATA);
        if (strstr(error.message, cases[i].words) == NULL)
            fail_msg("'%s': wanted '%s', not '%s'", cases[i].text, cases[i].words, error.message);
        assert_null(v.memory);
    }
}

/* Lines longer than a piece of reading, gzipped: 3 rows of 50,000 numbers, of which the head
 * shows one row and a part. */
static void long_lines_of_a_gzip_stream(void **state)
{
    (void)state;
    enum { ROWS = 3, DIM = 50000 };
    char *text = malloc(ROWS * DIM * 8);
    size_t size = 0;
    for (int i = 0; i < ROWS * DIM; i++)
        size += (size_t)sprintf(text + size, "%d%c", i % 1000, i % DIM == DIM - 1 ? '\n' : '\t');
    uLongf packed_size = compressBound(size) + 64;
    uint8_t *packed = malloc(packed_size);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)text;
    z.avail_in = (uInt)size;
    z.next_out = packed;
    z.avail_out = (uInt)packed_size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    struct nlsh_vectors v;
    assert_int_equal(
        nlsh__vectors_parse(packed, z.total_out, "a.tsv.gz", NLSH_FORMAT_AUTO, NULL, &v, &error),
        NLSH_OK);
    deflateEnd(&z);
    assert_int_equal(v.matrix.n_rows, ROWS);
    assert_int_equal(v.matrix.dim, DIM);
    for (int i = 0; i < ROWS * DIM; i++)
        assert_true(((const float *)v.matrix.data)[i] == (float)(i % 1000));
    nlsh__vectors_clear(&v);
    free(packed);
    free(text);
}

/* Many short lines behind two long ones must not make us ask for lines x numbers. */
static void sizes_are_checked_before_memory_is_asked_for(void **state)
{
    (void)state;
    enum { DIM = 20000, LINES = 2000000 };
    char *text = malloc(2 * DIM * 2 + 2 * LINES + 1), *at = text;
    for (int i = 0; i < 2 * DIM; i++) at += sprintf(at, "1%c", i % DIM == DIM - 1 ? '\n' : ' ');
    for (int i = 0; i < LINES; i++) at += sprintf(at, "1\n");
    struct nlsh_vectors v;
    assert_int_equal(parse("a.txt", text, &v), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "more than its text holds"));
    free(text);
}

/* Where the program's locale writes numbers with a comma, ours are still read with a point. */
static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL)
        skip();
    is_the_sample("1,2.5,-3e-2\n4,5,6\n");
    setlocale(LC_ALL, "C");
}

struct joined {
    char text[64];
};

static void join(void *user, const char *word, size_t size)
{
    struct joined *j = user;
    size_t used = strlen(j->text);
    snprintf(j->text + used, sizeof j->text - used, "%.*s|", (int)size, word);
}

static enum nlsh_status words_of(const char *text, struct joined *out)
{
    struct nlsh__source *source;
    *out = (struct joined){""};
    assert_int_equal(nlsh__source_open((const uint8_t *)text, strlen(text), NLSH__PLAIN, "a.txt",
                                       NULL, &source, &error),
                     NLSH_OK);
    enum nlsh_status status = nlsh__text_words(source, "a.txt", join, out, &error);
    nlsh__source_close(source);
    return status;
}

static void words_are_what_stands_before_the_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"the 1 2.5 -3e-2\nof 4 5 6\n", "the|of|"},
        {". . . 1 2.5 -3e-2\r\n\nof 4 5 6", ". . .|of|"},
        {"2 3\n2008 1 2.5 -3e-2\n 2009 4 5 6\n", "2008|2009|"},
        {"id,a,b,c\nfirst, 1,2.5,-3e-2\n7,4,5,6\n", "first|7|"},
        {"the\t1\t2\t3\n# of\t4\t5\t6\n", "the|# of|"},
    };
    struct joined found;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (words_of(cases[i].text, &found) != NLSH_OK)
            fail_msg("'%s': %s", cases[i].text, error.message);
        assert_string_equal(found.text, cases[i].words);
    }
    assert_int_equal(words_of("1 2 3\n4 5 6\n", &found), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "line 1 has no word"));
    assert_int_equal(words_of("the 1 2 3\nof 4 5 6\n7 8 9\n", &found), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "line 3 has no word"));
    assert_string_equal(found.text, "the|of|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_line),
        cmocka_unit_test(one_line_is_one_vector),
        cmocka_unit_test(what_is_no_vector_is_named),
        cmocka_unit_test(long_lines_of_a_gzip_stream),
        cmocka_unit_test(sizes_are_checked_before_memory_is_asked_for),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(words_are_what_stands_before_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
