/* version.c - the library's version, as CMake has it. */
#include "nlsh/nlsh.h"

const char *nlsh_version(void)
{
    return NLSH_VERSION;
}
