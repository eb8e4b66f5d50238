/*
 * json.c - see json.h.
 *
 * A number's digits are collected into 64 bits, and brought to their power of ten in f64: exactly rounded where both
 * are exact in f64, as of all numbers with up to 15 digits and powers up to 22; else to some units in the last place
 * of f64, which f32 hardly ever shows.
 */
#include "json.h"

#include <math.h>
#include <stdint.h>

/* What is left of a text. */
struct text {
    const char *first, *at, *end;
};

static void skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

static int is_digit(const struct text *t)
{
    return t->at < t->end && *t->at >= '0' && *t->at <= '9';
}

static double times_power(uint64_t digits, int power)
{
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double value = (double)digits;
    if (digits == 0 || power < -400) return 0;
    if (power > 400) return INFINITY;
    for (; power > 22; power -= 22) value *= exact[22];
    for (; power < -22; power += 22) value /= exact[22];
    return power >= 0 ? value * exact[power] : value / exact[-power];
}

/* Digits of a number; behind the 19th they only move the power. */
static void take_digits(struct text *t, int behind_point, uint64_t *digits, int *power)
{
    for (; is_digit(t); t->at++) {
        if (*digits < UINT64_C(1000000000000000000)) {
            *digits = *digits * 10 + (uint64_t)(*t->at - '0');
            *power -= behind_point;
        } else {
            *power += !behind_point;
        }
    }
}

/* 0 where no number stands there. */
static int take_number(struct text *t, float *out)
{
    uint64_t digits = 0;
    int power = 0, exponent = 0, negative = t->at < t->end && *t->at == '-';
    t->at += negative;
    if (!is_digit(t)) return 0;
    take_digits(t, 0, &digits, &power);
    if (t->at < t->end && *t->at == '.') {
        t->at++;
        if (!is_digit(t)) return 0;
        take_digits(t, 1, &digits, &power);
    }
    if (t->at < t->end && (*t->at == 'e' || *t->at == 'E')) {
        t->at++;
        int down = t->at < t->end && *t->at == '-';
        t->at += down || (t->at < t->end && *t->at == '+');
        if (!is_digit(t)) return 0;
        for (; is_digit(t); t->at++)
            if (exponent < 100000) exponent = exponent * 10 + (*t->at - '0');
        power += down ? -exponent : exponent;
    }
    double value = times_power(digits, power);
    *out = (float)(negative ? -value : value);
    return 1;
}

static size_t wrong(const struct text *t, const char *words, struct nlsh__sqlite_json_error *error)
{
    error->words = words;
    error->at = (size_t)(t->at - t->first);
    return (size_t)-1;
}

size_t nlsh__sqlite_json_read(const char *text, size_t size, float *out, size_t room,
                              struct nlsh__sqlite_json_error *error)
{
    struct text t = {text, text, text + size};
    size_t n = 0;
    float value;
    skip_space(&t);
    if (t.at == t.end || *t.at != '[') return wrong(&t, "an array begins with [", error);
    t.at++;
    skip_space(&t);
    if (t.at < t.end && *t.at == ']') return wrong(&t, "there is no number", error);
    for (;; t.at++) {
        skip_space(&t);
        if (!take_number(&t, &value)) return wrong(&t, "a number should stand here", error);
        if (n < room) out[n] = value;
        n++;
        skip_space(&t);
        if (t.at == t.end || (*t.at != ',' && *t.at != ']'))
            return wrong(&t, "behind a number , or ] should stand", error);
        if (*t.at == ']') break;
    }
    t.at++;
    skip_space(&t);
    return t.at == t.end ? n : wrong(&t, "more stands behind the array", error);
}
