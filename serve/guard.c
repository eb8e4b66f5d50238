/* guard.c - see guard.h. */
#include "serve/guard.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

int nlsh__guard_is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    if (host == NULL) return 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) != 0) continue;
        const char *port = host + n;
        if (*port == '\0') return 1;
        if (*port == ':' && strspn(port + 1, "0123456789") == strlen(port + 1)) return 1;
    }
    return 0;
}

/* TLS may end before us, so the page may have come by either. */
int nlsh__guard_is_own(const char *origin, const char *host)
{
    if (origin == NULL) return 1;
    if (host == NULL) return 0;
    if (strncasecmp(origin, "http://", 7) == 0) return strcasecmp(origin + 7, host) == 0;
    if (strncasecmp(origin, "https://", 8) == 0) return strcasecmp(origin + 8, host) == 0;
    return 0;
}

int nlsh__guard_token(const char *authorization, const char *token)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0) return 0;
    const char *given = authorization + 7;
    size_t n = strlen(token), n_given = strlen(given);
    unsigned different = n != n_given;
    for (size_t i = 0; i < n_given; i++)
        different |= (unsigned char)given[i] ^ (unsigned char)token[n > 0 ? i % n : 0];
    return different == 0;
}
