/* shards.h - an index in shards, as the verbs meet it. */
#ifndef NLSH_CLI_SHARDS_H
#define NLSH_CLI_SHARDS_H

#include <stdbool.h>

#include "args.h"
#include "ranks/ranks.h"

/* The processes that this command runs in; one, but for some verbs under mpirun. */
void shards_ranks(const struct nlsh__ranks *ranks);

const struct nlsh__ranks *shards_all(void);
bool shards_alone(void);
/* Whether mpirun started them, even if it is one. */
bool shards_in_ranks(void);

/* Whether a file names shards, and is no index. */
bool is_shards(const char *path);

/* `nlsh info` of these. */
int info_shards(const char *path, bool json);

/* `nlsh build` by all ranks. */
int build_shards(const struct args *args);

/* `nlsh search` of these. */
int search_shards(const struct args *args);

#endif
