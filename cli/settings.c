/* settings.c - see settings.h. */
#include "settings.h"

#include <stdio.h>

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
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (value != NULL && !json_is_number(value)) {
        json_decref(value);
        value = NULL;
    }
    return value ? value : json_string(text);
}

json_t *settings_json(const struct nlsh_build_options *options)
{
    json_t *object = json_object();
    const struct nlsh_setting *setting;
    char text[64];
    for (size_t i = 0; (setting = nlsh_build_setting(i)) != NULL; i++) {
        if (nlsh_build_options_get(options, setting->name, text, sizeof text)) {
            json_object_set_new(object, setting->name, setting_json(text));
        }
    }
    return object;
}
