/* json.c - see json.h. */
#include "json.h"

#include <inttypes.h>

#include "nlsh/nlsh.h"

/* failed: what jansson said. It has taken the value in any case. */
static void spread(json_t **into, bool failed)
{
    if (!failed) return;
    json_decref(*into);
    *into = NULL;
}

void json_add(json_t **array, json_t *value)
{
    spread(array, json_array_append_new(*array, value) != 0);
}

void json_set(json_t **object, const char *key, json_t *value)
{
    spread(object, json_object_set_new(*object, key, value) != 0);
}

json_t *json_key(uint64_t key)
{
    char text[24];
    if (key == NLSH_NO_KEY) return json_null();
    if (key <= INT64_MAX) return json_integer((json_int_t)key);
    snprintf(text, sizeof text, "%" PRIu64, key);
    return json_string(text);
}

bool json_write(json_t *value, FILE *to, size_t flags)
{
    /* Not json_dumps(): it goes on after memory for a name has run out, and then reports success. */
    bool done = value != NULL && (json_dumpf(value, to, flags) == 0 || ferror(to));
    json_decref(value);
    return done;
}
