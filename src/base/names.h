/*
 * names.h - what the values of the public enums are called: on the command line, in files, in messages.
 *
 * Each list stands once, in the order of its enum. The table of names (nlsh__names()) and the text
 * that a help page shows (NLSH__CHOICES()) are both made from it.
 */
#ifndef NLSH_BASE_NAMES_H
#define NLSH_BASE_NAMES_H

/* A list gives its first name to FIRST and each of the others to NEXT. */
#define NLSH__METRIC_LIST(FIRST, NEXT) FIRST("l2") NEXT("ip") NEXT("cosine")
#define NLSH__GRAPH_LIST(FIRST, NEXT) FIRST("exact") NEXT("ivfflat") NEXT("pieces") NEXT("auto")
#define NLSH__PARTITIONER_LIST(FIRST, NEXT)                                                        \
    FIRST("auto") NEXT("metis") NEXT("kahip") NEXT("kmeans") NEXT("vcycle")
#define NLSH__LABELS_LIST(FIRST, NEXT) FIRST("soft") NEXT("hard")
#define NLSH__SCHEDULER_LIST(FIRST, NEXT) FIRST("cosine") NEXT("step") NEXT("plateau") NEXT("none")
#define NLSH__STORE_LIST(FIRST, NEXT) FIRST("auto") NEXT("f16") NEXT("f32") NEXT("bf16") NEXT("i8")
#define NLSH__SAMPLER_LIST(FIRST, NEXT) FIRST("tpe") NEXT("random") NEXT("grid")
#define NLSH__PRUNER_LIST(FIRST, NEXT) FIRST("none") NEXT("median") NEXT("hyperband")

#define NLSH__FIRST_CHOICE(name) "{" name
#define NLSH__NEXT_CHOICE(name) "," name
/* "{l2,ip,cosine}" for NLSH__METRIC_LIST: a constant. */
#define NLSH__CHOICES(LIST) LIST(NLSH__FIRST_CHOICE, NLSH__NEXT_CHOICE) "}"

#define NLSH__NAME(name) name,
/* The names as the values of an array, ended by NULL. */
#define NLSH__NAMES(LIST) LIST(NLSH__NAME, NLSH__NAME) NULL

/* Whose names: those of enum nlsh_metric, nlsh_graph_method and so on. */
enum nlsh__named {
    NLSH__METRIC,
    NLSH__GRAPH,
    NLSH__PARTITIONER,
    NLSH__LABELS,
    NLSH__SCHEDULER,
    NLSH__STORE,
    NLSH__SAMPLER,
    NLSH__PRUNER
};

/* The names by value, ended by NULL. */
const char *const *nlsh__names(enum nlsh__named of);
/* The name of one value; NULL where the enum has no such value. */
const char *nlsh__name(enum nlsh__named of, int value);
/* The value of a name, or -1. */
int nlsh__value(enum nlsh__named of, const char *name);

#endif
