/* complete.h - what a shell needs to complete command lines, from the tables of verbs. */
#ifndef NLSH_CLI_COMPLETE_H
#define NLSH_CLI_COMPLETE_H

#include <stdbool.h>
#include <stdio.h>

/* Prints the script for a shell, "bash", "zsh" or "fish"; false where it is none of them. */
bool complete_for(const char *shell, FILE *to);

#endif
