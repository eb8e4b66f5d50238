/* choose.c - see choose.h. */
#include "kernels/choose.h"

/* Not tolower(): a Turkish locale has another small I. */
static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int same(const char *a, const char *b)
{
    for (; *a != '\0' && small(*a) == small(*b); a++) b++;
    return small(*a) == small(*b);
}

size_t nlsh__set_find(const char *const *names, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && !same(names[i], name)) i++;
    return i;
}

size_t nlsh__set_choose(uint32_t has, uint32_t avoid, size_t cap)
{
    if (has >> cap & 1) avoid &= ~((uint32_t)1 << cap);
    while (cap > 0 && !((has & ~avoid) >> cap & 1)) cap--;
    return cap;
}
