/* functions.c - the scalar functions: vectors made, read, and compared. */
#include <math.h>
#include <string.h>

#include "kernels/metric.h"
#include "vector.h"

SQLITE_EXTENSION_INIT3

static void fail(sqlite3_context *context, int rc, char *message)
{
    if (rc == SQLITE_NOMEM)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_error(context, message, -1);
    sqlite3_free(message);
}

/* NULL for NULL, as SQL's own functions have it: then 0. */
static int take(sqlite3_context *context, sqlite3_value *value, const char *what,
                struct nlsh__sqlite_vector *out)
{
    char *message;
    out->values = NULL;
    if (sqlite3_value_type(value) == SQLITE_NULL) return 0;
    int rc = nlsh__sqlite_vector_of(value, what, out, &message);
    if (rc != SQLITE_OK) fail(context, rc, message);
    return rc == SQLITE_OK;
}

static void to_f32(sqlite3_context *context, int n, sqlite3_value **values)
{
    struct nlsh__sqlite_vector v;
    (void)n;
    if (!take(context, values[0], "nlsh_f32", &v)) return;
    sqlite3_result_blob64(context, v.values, v.dim * sizeof(float), sqlite3_free);
    sqlite3_result_subtype(context, NLSH__SQL_IS_F32);
}

static void to_f16(sqlite3_context *context, int n, sqlite3_value **values)
{
    struct nlsh__sqlite_vector v;
    (void)n;
    if (!take(context, values[0], "nlsh_f16", &v)) return;
    unsigned char *halves = (unsigned char *)v.values; /* in place: each is half of what it was */
    for (size_t d = 0; d < v.dim; d++) {
        if (fabsf(v.values[d]) >= 65520) {
            fail(context, SQLITE_ERROR,
                 sqlite3_mprintf("nlsh_f16: value %lld is too large: f16 ends at 65504",
                                 (sqlite3_int64)d));
            sqlite3_free(v.values);
            return;
        }
        uint16_t half = nlsh__sqlite_to_f16(v.values[d]);
        memcpy(halves + 2 * d, &half, sizeof half);
    }
    sqlite3_result_blob64(context, halves, v.dim * 2, sqlite3_free);
    sqlite3_result_subtype(context, NLSH__SQL_IS_F16);
}

static void to_json(sqlite3_context *context, int n, sqlite3_value **values)
{
    struct nlsh__sqlite_vector v;
    (void)n;
    if (!take(context, values[0], "nlsh_to_json", &v)) return;
    char *json = nlsh__sqlite_json(v.values, v.dim);
    sqlite3_free(v.values);
    if (json == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    sqlite3_result_text(context, json, -1, sqlite3_free);
    sqlite3_result_subtype(context, 'J'); /* SQLite's own functions take it as JSON */
}

/* In f64, for whoever wants to check. */
static double distance(enum nlsh_metric metric, const float *a, const float *b, size_t dim)
{
    double dot = 0, l2sq = 0;
    for (size_t d = 0; d < dim; d++) {
        double difference = (double)a[d] - (double)b[d];
        dot += (double)a[d] * (double)b[d];
        l2sq += difference * difference;
    }
    if (metric == NLSH_L2) return sqrt(l2sq);
    if (metric == NLSH_IP) return -dot;
    return 1 - dot / (nlsh__length(a, dim) * nlsh__length(b, dim));
}

static void distance_of(sqlite3_context *context, enum nlsh_metric metric, sqlite3_value **values)
{
    struct nlsh__sqlite_vector a, b;
    char name[40];
    sqlite3_snprintf(sizeof name, name, "nlsh_distance_%s", nlsh_metric_name(metric));
    if (!take(context, values[0], name, &a)) return;
    if (take(context, values[1], name, &b)) {
        double result = 0;
        if (a.dim == b.dim) result = distance(metric, a.values, b.values, a.dim);
        if (a.dim != b.dim)
            fail(context, SQLITE_ERROR,
                 sqlite3_mprintf("%s: vectors of dimensions %lld and %lld", name,
                                 (sqlite3_int64)a.dim, (sqlite3_int64)b.dim));
        else if (isnan(result))
            fail(context, SQLITE_ERROR,
                 sqlite3_mprintf("%s: a vector of zeros has no direction, and so no cosine", name));
        else
            sqlite3_result_double(context, result);
        sqlite3_free(b.values);
    }
    sqlite3_free(a.values);
}

static void distance_l2(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    distance_of(context, NLSH_L2, values);
}

static void distance_ip(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    distance_of(context, NLSH_IP, values);
}

static void distance_cosine(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    distance_of(context, NLSH_COSINE, values);
}

static void version(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    (void)values;
    sqlite3_result_text(context, nlsh_version(), -1, SQLITE_STATIC);
}

int nlsh__sqlite_functions(sqlite3 *db)
{
    static const struct {
        const char *name;
        int n;
        void (*function)(sqlite3_context *context, int n, sqlite3_value **values);
    } all[] = {{"nlsh_f32", 1, to_f32},
               {"nlsh_f16", 1, to_f16},
               {"nlsh_to_json", 1, to_json},
               {"nlsh_distance_l2", 2, distance_l2},
               {"nlsh_distance_ip", 2, distance_ip},
               {"nlsh_distance_cosine", 2, distance_cosine},
               {"nlsh_version", 0, version}};
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS | SQLITE_SUBTYPE;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(db, all[i].name, all[i].n, flags, NULL, all[i].function,
                                        NULL, NULL, NULL);
    return rc;
}
