/*
 * axis.c - see axis.h. Ours.
 *
 * An axis of recalls is -log10(1 - recall), as plot.h has it: .9, .99 and .999 are equally far apart. A
 * logarithmic axis over less than three decades is marked at 1, 2 and 5, over less than one at more: else there
 * could be no number on it. A linear one is marked at multiples of 1, 2 or 5 times a power of ten.
 */
#include "report/axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/plot.h"

static const double least_recall = 0.3; /* below nobody wants to be */

double axis_place(enum axis axis, double value)
{
    if (axis == AXIS_RECALL) return value < least_recall ? NAN : plot_recall_place(value);
    if (axis == AXIS_LOG) return value > 0 ? log10(value) : NAN;
    return value;
}

struct range axis_range(enum axis axis, double low, double high, int from_ground)
{
    double room = 0.04 * (high - low);
    if (axis == AXIS_LOG) room = fmax(room, 0.04);
    if (axis == AXIS_RECALL) room = fmax(room, 0.02);
    if (axis == AXIS_LINEAR && room <= 0) room = high != 0 ? 0.04 * fabs(high) : 1;
    if (axis == AXIS_COUNT && room <= 0) room = 0.5;
    return (struct range){axis, from_ground ? 0 : low - room, high + room};
}

double axis_share(const struct range *range, double place)
{
    return (place - range->low) / (range->high - range->low);
}

/* ---- marks ----------------------------------------------------------------------------------- */

/* "0.002", "50", "20k", "1M", "1e-5": three digits at most, as marks are. */
static void mark_text(double v, char *text, size_t size)
{
    double a = fabs(v);
    if (a >= 1e6) {
        snprintf(text, size, "%.3gM", v / 1e6);
    } else if (a >= 1e4) {
        snprintf(text, size, "%.3gk", v / 1e3);
    } else if (a >= 1e-4 || a == 0) {
        snprintf(text, size, "%.4g", v);
    } else {
        int exponent = (int)floor(log10(a) + 1e-9);
        snprintf(text, size, "%.2ge%d", v / pow(10, exponent), exponent);
    }
}

static void add(const struct range *range, double place, const char *text, struct tick *out,
                size_t *n)
{
    double share = axis_share(range, place);
    if (share < -1e-9 || share > 1 + 1e-9 || *n == MOST_TICKS) return;
    struct tick *t = &out[(*n)++];
    *t = (struct tick){.at = share};
    snprintf(t->text, sizeof t->text, "%s", text);
}

static size_t recall_ticks(const struct range *range, struct tick *out)
{
    static const char *const marks[] = {"0.3",  "0.5",  "0.7",   "0.8",   "0.9", "0.95",
                                        "0.98", "0.99", "0.995", "0.999", "01"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        add(range, plot_recall_place(strtod(marks[i], NULL)), marks[i] + 1, out, &n);
    }
    return n;
}

static size_t log_ticks(const struct range *range, struct tick *out)
{
    static const double few[] = {1, 2, 5}, many[] = {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8};
    double decades = range->high - range->low;
    int fine = decades < 0.8;
    const double *steps = fine ? many : few;
    size_t n = 0;
    int n_steps = fine ? 10 : decades < 3 ? 3 : 1;
    for (int e = (int)floor(range->low); e <= (int)ceil(range->high); e++) {
        for (int i = 0; i < n_steps; i++) {
            char text[24];
            double v = steps[i] * pow(10, e);
            mark_text(v, text, sizeof text);
            add(range, log10(v), text, out, &n);
        }
    }
    return n;
}

static size_t linear_ticks(const struct range *range, struct tick *out)
{
    double rough = (range->high - range->low) / 6, unit = pow(10, floor(log10(rough)));
    double step = rough <= unit       ? unit
                  : rough <= 2 * unit ? 2 * unit
                  : rough <= 5 * unit ? 5 * unit
                                      : 10 * unit;
    size_t n = 0;
    if (range->axis == AXIS_COUNT) step = fmax(step, 1);
    double first = ceil(range->low / step), last = floor(range->high / step);
    for (int i = 0; i <= MOST_TICKS && first + i <= last; i++) {
        char text[24];
        double v = first + i == 0 ? 0 : (first + i) * step; /* there is a -0 */
        mark_text(v, text, sizeof text);
        add(range, v, text, out, &n);
    }
    return n;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* What two texts of 12 pixels need between their middles. */
static double needed(const struct tick *a, const struct tick *b, int is_upright)
{
    return is_upright ? 17 : 3.6 * (double)(strlen(a->text) + strlen(b->text)) + 9;
}

/* Whether the text of ticks[i] is clear of the last one that is shown on so long an axis. */
static int has_room(const struct tick *ticks, size_t i, double length, int is_upright, int of_phone)
{
    for (size_t j = i; j-- > 0;) {
        if (ticks[j].text[0] == '\0' || (of_phone && ticks[j].is_wide)) continue;
        return (ticks[i].at - ticks[j].at) * length >= needed(&ticks[i], &ticks[j], is_upright);
    }
    return 1;
}

size_t axis_ticks(const struct range *range, double length, double phone, int is_upright,
                  struct tick out[MOST_TICKS])
{
    size_t n = range->axis == AXIS_RECALL ? recall_ticks(range, out)
               : range->axis == AXIS_LOG  ? log_ticks(range, out)
                                          : linear_ticks(range, out);
    for (size_t i = 0; i < n; i++) {
        if (!has_room(out, i, length, is_upright, 0)) {
            out[i].text[0] = '\0';
        } else {
            out[i].is_wide = !has_room(out, i, phone, is_upright, 1);
        }
    }
    return n;
}
