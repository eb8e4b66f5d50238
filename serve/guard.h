/* guard.h - who may ask: hosts, origins, tokens. */
#ifndef NLSH_SERVE_GUARD_H
#define NLSH_SERVE_GUARD_H

/* Whether a Host header names this machine's loopback: a page from elsewhere whose name was made to point here (DNS
 * rebinding) does not. NULL is no header. */
int nlsh__guard_is_loopback(const char *host);

/* Whether a request comes from a page of this server, or from no page: an Origin header, or NULL, beside the Host. */
int nlsh__guard_is_own(const char *origin, const char *host);

/* Whether an Authorization header is "Bearer TOKEN"; the time that it takes says nothing about the token but its
 * length. */
int nlsh__guard_token(const char *authorization, const char *token);

#endif
