/* verbs.h - what each verb does: cmd_*.c. Each returns the process's exit code. */
#ifndef NLSH_CLI_VERBS_H
#define NLSH_CLI_VERBS_H

struct args;

int cmd_build(const struct args *args);
int cmd_search(const struct args *args);
int cmd_graph(const struct args *args);
int cmd_groundtruth(const struct args *args);
int cmd_info(const struct args *args);
int cmd_verify(const struct args *args);
int cmd_evaluate(const struct args *args);
int cmd_calibrate(const struct args *args);
int cmd_create(const struct args *args);
int cmd_add(const struct args *args);
int cmd_delete(const struct args *args);
int cmd_compact(const struct args *args);
int cmd_cache(const struct args *args);
int cmd_convert(const struct args *args);
int cmd_compare(const struct args *args);
int cmd_bench(const struct args *args);
int cmd_report(const struct args *args);
int cmd_tune(const struct args *args);
int cmd_shard(const struct args *args);
int cmd_sqlite(const struct args *args);
int cmd_serve(const struct args *args);
int cmd_help(const struct args *args);
int cmd_version(const struct args *args);

#endif
