/* counts.h - what each query of a test cost, in arrays that can be compared as a whole. */
#ifndef NLSH_TESTS_COUNTS_H
#define NLSH_TESTS_COUNTS_H

#include "nlsh/nlsh.h"

enum { MOST_COUNTED = 1024 };

/* Begin it with {0}: then the arrays of as many queries are equal, or are not, as a whole. */
struct counts {
    uint32_t probes[MOST_COUNTED], candidates[MOST_COUNTED], ranked[MOST_COUNTED];
};

/* The argument of a search that counts into c; it lives as long as the block that it stands in. */
#define COUNT_INTO(c)                                                                              \
    (&(struct nlsh_search_stats){.struct_size = sizeof(struct nlsh_search_stats),                  \
                                 .probes = (c)->probes,                                            \
                                 .candidates = (c)->candidates,                                    \
                                 .ranked = (c)->ranked})

#endif
