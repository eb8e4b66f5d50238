/* scan.h - a search by codes: entries of the buckets that the router names, and exact scores of the best. */
#ifndef NLSH_SQL_SCAN_H
#define NLSH_SQL_SCAN_H

#include "exact.h"
#include "search.h"

/* Ranks what the plan for a recall looks at. *done: 0 where there is no such plan, and everything has to be ranked. */
int nlsh__sqlite_scan(const struct nlsh__sqlite_exact *exact,
                      const struct nlsh__sqlite_question *question, int *done);

#endif
