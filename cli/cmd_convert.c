/* cmd_convert.c - `nlsh convert`: vectors from one file format to another. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "inputs.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "vectors/read.h"
#include "verbs.h"

static void write_word(void *user, const char *word, size_t size)
{
    FILE *to = user;
    fwrite(word, 1, size, to);
    fputc('\n', to);
}

/* --keys-out: the words that stand before the numbers. */
static int write_words(const struct args *args, const char *in)
{
    struct nlsh_error error = {0};
    struct output output;
    int code = output_open(args_text(args, "keys-out"), &output);
    if (code != 0) return code;
    if (nlsh__vectors_words(in, nlsh_format_from_name(args_text(args, "from")), write_word,
                            output.file, &error) != NLSH_OK) {
        output_abort(&output);
        return talk_failed(&error);
    }
    return output_commit(&output);
}

/* Whether what is asked for can be written, before anything is read. */
static int check_outputs(const struct args *args)
{
    const char *in = args->words[0], *out = args->words[1];
    const char *keys = args_text(args, "keys-out");
    int code = output_check(out, "OUT", &in, 1);
    if (code != 0 || keys == NULL) return code;
    if (strcmp(in, "-") == 0)
        return talk_error(EXIT_USAGE, "name a file: it is read twice",
                          "--keys-out and standard input do not go together");
    if (strcmp(keys, out) == 0 && strcmp(out, "-") != 0)
        return talk_error(EXIT_USAGE, "give it another name",
                          "--keys-out %s would overwrite the vectors", keys);
    return output_check(keys, "--keys-out", &in, 1);
}

int cmd_convert(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_vectors *vectors;
    const char *in = args->words[0], *out = args->words[1];
    char rows[32];
    int code = check_outputs(args);
    if (code != 0) return code;
    if (read_vectors(in, nlsh_format_from_name(args_text(args, "from")), &vectors, &error) !=
        NLSH_OK) {
        return talk_failed(&error);
    }
    if (args_given(args, "keys-out")) code = write_words(args, in);
    const struct nlsh_matrix *matrix = nlsh_vectors_matrix(vectors);
    if (code != 0) goto out;
    if (nlsh_vectors_write(out, nlsh_format_from_name(args_text(args, "to")), matrix, &error) !=
        NLSH_OK) {
        code = talk_failed(&error);
    } else {
        talk_say("%s: %s x %zu, %s to %s", out, text_count(matrix->n_rows, rows), matrix->dim, in,
                 type_name(matrix->type));
        if (args_given(args, "json")) {
            code = print_json(json_pack("{s:o, s:I, s:I, s:s}", "file", json_name(out), "rows",
                                        (json_int_t)matrix->n_rows, "dim", (json_int_t)matrix->dim,
                                        "read_as", nlsh_format_name(nlsh_vectors_format(vectors))));
        }
    }
out:
    nlsh_vectors_free(vectors);
    return code;
}
