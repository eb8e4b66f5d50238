/* listen.h - the socket that connections come by. */
#ifndef NLSH_SERVE_LISTEN_H
#define NLSH_SERVE_LISTEN_H

#include "nlsh/nlsh.h"

/*
 * nlsh__listen() - a socket that listens at an address, given in numbers, and a port.
 *
 *  port  0: one that is free
 * *port and *is_loopback say what it became. NLSH_E_ARG (no address), NLSH_E_BUSY (the port is taken),
 * NLSH_E_CANT_CREATE (may not be had, or anything else).
 */
enum nlsh_status nlsh__listen(const char *address, unsigned *port, int *is_loopback, int *fd,
                              struct nlsh_error *error);

/* As many open files as connections need, where the system allows it; how many connections there may be. */
size_t nlsh__allow_connections(size_t wanted);

#endif
