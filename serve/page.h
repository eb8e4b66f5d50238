/* page.h - the files of the page, in the program: embed.cmake writes them. */
#ifndef NLSH_SERVE_PAGE_H
#define NLSH_SERVE_PAGE_H

#include <stddef.h>

struct nlsh__page_file {
    const char *path, *type;
    const unsigned char *bytes;
    size_t size;
};

extern const struct nlsh__page_file nlsh__page_files[];
extern const size_t nlsh__page_n_files;

#endif
