/* directory.h - the cache's directory: what lies in it, and what was left behind. */
#ifndef NLSH_CACHE_DIRECTORY_H
#define NLSH_CACHE_DIRECTORY_H

/* Removes temporary files of entries whose writer is gone (killed half-way) and which nobody has
 * touched for min_age seconds. Never fails. */
void nlsh__cache_sweep(const char *dir, long min_age);

#endif
