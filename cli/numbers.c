/* numbers.c - see numbers.h. */
#include "numbers.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

char *text_count(uint64_t n, char buffer[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *to = buffer;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return buffer;
}

char *text_bytes(uint64_t n, char buffer[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)n;
    size_t unit = 0;
    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(buffer, 32, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return buffer;
}

char *text_seconds(double seconds, char buffer[32])
{
    if (seconds < 1e-3) {
        snprintf(buffer, 32, "%.1f us", seconds * 1e6);
    } else if (seconds < 0.9995) {
        snprintf(buffer, 32, "%.*f ms",
                 seconds < 0.00995  ? 2
                 : seconds < 0.0995 ? 1
                                    : 0,
                 seconds * 1e3);
    } else if (seconds < 99.5) {
        snprintf(buffer, 32, "%.1f s", seconds);
    } else {
        long whole = lround(seconds);
        if (whole < 3600) {
            snprintf(buffer, 32, "%ld min %02ld s", whole / 60, whole % 60);
        } else {
            snprintf(buffer, 32, "%ld h %02ld min", whole / 3600, whole % 3600 / 60);
        }
    }
    return buffer;
}

char *text_rate(double a_second, char buffer[32])
{
    static const char *const units[] = {"", "k", "M", "G"};
    size_t unit = 0;
    while (a_second >= 999.5 && unit < 3) {
        a_second /= 1000;
        unit++;
    }
    snprintf(buffer, 32, "%.*f%s/s",
             a_second < 9.995   ? 2
             : a_second < 99.95 ? 1
                                : 0,
             a_second, units[unit]);
    return buffer;
}

char *text_whole(double n, char buffer[32])
{
    if (isnan(n)) return text_number(n, buffer);
    return text_count((uint64_t)llround(fmax(fmin(n, 1e18), 0)), buffer);
}

char *text_short(double n, char buffer[32])
{
    if (!(n >= 999999.5)) return text_whole(n, buffer);
    const int giga = n >= 999.5e6;
    n /= giga ? 1e9 : 1e6;
    snprintf(buffer, 32, "%.*f %s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, giga ? "G" : "M");
    return buffer;
}

char *text_number(double value, char buffer[32])
{
    if (isnan(value)) {
        snprintf(buffer, 32, "\xe2\x80\x93");
    } else if (fabs(value) >= 999.95 && fabs(value) < 1e15) {
        buffer[0] = '-';
        text_count((uint64_t)llround(fabs(value)),
                   buffer + (value < 0)); /* 20 characters at most */
    } else {
        snprintf(buffer, 32, fabs(value) < 1e-4 ? "%.2g" : "%.4g", value);
    }
    return buffer;
}

char *text_recall(double recall, char buffer[32])
{
    if (isnan(recall)) return text_number(recall, buffer);
    snprintf(buffer, 32, "%.4f", recall);
    size_t n = strlen(buffer);
    while (buffer[n - 1] == '0') buffer[--n] = '\0';
    if (buffer[n - 1] == '.') buffer[--n] = '\0';
    if (strncmp(buffer, "0.", 2) == 0) memmove(buffer, buffer + 1, n);
    return buffer;
}

char *text_clock(double seconds, char buffer[32])
{
    long whole = (long)fmin(ceil(seconds), 359999.0);
    if (whole < 3600) {
        snprintf(buffer, 32, "%ld:%02ld", whole / 60, whole % 60);
    } else {
        snprintf(buffer, 32, "%ld:%02ld:%02ld", whole / 3600, whole % 3600 / 60, whole % 60);
    }
    return buffer;
}
