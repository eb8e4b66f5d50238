/*
 * sized.h - structs that cross the library's border and carry their size (nlsh.h has the rule): a caller's
 * may be shorter or longer than ours. Each begins with size_t struct_size.
 */
#ifndef NLSH_BASE_SIZED_H
#define NLSH_BASE_SIZED_H

#include "nlsh/nlsh.h"

/* Defaults into a caller's struct of size bytes; what it has beyond ours becomes 0. */
void nlsh__options_init(void *theirs, size_t size, const void *defaults, size_t our_size);

/*
 * A caller's options over the defaults that ours holds. theirs may be NULL: the defaults.
 *
 *  name  of the struct, for messages: "nlsh_search_options"
 * NLSH_E_ARG: its struct_size was never set. NLSH_E_UNSUPPORTED: it sets a member that we do not know.
 */
enum nlsh_status nlsh__options_take(void *ours, size_t our_size, const void *theirs,
                                    const char *name, struct nlsh_error *error);

/* Whether a caller's answer struct says its size. NLSH_E_ARG. */
enum nlsh_status nlsh__answer_check(const void *theirs, const char *name, struct nlsh_error *error);
/* Our answer into the caller's, as far as that has room; its struct_size stays. Members beyond ours become
 * 0. */
void nlsh__answer_give(void *theirs, const void *ours, size_t our_size);

#endif
