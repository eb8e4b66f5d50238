/* inputs.h - what the verbs share: vector files by -type, the run's settings. */
#ifndef NLSH_CLI_INPUTS_H
#define NLSH_CLI_INPUTS_H

#include <stdbool.h>

#include "args.h"
#include "nlsh/learn.h"

/* Vectors as a verb uses them: as read, or converted to another type. */
struct loaded {
    struct nlsh_matrix matrix;
    enum nlsh_format format;
    struct nlsh_vectors *vectors;
    void *converted;
};

/* A file of vectors, or standard input where path is "-"; a signal stops it. */
enum nlsh_status read_vectors(const char *path, enum nlsh_format format, struct nlsh_vectors **out,
                              struct nlsh_error *error);

/* What --input_format says, or else -type: the `type` of the readers below. */
const char *vectors_type(const struct args *args);
/* The format that it means for a file; AUTO: by content. NLSH_E_DATA where the file's name says another. */
enum nlsh_status typed_format(const char *path, const char *type, enum nlsh_format *out,
                              struct nlsh_error *error);
/* Reads the file as that says. */
enum nlsh_status read_typed(const char *path, const char *type, struct nlsh_vectors **out,
                            struct nlsh_error *error);
/* The same. Returns 0 or an exit code after saying why. */
int load_vectors(const char *path, const char *type, struct loaded *out);
void loaded_free(struct loaded *loaded);
/* Converts to type where every value has a place in it; returns whether the matrix is of type. */
bool loaded_convert(struct loaded *loaded, enum nlsh_type type);
/* Brings queries to what nlsh_search() takes: the index's type where they fit, else f32. */
int load_queries(const char *path, const char *type, const char *index_path,
                 const struct nlsh_index_info *info, struct loaded *out);

const char *type_name(enum nlsh_type type);
/* How far row j of b is from row i of a: enum nlsh_metric. */
double row_distance(enum nlsh_metric metric, const struct nlsh_matrix *a, size_t i,
                    const struct nlsh_matrix *b, size_t j);
/* The metric that --metric names. */
enum nlsh_metric metric_named(const char *name);
struct nlsh_matrix matrix_rows(const struct nlsh_matrix *matrix, size_t first, size_t n);

/* What --memory says. */
enum nlsh_memory memory_named(const struct args *args);
enum nlsh_status open_index(const char *path, enum nlsh_memory memory, struct nlsh_index **out,
                            struct nlsh_error *error);

/* Threads, cache, progress and notes from the flags. */
void run_init(const struct args *args, struct nlsh_run *run);

#endif
