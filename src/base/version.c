/* version.c - the version of the library that runs: that of the header it was built with. */
#include "nlsh/nlsh.h"

const char *nlsh_version(void)
{
    return NLSH_VERSION;
}
