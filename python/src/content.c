/* content.c - see content.h. */
#define _XOPEN_SOURCE 700 /* realpath() */
#include "content.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct content {
    unsigned n_holders;
    int fd, log_fd;
    char *path, *log_path;
};

/* The log lies beside the file that a symbolic link names. */
static char *path_of_log(const char *path)
{
    char *real = realpath(path, NULL);
    const char *of = real != NULL ? real : path;
    char *log_path = malloc(strlen(of) + sizeof "-log");
    if (log_path != NULL) strcat(strcpy(log_path, of), "-log");
    free(real);
    return log_path;
}

struct content *content_open(const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK; /* who opens a FIFO must not wait */
    struct content *content = malloc(sizeof *content);
    if (content == NULL) return NULL;
    *content = (struct content){1, -1, -1, strdup(path), path_of_log(path)};
    if (content->path == NULL || content->log_path == NULL) {
        content_drop(content);
        return NULL;
    }
    content->fd = open(content->path, flags);
    content->log_fd = open(content->log_path, flags);
    return content;
}

struct content *content_hold(struct content *content)
{
    content->n_holders++;
    return content;
}

void content_drop(struct content *content)
{
    if (content == NULL || --content->n_holders > 0) return;
    if (content->fd >= 0) close(content->fd);
    if (content->log_fd >= 0) close(content->log_fd);
    free(content->path);
    free(content->log_path);
    free(content);
}

static int is_still(const char *path, int fd)
{
    struct stat named, ours;
    if (fd < 0) return stat(path, &named) != 0;
    return stat(path, &named) == 0 && fstat(fd, &ours) == 0 && named.st_ino == ours.st_ino &&
           named.st_dev == ours.st_dev;
}

int content_is_current(const struct content *content)
{
    return is_still(content->path, content->fd) && is_still(content->log_path, content->log_fd);
}

const char *content_path(const struct content *content)
{
    return content->path;
}

int content_fd(const struct content *content)
{
    return content->fd;
}

int content_log_fd(const struct content *content)
{
    return content->log_fd;
}
