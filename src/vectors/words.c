/* words.c - the words of a file whose vectors have been read before: the names of its rows. */
#include "base/error.h"
#include "base/file.h"
#include "vectors/hdf5.h"
#include "vectors/parse.h"
#include "vectors/source.h"
#include "vectors/text.h"

static enum nlsh_status no_words(const char *path, enum nlsh_format format,
                                 struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, "only text has words: GloVe's, fastText's, word2vec's",
                      "%s: %s holds no words", path, nlsh_format_name(format));
}

enum nlsh_status nlsh__vectors_words(const char *path, enum nlsh_format format, nlsh__word_fn give,
                                     void *user, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__map map = {0};
    struct nlsh__opened o = {0};
    nlsh__error_clear(error);
    if (nlsh__hdf5_named(path)) return no_words(path, NLSH_FORMAT_HDF5, error);
    NLSH_TRY(nlsh__map_open(path, &map, error));
    NLSH_TRY(nlsh__opened_begin(map.data, map.size, path, format, NULL, &o, error));
    status = o.format == NLSH_FORMAT_TEXT ? nlsh__text_words(o.source, path, give, user, error)
                                          : no_words(path, o.format, error);
out:
    nlsh__source_close(o.source);
    nlsh__map_close(&map);
    return status;
}
