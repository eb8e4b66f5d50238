/* resident.h - bytes of a file in memory of our own, on huge pages where the system gives them. */
#ifndef NLSH_BASE_RESIDENT_H
#define NLSH_BASE_RESIDENT_H

#include "base/file.h"

/* A whole file, read. nlsh__map_close() frees it. NLSH_E_NO_INPUT, NLSH_E_IO, NLSH_E_NOMEM. */
enum nlsh_status nlsh__map_read(const char *path, struct nlsh__map *out, struct nlsh_error *error);

/* size writable bytes, zeros, aligned to 64 at least; freed by nlsh__map_close(). */
enum nlsh_status nlsh__map_anonymous(size_t size, struct nlsh__map *out, struct nlsh_error *error);

size_t nlsh__page_size(void);

/* Says that a part of a map is read here and there, so that nothing is read ahead from a disk. */
void nlsh__map_scattered(const struct nlsh__map *map, size_t offset, size_t size);

/* Takes the pages of a file's map out of the process. They are the system's to keep, and come back when they are read. */
void nlsh__map_forget(const struct nlsh__map *map);

#endif
