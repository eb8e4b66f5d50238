/*
 * hdf5.c - see hdf5.h. Prototypes and constants are those of HDF5 1.10 and later (H5Dpublic.h and its like),
 * whose identifiers have 64 bits; an older library is refused.
 *
 * It need not be safe to call from several threads: calls are held one at a time.
 */
#include "vectors/hdf5.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "vectors/large.h"

typedef int64_t hid;

/* Its functions, and the types of the machine. */
struct hdf5 {
    void *handle;
    int (*open)(void);
    int (*version)(unsigned *major, unsigned *minor, unsigned *release);
    int (*set_auto)(hid stack, void *function, void *user);
    hid (*file_open)(const char *path, unsigned flags, hid access);
    int (*file_close)(hid file);
    hid (*set_open)(hid file, const char *name, hid access);
    int (*set_close)(hid set);
    hid (*set_space)(hid set);
    hid (*set_type)(hid set);
    uint64_t (*set_bytes)(hid set); /* that its values take in the file */
    int (*set_read)(hid set, hid type, hid memory, hid file, hid plan, void *out);
    int (*space_rank)(hid space);
    int (*space_sizes)(hid space, uint64_t *sizes, uint64_t *most);
    int (*space_close)(hid space);
    int (*type_class)(hid type);
    size_t (*type_size)(hid type);
    int (*type_sign)(hid type);
    int (*type_close)(hid type);
    const hid *native_float, *native_uchar, *native_schar, *native_int;
};

enum { READ_ONLY = 0, DEFAULT = 0, CLASS_INTEGER = 0, CLASS_FLOAT = 1, UNSIGNED = 0 };
/* More than deflate can pack: 258 bytes into two bits. */
#define MOST_EXPANSION 1032u

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

int nlsh__hdf5_named(const char *path)
{
    const char *colon = strrchr(path, ':');
    if (colon == NULL || colon[1] == '\0') return 0;
    size_t n = (size_t)(colon - path);
    return (n > 5 && memcmp(colon - 5, ".hdf5", 5) == 0) ||
           (n > 3 && memcmp(colon - 3, ".h5", 3) == 0);
}

static void *open_any(void)
{
    static const char *const names[] = {"libhdf5_serial.so.103", "libhdf5_serial.so.310",
                                        "libhdf5_serial.so",     "libhdf5.so.103",
                                        "libhdf5.so.310",        "libhdf5.so"};
    const char *named = getenv("NLSH_HDF5");
    if (named != NULL && named[0] != '\0') return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle != NULL) return handle;
    }
    return NULL;
}

static enum nlsh_status load(struct hdf5 *h, struct nlsh_error *error)
{
    static const char remedy[] = "apt-get install libhdf5-103-1, or name the library in NLSH_HDF5, "
                                 "or save the dataset as .npy";
    /* A pointer from dlsym() is put where the function pointer lies: C11 knows no other way. */
    const struct {
        const char *name;
        void *to;
    } symbols[] = {
        {"H5open", &h->open},
        {"H5get_libversion", &h->version},
        {"H5Eset_auto2", &h->set_auto},
        {"H5Fopen", &h->file_open},
        {"H5Fclose", &h->file_close},
        {"H5Dopen2", &h->set_open},
        {"H5Dclose", &h->set_close},
        {"H5Dget_space", &h->set_space},
        {"H5Dget_type", &h->set_type},
        {"H5Dget_storage_size", &h->set_bytes},
        {"H5Dread", &h->set_read},
        {"H5Sget_simple_extent_ndims", &h->space_rank},
        {"H5Sget_simple_extent_dims", &h->space_sizes},
        {"H5Sclose", &h->space_close},
        {"H5Tget_class", &h->type_class},
        {"H5Tget_size", &h->type_size},
        {"H5Tget_sign", &h->type_sign},
        {"H5Tclose", &h->type_close},
        {"H5T_NATIVE_FLOAT_g", &h->native_float},
        {"H5T_NATIVE_UCHAR_g", &h->native_uchar},
        {"H5T_NATIVE_SCHAR_g", &h->native_schar},
        {"H5T_NATIVE_INT_g", &h->native_int},
    };
    unsigned major = 0, minor = 0, release;
    h->handle = open_any();
    if (h->handle == NULL)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy, "libhdf5 is not installed");
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *symbol = dlsym(h->handle, symbols[i].name);
        if (symbol == NULL)
            return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy, "libhdf5 has no %s",
                              symbols[i].name);
        memcpy(symbols[i].to, &symbol, sizeof symbol);
    }
    if (h->open() < 0 || h->version(&major, &minor, &release) < 0 || (major == 1 && minor < 10))
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy,
                          "libhdf5 is version %u.%u; 1.10 or later is wanted", major, minor);
    (void)h->set_auto(0, NULL, NULL); /* or it would print */
    return NLSH_OK;
}

/* A dataset, and what was found out of it. */
struct set {
    hid file, set, space, type;
    uint64_t sizes[2];
    enum nlsh_type to;
    hid native;
};

static enum nlsh_status look(const struct hdf5 *h, const char *path, struct set *s,
                             struct nlsh_error *error)
{
    uint64_t values, bytes;
    if (h->space_rank(s->space) != 2 || h->space_sizes(s->space, s->sizes, NULL) < 0)
        return nlsh__fail(error, NLSH_E_DATA, "name another dataset: train, test, neighbors",
                          "%s: a dataset of %d dimensions; two are wanted", path,
                          h->space_rank(s->space));
    int class = h->type_class(s->type), sign = h->type_sign(s->type);
    size_t size = h->type_size(s->type);
    if (class == CLASS_FLOAT) {
        s->to = NLSH_F32;
        s->native = *h->native_float;
    } else if (class == CLASS_INTEGER && size == 1) {
        s->to = sign == UNSIGNED ? NLSH_U8 : NLSH_I8;
        s->native = sign == UNSIGNED ? *h->native_uchar : *h->native_schar;
    } else if (class == CLASS_INTEGER) {
        s->to = NLSH_I32;
        s->native = *h->native_int;
    } else {
        return nlsh__fail(error, NLSH_E_DATA, "name a dataset of numbers",
                          "%s: its values are no numbers", path);
    }
    /* What no value was written of is not there, however large it says it is. */
    if (s->sizes[0] == 0 || s->sizes[1] == 0)
        return nlsh__fail(error, NLSH_E_DATA, NULL, "%s: holds no vectors", path);
    if (__builtin_mul_overflow(s->sizes[0], s->sizes[1], &values) ||
        __builtin_mul_overflow(values, (uint64_t)size, &bytes) ||
        bytes / MOST_EXPANSION > h->set_bytes(s->set))
        return nlsh__fail(error, NLSH_E_DATA, "the file is damaged, or was not written to its end",
                          "%s: claims %llu rows of %llu values, which its %llu bytes cannot hold",
                          path, (unsigned long long)s->sizes[0], (unsigned long long)s->sizes[1],
                          (unsigned long long)h->set_bytes(s->set));
    return NLSH_OK;
}

static enum nlsh_status open_set(const struct hdf5 *h, const char *path, struct set *s,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    char *file = NULL;
    const char *name = strrchr(path, ':') + 1;
    size_t length = (size_t)(name - 1 - path);
    NLSH_TRY(nlsh__alloc(&file, length + 1, 1, error));
    memcpy(file, path, length);
    file[length] = '\0';
    s->file = h->file_open(file, READ_ONLY, DEFAULT);
    s->set = s->file >= 0 ? h->set_open(s->file, name, DEFAULT) : -1;
    s->space = s->set >= 0 ? h->set_space(s->set) : -1;
    s->type = s->set >= 0 ? h->set_type(s->set) : -1;
    if (access(file, R_OK) != 0)
        status = nlsh__fail(error, NLSH_E_NO_INPUT, NULL, "%s: cannot be read", file);
    else if (s->file < 0)
        status = nlsh__fail(error, NLSH_E_DATA, "fetch it again", "%s: no HDF5 file", file);
    else if (s->space < 0 || s->type < 0)
        status = nlsh__fail(error, NLSH_E_DATA,
                            "ann-benchmarks' files have train, test, neighbors and distances",
                            "%s: there is no dataset \"%s\"", file, name);
out:
    nlsh__free(file);
    return status;
}

static void close_set(const struct hdf5 *h, const struct set *s)
{
    if (s->type >= 0) (void)h->type_close(s->type);
    if (s->space >= 0) (void)h->space_close(s->space);
    if (s->set >= 0) (void)h->set_close(s->set);
    if (s->file >= 0) (void)h->file_close(s->file);
}

static enum nlsh_status read_set(const struct hdf5 *h, const char *path, struct nlsh_vectors *out,
                                 struct nlsh_error *error)
{
    struct set s = {-1, -1, -1, -1, {0, 0}, NLSH_F32, -1};
    enum nlsh_status status;
    NLSH_TRY(open_set(h, path, &s, error));
    NLSH_TRY(look(h, path, &s, error));
    NLSH_TRY(nlsh__alloc_large(&out->memory, s.sizes[0],
                               s.sizes[1] * (s.to == NLSH_F32 || s.to == NLSH_I32 ? 4 : 1), error));
    if (h->set_read(s.set, s.native, 0, 0, DEFAULT, out->memory) < 0) {
        status = nlsh__fail(error, NLSH_E_DATA, "fetch the file again",
                            "%s: its values cannot be read", path);
        goto out;
    }
    out->format = NLSH_FORMAT_HDF5;
    out->matrix = (struct nlsh_matrix){out->memory, s.sizes[0], s.sizes[1], s.to, 0};
out:
    close_set(h, &s);
    return status;
}

enum nlsh_status nlsh__hdf5_read(const char *path, struct nlsh_vectors *out,
                                 struct nlsh_error *error)
{
    static struct hdf5 h; /* stays loaded: the library does not like to go */
    static int loaded;
    pthread_mutex_lock(&one_at_a_time);
    enum nlsh_status status = loaded ? NLSH_OK : load(&h, error);
    loaded = status == NLSH_OK;
    if (loaded) status = read_set(&h, path, out, error);
    pthread_mutex_unlock(&one_at_a_time);
    return status;
}
