/*
 * zip.c - see zip.h. The directory at the end of the file counts, as PKWARE's APPNOTE.TXT has it (4.3.12 and
 * 4.3.16); checksums are left aside: a deflate stream has its own order, and values are checked.
 */
#include "vectors/zip.h"

#include <stdio.h>

#include "base/error.h"
#include "vectors/parse.h"

enum {
    END_BYTES = 22,      /* of the record at the end, without its remark */
    MOST_REMARK = 65535, /* which may stand behind it */
    ENTRY_BYTES = 46,    /* of an entry of the directory, without its names */
    LOCAL_BYTES = 30,    /* of the header before a member, the same */
    STORED = 0,          /* methods */
    DEFLATED = 8,
};
#define NOT_HERE UINT32_MAX /* the number stands in an extension, for 4 GiB and more */

static uint32_t load16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

int nlsh__is_zip(const uint8_t *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
}

/* The record at the end; NULL where there is none. */
static const uint8_t *find_end(const uint8_t *bytes, size_t size)
{
    size_t most = size - END_BYTES, least = most > MOST_REMARK ? most - MOST_REMARK : 0;
    for (size_t at = most + 1; at-- > least;)
        if (memcmp(bytes + at, "PK\5\6", 4) == 0) return bytes + at;
    return NULL;
}

static enum nlsh_status damaged(const char *name, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, "fetch the file again, or write it with numpy.savez",
                      "%s: no whole zip file (.npz)", name);
}

/* The names of the first members, for a message. */
static void list_names(const uint8_t *entry, const uint8_t *end, size_t n, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && i < 8 && end - entry >= ENTRY_BYTES; i++) {
        size_t length = load16(entry + 28);
        size_t whole = ENTRY_BYTES + length + load16(entry + 30) + load16(entry + 32);
        if (whole > (size_t)(end - entry)) return;
        int wrote = snprintf(out + used, room - used, "%s%.*s", i > 0 ? ", " : "",
                             (int)(length < 30 ? length : 30), (const char *)entry + ENTRY_BYTES);
        if (wrote < 0 || (size_t)wrote >= room - used) return;
        used += (size_t)wrote;
        entry += whole;
    }
}

static enum nlsh_status not_one(const char *name, const uint8_t *entry, const uint8_t *end,
                                size_t n, struct nlsh_error *error)
{
    char names[280], hint[sizeof error->hint];
    list_names(entry, end, n, names, sizeof names);
    snprintf(hint, sizeof hint,
             "python3 -c \"import numpy as n; n.save('base.npy', n.load('FILE.npz')['NAME'])\"");
    return nlsh__fail(error, NLSH_E_DATA, hint, "%s: %zu arrays in one file, one is wanted: %s",
                      name, n, names);
}

enum nlsh_status nlsh__zip_only_member(const uint8_t *bytes, size_t size, const char *name,
                                       struct nlsh__zip_member *out, struct nlsh_error *error)
{
    const uint8_t *end = size < END_BYTES ? NULL : find_end(bytes, size);
    if (end == NULL) return damaged(name, error);
    size_t n = load16(end + 10), offset = nlsh__load32(end + 16), directory = (size_t)(end - bytes);
    if (offset == NOT_HERE || n == 65535)
        return nlsh__fail(error, NLSH_E_DATA, "write it with numpy.save, as .npy",
                          "%s: a zip file of 4 GiB and more is not read", name);
    if (offset > directory) return damaged(name, error);
    const uint8_t *entry = bytes + offset;
    if (n != 1) return not_one(name, entry, end, n, error);
    if (directory - offset < ENTRY_BYTES || memcmp(entry, "PK\1\2", 4) != 0)
        return damaged(name, error);

    uint32_t method = load16(entry + 10), packed = nlsh__load32(entry + 20);
    size_t at = nlsh__load32(entry + 42);
    if (packed == NOT_HERE || nlsh__load32(entry + 24) == NOT_HERE || at == NOT_HERE)
        return nlsh__fail(error, NLSH_E_DATA, "write it with numpy.save, as .npy",
                          "%s: an array of 4 GiB and more in a zip file is not read", name);
    if ((load16(entry + 8) & 1) != 0 || (method != STORED && method != DEFLATED))
        return nlsh__fail(error, NLSH_E_DATA, "write it with numpy.savez",
                          "%s: encrypted, or compressed by method %u: not read", name, method);
    if (at > offset || offset - at < LOCAL_BYTES || memcmp(bytes + at, "PK\3\4", 4) != 0)
        return damaged(name, error);
    at += LOCAL_BYTES + load16(bytes + at + 26) + load16(bytes + at + 28);
    if (at > offset || packed > offset - at) return damaged(name, error);
    *out = (struct nlsh__zip_member){bytes + at, packed, method == DEFLATED};
    return NLSH_OK;
}
