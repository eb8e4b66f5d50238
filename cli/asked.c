/* asked.c - see asked.h. */
#include "asked.h"

#include <math.h>
#include <stdlib.h>

#include "inputs.h"
#include "json.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "truth.h"

/* The true neighbours by key, as answers have them; ids are freed by the caller. */
static int by_key(const struct nlsh_index *index, const struct nlsh_neighbors *truth,
                  struct nlsh_neighbors *out)
{
    size_t n = truth->n_rows * truth->k;
    *out = *truth;
    out->ids = malloc(n * sizeof *out->ids);
    if (out->ids == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    for (size_t i = 0; i < n; i++) out->ids[i] = key_of_row(index, truth->ids[i]);
    return 0;
}

/* Into the scores of all recalls. */
static int find(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                const struct nlsh_neighbors *truth, size_t n_threads, struct asked *out)
{
    struct nlsh_error error = {0};
    struct answers answers;
    int code = answers_create(queries->n_rows, out->k, &answers);
    for (size_t i = 0; i < out->n && code == 0; i++) {
        struct nlsh_search_options *options = &out->options[i];
        options->k = out->k;
        options->n_threads = n_threads;
        out->likeness[i].struct_size = sizeof out->likeness[i];
        if (talk_progress(NULL, "search", i, out->n)) {
            code = talk_interrupted();
        } else if (nlsh_search_batch(index, queries, options, answers.keys, answers.distances,
                                     &answers.stats, &error) != NLSH_OK ||
                   nlsh_likeness(index, options, answers.stats.outside, answers.distances,
                                 answers.n, &out->likeness[i], &error) != NLSH_OK) {
            code = talk_failed(&error);
        } else {
            score_answers(&answers, answers.n, truth, &out->score[i]);
        }
    }
    if (code == 0) talk_stage_end();
    answers_free(&answers);
    return code;
}

int asked_read(const struct args *args, struct asked *out)
{
    *out = (struct asked){.k = 0};
    out->n = read_recalls(args, out->options);
    return out->n > 0 ? 0 : EXIT_USAGE;
}

int asked_find(const struct nlsh_index *index, const struct nlsh_matrix *queries,
               const struct nlsh_neighbors *truth, size_t k, size_t n_threads, struct asked *out)
{
    struct nlsh_neighbors keyed = {0};
    out->k = k;
    out->n_queries = queries->n_rows;
    int code = by_key(index, truth, &keyed);
    if (code == 0) code = find(index, queries, &keyed, n_threads, out);
    free(keyed.ids);
    return code;
}

/* ---- what is told ---------------------------------------------------------------------------- */

void asked_say(const struct asked *a)
{
    char candidates[32], queries[32];
    for (size_t i = 0; i < a->n; i++) {
        const struct score *s = &a->score[i];
        text_count((uint64_t)llround(s->candidates), candidates);
        text_count(a->n_queries, queries);
        if (isfinite(s->recall_error))
            talk_say("asked for recall@%zu %g: reached %.4f, standard error %.4f over %s queries, "
                     "%s candidates",
                     a->k, a->options[i].recall, s->recall_n, s->recall_error, queries, candidates);
        else
            talk_say("asked for recall@%zu %g: reached %.4f with one query, which has no standard "
                     "error, %s candidates",
                     a->k, a->options[i].recall, s->recall_n, candidates);
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!a->likeness[i].unlike) continue;
        say_likeness(&a->likeness[i], &a->options[i]);
        break; /* once is enough */
    }
}

void asked_csv(const struct asked *a, FILE *to)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct score *s = &a->score[i];
        fprintf(to, "asked,%.9g,%.6f,%.2f,%.2f,,", a->options[i].recall, s->recall_n, s->candidates,
                s->p95);
        if (isfinite(s->recall_error)) fprintf(to, "%.6f", s->recall_error);
        fputc('\n', to);
    }
}

void asked_json(const struct asked *a, json_t **array)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct score *s = &a->score[i];
        json_add(array, json_pack("{s:s, s:f, s:f, s:o, s:f, s:f, s:f, s:b}", "rule", "asked",
                                  "value", a->options[i].recall, "recall", s->recall_n, "error",
                                  json_number_or_null(s->recall_error), "candidates", s->candidates,
                                  "candidates_p95", s->p95, "probes", s->probes, "unlike",
                                  a->likeness[i].unlike));
    }
}
