/* listen.c - see listen.h. */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

/* Files that are no connections: the index, its log, the threads' epolls. */
enum { OTHER_FILES = 64 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    socklen_t size;
    int is_loopback;
};

/* 0, or -1 where the text is no address. */
static int read_address(const char *text, unsigned port, struct address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->name.v4.sin_addr) == 1) {
        out->name.v4.sin_family = AF_INET;
        out->name.v4.sin_port = htons((uint16_t)port);
        out->size = sizeof out->name.v4;
        out->is_loopback = ntohl(out->name.v4.sin_addr.s_addr) >> 24 == 127;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &out->name.v6.sin6_addr) == 1) {
        out->name.v6.sin6_family = AF_INET6;
        out->name.v6.sin6_port = htons((uint16_t)port);
        out->size = sizeof out->name.v6;
        out->is_loopback = IN6_IS_ADDR_LOOPBACK(&out->name.v6.sin6_addr);
        return 0;
    }
    return -1;
}

static unsigned port_of(int fd)
{
    struct address a = {.size = sizeof a.name};
    if (getsockname(fd, &a.name.any, &a.size) != 0) return 0;
    return ntohs(a.name.any.sa_family == AF_INET6 ? a.name.v6.sin6_port : a.name.v4.sin_port);
}

static enum nlsh_status failed(const char *address, unsigned port, struct nlsh_error *error)
{
    int e = errno;
    if (e == EADDRINUSE)
        return nlsh__fail(error, NLSH_E_BUSY, "name another with --port; 0 takes one that is free",
                          "port %u of %s is taken", port, address);
    return nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e,
                            "name an address of this machine, and a port that you may use",
                            "cannot listen at port %u of %s", port, address);
}

enum nlsh_status nlsh__listen(const char *address, unsigned *port, int *is_loopback, int *fd,
                              struct nlsh_error *error)
{
    struct address a;
    int yes = 1;
    if (*port > 65535)
        return nlsh__fail(error, NLSH_E_ARG, "ports are numbers up to 65535", "port is %u", *port);
    if (read_address(address, *port, &a) != 0)
        return nlsh__fail(error, NLSH_E_ARG, "give numbers, such as 127.0.0.1 or ::1",
                          "%s is no address", address);
    *fd = socket(a.name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) return failed(address, *port, error);
    (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(*fd, &a.name.any, a.size) != 0 || listen(*fd, 1024) != 0) {
        enum nlsh_status status = failed(address, *port, error);
        close(*fd);
        *fd = -1;
        return status;
    }
    *port = port_of(*fd);
    *is_loopback = a.is_loopback;
    return NLSH_OK;
}

size_t nlsh__allow_connections(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    if (limit.rlim_cur < wanted + OTHER_FILES) {
        struct rlimit more = limit;
        more.rlim_cur =
            wanted + OTHER_FILES < limit.rlim_max ? wanted + OTHER_FILES : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) limit = more;
    }
    if (limit.rlim_cur >= wanted + OTHER_FILES) return wanted;
    return limit.rlim_cur > 2 * OTHER_FILES ? (size_t)limit.rlim_cur - OTHER_FILES : OTHER_FILES;
}
