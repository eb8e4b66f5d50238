/* sized.c - see sized.h. */
#include "base/sized.h"

#include <string.h>

#include "base/error.h"

/* No struct of ours will ever be so large: more is memory that nobody has set. */
#define MOST ((size_t)4096)

static size_t size_of(const void *theirs)
{
    size_t size;
    memcpy(&size, theirs, sizeof size);
    return size;
}

void nlsh__options_init(void *theirs, size_t size, const void *defaults, size_t our_size)
{
    if (size < sizeof size) return;
    memset(theirs, 0, size);
    memcpy(theirs, defaults, size < our_size ? size : our_size);
    memcpy(theirs, &size, sizeof size);
}

static enum nlsh_status check_size(const void *theirs, const char *name, const char *remedy,
                                   struct nlsh_error *error)
{
    size_t size = size_of(theirs);
    if (size > sizeof size && size <= MOST) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, remedy,
                      "struct %s: its struct_size is %zu: it was not set", name, size);
}

enum nlsh_status nlsh__options_take(void *ours, size_t our_size, const void *theirs,
                                    const char *name, struct nlsh_error *error)
{
    if (theirs == NULL) return NLSH_OK;
    enum nlsh_status status =
        check_size(theirs, name, "fill options with their _init() function", error);
    if (status != NLSH_OK) return status;
    size_t size = size_of(theirs);
    const unsigned char *bytes = theirs;
    for (size_t i = our_size; i < size; i++)
        if (bytes[i] != 0)
            return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                              "run with the library that the program was compiled for, or leave "
                              "the newer members 0",
                              "struct %s: the program sets a member that nlsh " NLSH_VERSION
                              " does not know (byte %zu of %zu)",
                              name, i, size);
    memcpy(ours, theirs, size < our_size ? size : our_size);
    memcpy(ours, &our_size, sizeof our_size);
    return NLSH_OK;
}

enum nlsh_status nlsh__answer_check(const void *theirs, const char *name, struct nlsh_error *error)
{
    return check_size(theirs, name, "set its struct_size to its sizeof before the call", error);
}

void nlsh__answer_give(void *theirs, const void *ours, size_t our_size)
{
    size_t size = size_of(theirs), common = size < our_size ? size : our_size;
    memcpy((char *)theirs + sizeof size, (const char *)ours + sizeof size, common - sizeof size);
    if (size > our_size) memset((char *)theirs + our_size, 0, size - our_size);
}
