/* help.h - --help and the man page, from the tables of verbs. */
#ifndef NLSH_CLI_HELP_H
#define NLSH_CLI_HELP_H

#include <stdio.h>

#include "verbs/verb.h"

void help_overview(FILE *to);
void help_verb(const struct verb *verb, FILE *to);
void help_man(FILE *to);

#endif
