/* settings.c - see settings.h. */
#include "settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "near.h"
#include "talk.h"

int settings_read(const struct args *args, struct nlsh_build_options *options)
{
    struct nlsh_error error = {0};
    nlsh_build_options_init(options, sizeof *options);
    if (args_given(args, "config") &&
        nlsh_build_options_read(args_text(args, "config"), options, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    for (size_t i = 0; i < args->n_flags; i++) {
        const struct flag *flag = args->flags[i];
        if (flag->kind != FLAG_SETTING || args->values[i] == NULL) continue;
        if (nlsh_build_options_set(options, flag->name, args->values[i], &error) != NLSH_OK) {
            char word[64];
            if (choice_suggest(flag->argument, args->values[i], word, sizeof word)) {
                char hint[sizeof error.hint];
                snprintf(hint, sizeof hint, "did you mean %s? %.160s", word, error.hint);
                snprintf(error.hint, sizeof error.hint, "%s", hint);
            }
            return talk_failed(&error);
        }
    }
    return 0;
}

/* A setting's text as JSON: a number where it is one, so that the object works as --config. */
static json_t *setting_json(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (*text == '\0' || *end != '\0') return json_string(text);
    if (text[strspn(text, "0123456789")] != '\0') return json_real(number);
    errno = 0;
    long long whole = strtoll(text, NULL, 10);
    return errno == 0 ? json_integer(whole) : json_string(text); /* JSON's whole numbers end */
}

json_t *settings_json(const struct nlsh_build_options *options)
{
    json_t *object = json_object();
    const struct nlsh_setting *setting;
    char text[64];
    for (size_t i = 0; (setting = nlsh_build_setting(i)) != NULL; i++) {
        if (nlsh_build_options_get(options, setting->name, text, sizeof text)) {
            json_set(&object, setting->name, setting_json(text));
        }
    }
    return object;
}

int settings_of_index(const char *path, const char *text, json_t **out)
{
    json_error_t error = {0};
    *out = NULL;
    /* jansson does not always tell a text that is wrong from memory that ran out. What is wrong is so the
     * second time too. */
    for (int attempt = 0; attempt < 2 && *out == NULL; attempt++) {
        *out = json_loads(text, 0, &error);
    }
    if (json_is_object(*out)) return 0;
    bool memory = *out == NULL && error.text[0] == '\0';
    json_decref(*out);
    *out = NULL;
    if (memory) return talk_error(EXIT_BUG, NULL, "out of memory");
    return talk_error(EXIT_BAD_DATA, "nlsh verify says whether the file is damaged",
                      "%s: its settings cannot be read as a JSON object: %s", path, error.text);
}

/* ---- in words -------------------------------------------------------------------------------- */

/* "256, 512, 1024": words or numbers in a row. */
static char *list_words(const json_t *list)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        char *word = settings_words(json_array_get(list, i));
        fprintf(to, "%s%s", i ? ", " : "", word ? word : "");
        free(word);
    }
    return fclose(to) == 0 ? text : NULL;
}

static int is_plain_list(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        if (json_is_array(one) || json_is_object(one)) return 0;
    }
    return json_is_array(value);
}

char *settings_words(const json_t *value)
{
    char text[32];
    if (value == NULL) return NULL;
    if (json_is_string(value)) return strdup(json_string_value(value));
    if (is_plain_list(value)) return list_words(value);
    if (!json_is_real(value)) return json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    return snprintf(text, sizeof text, "%.6g", json_real_value(value)) > 0 ? strdup(text) : NULL;
}

/* Whether a value is another one, to who reads it, in any of the objects. */
static int differs(const char *key, const char *words, json_t *const *objects, size_t n)
{
    int is_other = 0;
    for (size_t i = 0; i < n && !is_other; i++) {
        char *others = settings_words(json_object_get(objects[i], key));
        is_other = objects[i] != NULL && (others == NULL || strcmp(others, words) != 0);
        free(others);
    }
    return is_other;
}

char *settings_differing(json_t *const *objects, size_t n, size_t which)
{
    char *text = NULL;
    size_t size, n_put = 0;
    const char *key;
    json_t *value;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    json_object_foreach(objects[which], key, value)
    {
        char *words = settings_words(value);
        if (words != NULL && differs(key, words, objects, n)) {
            fprintf(to, "%s%s %s", n_put++ ? ", " : "", key, words);
        }
        free(words);
    }
    return fclose(to) == 0 ? text : NULL;
}
