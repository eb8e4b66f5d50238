/* sqlite.c - `nlsh sqlite`: tables of the extension for SQLite. */
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag *const sqlite_flags[] = {
    &flag_threads, &flag_cache, &flag_no_cache, &flag_progress, &flag_quiet, &flag_help, NULL,
};

const struct verb verb_sqlite = {
    .name = "sqlite",
    .summary = "train or tend a table of vectors in an SQLite file",
    .usage = "{train,optimize,calibrate,verify} FILE TABLE [flags]",
    .description =
        "TABLE is a virtual table that was made with USING nlsh in the SQLite database FILE; the "
        "command is what INSERT INTO TABLE(TABLE) VALUES ('train') does there, for programs "
        "without libnlsh-learn. It is one transaction: stopped at any moment, the table is as it "
        "was.\n"
        "`train` learns buckets from all vectors; `optimize` lays entries together and drops those "
        "of deleted vectors; `verify` reads all and "
        "says what is wrong.",
    .examples = {{"once there are some thousand vectors", "nlsh sqlite train photos.db photos"}},
    .min_words = 3,
    .max_words = 3,
    .words = "train optimize calibrate verify",
    .run = cmd_sqlite,
    .flags = sqlite_flags,
};
