/*
 * store.h - a study in SQLite, in Optuna's own tables (its RDB schema 12, of Optuna 3.0 and 3.1), so
 * that optuna.load_study() and optuna-dashboard open it as theirs, and may add to it.
 *
 * Every call is one transaction and the file is in WAL mode: a process that is killed loses nothing
 * that was written, and several may work on one study. A trial's number is how many trials its study
 * had before it, found inside the transaction that makes it: no two trials have one.
 */
#ifndef NLSH_TUNE_STUDY_STORE_H
#define NLSH_TUNE_STUDY_STORE_H

#include "tune/study/trials.h"

struct nlsh__store;

enum nlsh__store_mode {
    NLSH__STORE_CREATE, /* the study must not be there: NLSH_E_CANT_CREATE */
    NLSH__STORE_RESUME, /* it must: NLSH_E_NO_INPUT */
    NLSH__STORE_EITHER
};

/*
 * nlsh__store_open() - a study by its name, in a file that may hold several.
 *
 *  maximize  the direction of a new study; one that is there must have the same: NLSH_E_MISMATCH
 * NLSH_E_DATA: the file is damaged, no study, or of another version of the schema.
 */
enum nlsh_status nlsh__store_open(const char *path, const char *name, enum nlsh__store_mode mode,
                                  int maximize, struct nlsh__store **out, struct nlsh_error *error);
/* The same for reading alone: what would be refused is, and nothing is written. *out is NULL where a
 * study would be begun. */
enum nlsh_status nlsh__store_look(const char *path, const char *name, enum nlsh__store_mode mode,
                                  int maximize, struct nlsh__store **out, struct nlsh_error *error);
void nlsh__store_close(struct nlsh__store *store);

/* User attributes, of the study and of a trial: any JSON as text. Get: *json is freed by the caller,
 * NULL where there is none. */
enum nlsh_status nlsh__store_set(struct nlsh__store *store, const char *key, const char *json,
                                 struct nlsh_error *error);
enum nlsh_status nlsh__store_get(struct nlsh__store *store, const char *key, char **json,
                                 struct nlsh_error *error);
/* Of the study, where it has no such attribute yet; *stands, freed by the caller, is what it then has.
 * Of processes that share a study the first decides. */
enum nlsh_status nlsh__store_settle(struct nlsh__store *store, const char *key, const char *json,
                                    char **stands, struct nlsh_error *error);
enum nlsh_status nlsh__store_trial_set(struct nlsh__store *store, int64_t trial, const char *key,
                                       const char *json, struct nlsh_error *error);
enum nlsh_status nlsh__store_trial_get(struct nlsh__store *store, int64_t trial, const char *key,
                                       char **json, struct nlsh_error *error);

/* The trials: see trials.h. */
enum nlsh_status nlsh__store_trials(struct nlsh__store *store, struct nlsh__trials *out,
                                    struct nlsh_error *error);

/* Puts a trial in the queue of a study that has none yet, as Optuna's enqueue_trial() does. fixed: a JSON
 * object of parameters and their values; what it leaves out is left to the sampler. A study that has a
 * trial stays as it is. */
enum nlsh_status nlsh__store_enqueue_first(struct nlsh__store *store, const char *fixed,
                                           struct nlsh_error *error);

/* A parameter of a running trial: its value as Optuna has it inside, and its distribution as JSON. */
enum nlsh_status nlsh__store_param(struct nlsh__store *store, int64_t trial, const char *name,
                                   double value, const char *distribution,
                                   struct nlsh_error *error);

struct nlsh__begun {
    int64_t id;
    uint64_t number;
    int none; /* 1: nothing was begun, the study has as many as it should */
};

/* Gives a new trial its parameters, by nlsh__store_param(). so_far: the study before it was begun; queued:
 * the trial itself, where it comes from the queue, else NULL. */
typedef enum nlsh_status
nlsh__choose_fn(void *user, const struct nlsh__begun *begun, const struct nlsh__trials *so_far,
                const struct nlsh__trial *queued, struct nlsh_error *error);

/*
 * nlsh__store_begin() - the next trial: the first of the queue, else a new one.
 *
 *  most  trials that count, at the end: COMPLETE, PRUNED and RUNNING ones, and FAILED ones that are
 *        not lost
 * One transaction: processes that share a study do not choose at once.
 */
enum nlsh_status nlsh__store_begin(struct nlsh__store *store, size_t most, nlsh__choose_fn *choose,
                                   void *user, struct nlsh__begun *out, struct nlsh_error *error);

/* A step's value (from 1), and a sign of life. */
enum nlsh_status nlsh__store_report(struct nlsh__store *store, int64_t trial, size_t step,
                                    double value, struct nlsh_error *error);
/* COMPLETE with a value, PRUNED or FAILED without. lost: see struct nlsh__trial. */
enum nlsh_status nlsh__store_end(struct nlsh__store *store, int64_t trial,
                                 enum nlsh__trial_state state, double value, int lost,
                                 struct nlsh_error *error);

/* Trials that nlsh began and whose process is gone become FAILED and lost. Of another machine's
 * processes: where no sign of life came for ten minutes. Those that Optuna runs are left alone.
 * *n_alive are the trials that processes of nlsh still run. */
enum nlsh_status nlsh__store_reap(struct nlsh__store *store, size_t *n_reaped, size_t *n_alive,
                                  struct nlsh_error *error);

/* The trials that count (see nlsh__store_begin()), but for those that nlsh__store_reap() would find
 * lost. Writes nothing. */
enum nlsh_status nlsh__store_count(struct nlsh__store *store, size_t *n, struct nlsh_error *error);

/* Asks to be the one process that does what comes after the trials: *mine is 1 where no other living
 * one has asked. */
enum nlsh_status nlsh__store_claim(struct nlsh__store *store, int *mine, struct nlsh_error *error);

#endif
