/* models.h - several indexes of the same data: named one by one, or by the list of a tuning run. */
#ifndef NLSH_CLI_MODELS_H
#define NLSH_CLI_MODELS_H

#include "nlsh/learn.h"

struct model {
    char *path;
    char *name;           /* the file's name without folder and .nlsh; unique in the list */
    char *settings;       /* JSON object: those of the list, else those of the index */
    double build_seconds; /* NaN where nobody wrote it down */
    struct nlsh_index *index;
    struct nlsh_index_info info;
};

struct models {
    enum nlsh_memory memory; /* how they are opened */
    struct model *models;
    size_t n;
};

/* Opens the indexes and checks that they are of one set of vectors. 0 or an exit code after saying
 * why; *out is freed in any case by models_close(). */
int models_open(const char *const *paths, size_t n, enum nlsh_memory memory, struct models *out);

/*
 * The list that `nlsh tune` writes (docs/formats.md): its models are opened, paths in it taken from
 * its own folder, and compared with the content hash that it carries. EXIT_BAD_DATA: damaged, or
 * not such a list, or a model of other data. EXIT_NO_INPUT: the list or a model is gone.
 */
int models_read(const char *path, enum nlsh_memory memory, struct models *out);
void models_close(struct models *models);

/* The folder part of a path with its slash, "" where it has none; freed by the caller. */
char *folder_of(const char *path);

#endif
