/*
 * learner.c - see learner.h.
 *
 * The extension does not link libnlsh-learn: most who search never train, and it brings tens of megabytes of others'
 * libraries. It is loaded at the first 'train', by its soname, and stays.
 */
#include "learner.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define SONAME "libnlsh-learn.so.1"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nlsh_sqlite_learner learner; /* build NULL: not known yet */
static char loader_says[256];

void nlsh_sqlite_set_learner(const struct nlsh_sqlite_learner *given)
{
    pthread_mutex_lock(&lock);
    learner = *given;
    pthread_mutex_unlock(&lock);
}

/* A function by its name; *wanted is a pointer to it. ISO C has no cast for that. */
static int find(void *library, const char *name, void *wanted)
{
    void *found = dlsym(library, name);
    memcpy(wanted, &found, sizeof found);
    return found != NULL;
}

static const char *load(void)
{
    struct nlsh_sqlite_learner found;
    const char *(*version)(void);
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *words = dlerror();
        strncpy(loader_says, words != NULL ? words : SONAME " is not there",
                sizeof loader_says - 1);
        return loader_says;
    }
    if (!find(library, "nlsh_build_options_init", &found.build_options_init) ||
        !find(library, "nlsh_run_init", &found.run_init) ||
        !find(library, "nlsh_build", &found.build) ||
        !find(library, "nlsh_calibrate", &found.calibrate) ||
        !find(library, "nlsh_version", &version)) {
        dlclose(library);
        return SONAME " is of another nlsh";
    }
    learner = found;
    return NULL;
}

const struct nlsh_sqlite_learner *nlsh__sqlite_learner(const char **why)
{
    *why = NULL;
    pthread_mutex_lock(&lock);
    if (learner.build == NULL) *why = load();
    pthread_mutex_unlock(&lock);
    return *why == NULL ? &learner : NULL;
}
