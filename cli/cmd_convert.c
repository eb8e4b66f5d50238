/* cmd_convert.c - `nlsh convert`: vectors from one file format to another. */
#include <jansson.h>

#include "inputs.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "verbs.h"

int cmd_convert(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_vectors *vectors;
    const char *in = args->words[0], *out = args->words[1];
    char rows[32];
    int code = output_check(out, "OUT", &in, 1);
    if (code != 0) return code;
    if (read_vectors(in, nlsh_format_from_name(args_text(args, "from")), &vectors, &error) !=
        NLSH_OK) {
        return talk_failed(&error);
    }
    const struct nlsh_matrix *matrix = nlsh_vectors_matrix(vectors);
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
    nlsh_vectors_free(vectors);
    return code;
}
