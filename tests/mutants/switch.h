/*
 * switch.h - which mutant of the source runs. mutate.py includes it into each file that it changes.
 *
 * NLSH_MUTANT=n in the environment switches mutant n on. NLSH_MUTANTS_REACHED=file names a file with a
 * byte for each mutant, which is set where the mutant could have made a difference.
 */
#ifndef NLSH_TESTS_MUTANTS_SWITCH_H
#define NLSH_TESTS_MUTANTS_SWITCH_H

extern int nlsh__mutant;
extern unsigned char *nlsh__mutants_reached;

static inline int nlsh__on(int n)
{
    nlsh__mutants_reached[n] = 1;
    return nlsh__mutant == n;
}

#endif
