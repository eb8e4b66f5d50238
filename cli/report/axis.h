/* axis.h - axes: where a value stands on one, and which marks it has. */
#ifndef NLSH_CLI_REPORT_AXIS_H
#define NLSH_CLI_REPORT_AXIS_H

#include <stddef.h>

#include "report/figure.h"
#include "report/report.h"

enum { MOST_TICKS = 40 };

/* The part of an axis that a chart shows, in the axis' own units (axis_place). */
struct range {
    enum axis axis;
    double low, high;
};

/* A value in the axis' units: its logarithm, or plot_recall_place(); NaN where the axis has no place for it. */
double axis_place(enum axis axis, double value);
/* The range with some room at both ends; from_ground: it begins at 0. low and high in the axis' units. */
struct range axis_range(enum axis axis, double low, double high, int from_ground);
/* The share of the range where a place in the axis' units stands. */
double axis_share(const struct range *range, double place);

/*
 * axis_ticks() - the marks of a range, in order.
 *
 *  length, phone  of the axis in pixels on a wide screen and on a phone: a number that has no room there is a mark
 *                 without text, or one that only wide screens show
 *  is_upright     numbers stand above each other
 * Returns how many.
 */
size_t axis_ticks(const struct range *range, double length, double phone, int is_upright,
                  struct tick out[MOST_TICKS]);

#endif
