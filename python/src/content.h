/*
 * content.h - the files that an open index is of, kept open for reading: its content can be had when their names
 * are gone, or mean others.
 */
#ifndef NLSH_PYTHON_CONTENT_H
#define NLSH_PYTHON_CONTENT_H

struct content;

/* An index file and the log beside it; with one holder. No GIL is needed. NULL: no memory. */
struct content *content_open(const char *path);
/* With the GIL, which guards the count. */
struct content *content_hold(struct content *content);
/* The last holder's call closes the files. Accepts NULL. */
void content_drop(struct content *content);

/* 1: the names still mean these files, and both or none of them were there. No GIL is needed. */
int content_is_current(const struct content *content);

const char *content_path(const struct content *content);
/* A descriptor; -1: there was no such file. */
int content_fd(const struct content *content);
int content_log_fd(const struct content *content);

#endif
