/* cmd_sqlite.c - `nlsh sqlite`: commands to a table of the extension for SQLite, whose code is linked in. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inputs.h"
#include "signals.h"
#include "talk.h"
#include "verbs.h"
#include "verbs/verb.h"
#ifdef NLSH_WITH_SQLITE
#include "nlsh_sqlite.h"

/* How a build runs is the command line's to say. */
static struct nlsh_run run;

static enum nlsh_status
build(const struct nlsh_matrix *base, const struct nlsh_build_options *options, const char *path,
      const struct nlsh_run *unused, struct nlsh_build_report *report, struct nlsh_error *error)
{
    (void)unused;
    return nlsh_build(base, options, path, &run, report, error);
}

static enum nlsh_status calibrate(const char *path, const struct nlsh_matrix *queries,
                                  const char *out_path, const struct nlsh_run *unused,
                                  struct nlsh_calibrate_report *report, struct nlsh_error *error)
{
    (void)unused;
    return nlsh_calibrate(path, queries, out_path, &run, report, error);
}

static int is_stopped(void *unused)
{
    (void)unused;
    return talk_progress(NULL, "SQLite", 0, 0);
}

static int failed(sqlite3 *db, const char *command, const char *path)
{
    const char *words = sqlite3_errmsg(db);
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_INTERRUPT: return talk_interrupted();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return talk_error(EXIT_BUSY, "try again when the other program has finished", "%s: %s",
                          path, words);
    case SQLITE_CANTOPEN: return talk_error(EXIT_NO_INPUT, "check the path", "%s: %s", path, words);
    case SQLITE_CORRUPT:
        return talk_error(strcmp(command, "verify") == 0 ? EXIT_NO : EXIT_BAD_DATA, NULL, "%s: %s",
                          path, words);
    case SQLITE_NOMEM: return talk_error(EXIT_BUG, NULL, "%s: out of memory", path);
    case SQLITE_FULL:
    case SQLITE_READONLY: return talk_error(EXIT_CANNOT_WRITE, NULL, "%s: %s", path, words);
    default: return talk_error(EXIT_BAD_DATA, NULL, "%s: %s", path, words);
    }
}

/* Whether a table is one of ours. */
static int check_table(sqlite3 *db, const char *path, const char *table)
{
    sqlite3_stmt *find = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT sql LIKE 'create%virtual%table%using%nlsh%' FROM "
                                "sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE",
                                -1, &find, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_bind_text(find, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(find);
    int is_there = rc == SQLITE_ROW, is_ours = is_there && sqlite3_column_int(find, 0);
    sqlite3_finalize(find);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return failed(db, "", path);
    if (is_ours) return 0;
    return talk_error(EXIT_BAD_DATA, "make one with CREATE VIRTUAL TABLE ... USING nlsh",
                      is_there ? "%s: table %s holds no vectors of nlsh"
                               : "%s: no table is called %s",
                      path, table);
}

static int run_command(sqlite3 *db, const char *command, const char *path, const char *table)
{
    char *message = NULL;
    int code = check_table(db, path, table);
    if (code != 0) return code;
    if (sqlite3_nlsh_init(db, &message, NULL) != SQLITE_OK) {
        code =
            talk_error(EXIT_UNSUPPORTED, NULL, "%s", message != NULL ? message : "SQLite failed");
        sqlite3_free(message);
        return code;
    }
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\"(\"%w\") VALUES(%Q)", table, table, command);
    if (sql == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) code = failed(db, command, path);
    sqlite3_free(sql);
    talk_stage_end();
    if (code == 0) talk_say("%s: table %s: %s done", path, table, command);
    return code;
}

int cmd_sqlite(const struct args *args)
{
    static const struct nlsh_sqlite_learner learner = {nlsh_build_options_init, nlsh_run_init,
                                                       build, calibrate};
    static const char *const commands[] = {"train", "optimize", "calibrate", "verify"};
    enum { N_COMMANDS = sizeof commands / sizeof *commands };
    const char *command = args->words[0], *path = args->words[1];
    sqlite3 *db = NULL;
    size_t i = 0;
    while (i < N_COMMANDS && strcmp(commands[i], command) != 0) i++;
    if (i == N_COMMANDS)
        return talk_error(EXIT_USAGE, "there are train, optimize, calibrate and verify",
                          "nlsh sqlite has no command %s", command);
    run_init(args, &run);
    nlsh_sqlite_set_learner(&learner);
    int code = 0;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        code = failed(db, command, path);
    } else {
        sqlite3_busy_timeout(db, 5000);
        sqlite3_progress_handler(db, 100000, is_stopped, NULL);
        code = run_command(db, command, path, args->words[2]);
    }
    if (sqlite3_close(db) != SQLITE_OK && code == 0) code = failed(db, command, path);
    return code;
}

#else

int cmd_sqlite(const struct args *args)
{
    (void)args;
    return talk_error(EXIT_UNSUPPORTED, "build nlsh with -DNLSH_SQLITE=ON",
                      "this nlsh was built without its part for SQLite");
}

#endif
