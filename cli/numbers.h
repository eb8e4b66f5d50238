/* numbers.h - numbers as a person reads them: "60,000", "61.2 MB", "1.2 s" or "123 ms", "3.40k/s",
 * "0:12". Each writes into buffer and returns it. */
#ifndef NLSH_CLI_NUMBERS_H
#define NLSH_CLI_NUMBERS_H

#include <stdint.h>

char *text_count(uint64_t n, char buffer[32]);
char *text_bytes(uint64_t n, char buffer[32]);
char *text_seconds(double seconds, char buffer[32]);
char *text_rate(double a_second, char buffer[32]);
/* The nearest whole number that is not negative; a dash for NaN. */
char *text_whole(double n, char buffer[32]);
/* "738", "52,437", "1.58 M", "12.3 G": seven letters at most, for tables. */
char *text_short(double n, char buffer[32]);
/* Any number: "738", "1,234", "0.0012", "1.2e-05"; four digits that count. A dash for NaN. */
char *text_number(double value, char buffer[32]);
/* ".9567", ".95", "1"; a dash for NaN. */
char *text_recall(double recall, char buffer[32]);
/* Minutes and seconds, or hours too. */
char *text_clock(double seconds, char buffer[32]);

#endif
