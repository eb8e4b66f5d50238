/* count.h - what count.c and a program that it counts agree on. */
#ifndef NLSH_BENCH_ARM_COUNT_H
#define NLSH_BENCH_ARM_COUNT_H

#define COUNT_CALL 99100 /* the number of a system call that no system has */

#endif
