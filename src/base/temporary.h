/* temporary.h - the file that an output is written to before it takes its target's name. */
#ifndef NLSH_BASE_TEMPORARY_H
#define NLSH_BASE_TEMPORARY_H

/*
 * A new file in directory for a target called name, open for reading and writing. *path is its
 * path, freed with free(). Returns the descriptor, or -1 with errno; then nothing is left behind.
 * Temporary files of the same target whose writer was killed are removed first.
 */
int nlsh__temporary_open(const char *directory, const char *name, char **path);

#endif
