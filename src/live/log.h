/*
 * log.h - the bytes of an index's log (docs/log-format.md): a header, and records one behind the other.
 *
 * A record is what one call put or deleted. It says which record was before it, and how much of the log was
 * durable when it was written: so a torn end, which nobody was promised, is told from damage (live/rest.h).
 */
#ifndef NLSH_LIVE_LOG_H
#define NLSH_LIVE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

#define NLSH__LOG_MAGIC "\x89NLSL\r\n\x1a"
#define NLSH__LOG_VERSION 1u
#define NLSH__LOG_ALIGN 64u
#define NLSH__RECORD_MAGIC 0x43524C4Eu /* "NLRC" */
/* Bytes of a record: what a reader has to hold in memory at once. */
#define NLSH__MOST_RECORD ((uint64_t)1 << 30)

/* Frozen: they stand in files. */
enum nlsh__record_kind {
    NLSH__RECORD_PUT = 1,   /* rows: struct nlsh__log_rows */
    NLSH__RECORD_DELETE = 2 /* keys */
};

/* Little-endian, no padding. */
struct nlsh__log_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t oldest_reader;
    uint64_t index;     /* the checksum in the header of the index file that the log was made for */
    uint32_t row_bytes; /* of a vector, as the index stores it */
    uint32_t code_bytes;  /* of its code; 0: the index has none */
    uint8_t reserved[24]; /* written as 0, ignored when read: so everywhere */
    uint64_t checksum;    /* of the bytes in front of it; the log's name in its records */
};

struct nlsh__record_header {
    uint32_t magic;
    uint16_t kind;
    uint16_t reserved;
    uint64_t size;     /* of what follows, a multiple of 64 */
    uint64_t n;        /* rows or keys */
    uint64_t log;      /* the log's checksum */
    uint64_t previous; /* the checksum of the record before it; the log's for the first */
    uint64_t durable;  /* so many bytes of the log were known to be on the disk */
    uint64_t number;   /* from 1 */
    uint64_t checksum; /* of the bytes in front of it and of those that follow */
};

/* What a row of an index takes in its log. */
struct nlsh__row_form {
    size_t row_bytes, code_bytes;
};

/* Rows as a record holds them: arrays one behind the other, each padded with zeros to a multiple of 8. Where
 * code_bytes is 0 biases, errors and codes take no bytes. */
struct nlsh__log_rows {
    size_t n;
    uint64_t *keys;    /* [n] */
    uint32_t *buckets; /* [n] */
    float *biases;     /* [n] of the codes: codes/codes.h */
    uint8_t *errors;   /* [n] */
    uint8_t *codes;    /* [n][code_bytes] a row's 4 bytes of chunk after chunk */
    uint8_t *vectors;  /* [n][row_bytes] */
};

/* Bytes that follow a record's header; 0 where they would be more than NLSH__MOST_RECORD. */
size_t nlsh__put_size(const struct nlsh__row_form *form, size_t n);
size_t nlsh__delete_size(size_t n);
/* Where rows stand in bytes [nlsh__put_size()], aligned to 8. */
void nlsh__rows_in(const struct nlsh__row_form *form, size_t n, void *bytes,
                   struct nlsh__log_rows *out);

void nlsh__log_header_make(uint64_t index, const struct nlsh__row_form *form,
                           struct nlsh__log_header *out);
/* What is wrong with a header, or NULL. *newer: it is well, but of a newer nlsh. */
const char *nlsh__log_header_wrong(const struct nlsh__log_header *header, int *newer);

/* Where a reader or a writer stands in a log. */
struct nlsh__log_at {
    uint64_t log;      /* the log's checksum */
    uint64_t position; /* of the next record */
    uint64_t previous; /* checksum of the last record, or the log's */
    uint64_t number;   /* of the next record */
};

/* The place behind a header. */
struct nlsh__log_at nlsh__log_begin(const struct nlsh__log_header *header);

/* A record's header, which is filled but for its checksum and set to it; payload follows it in memory. Moves *at
 * behind the record. */
void nlsh__record_seal(struct nlsh__record_header *header, uint64_t durable,
                       struct nlsh__log_at *at);

enum nlsh__record_state {
    NLSH__RECORD_WHOLE, /* it is there */
    NLSH__RECORD_SHORT, /* the beginning of one may be: it ends behind these bytes */
    NLSH__RECORD_SEAL,  /* nothing but what a writer left that closed: nlsh__record_is_seal() */
    NLSH__RECORD_NONE   /* nothing, or what is no record that may stand here */
};

/*
 * nlsh__record_next() - the record at *at, in bytes [size] that begin at that position.
 *
 * Where it is whole *out views it and *at is moved behind it. Cost: a look at that record's bytes, once.
 */
enum nlsh__record_state
nlsh__record_next(const uint8_t *bytes, size_t size, const struct nlsh__row_form *form,
                  struct nlsh__log_at *at, const struct nlsh__record_header **out);

/* Whether a whole record is a seal: a deletion of the key that nothing has. As the last of a log it says that all before it
 * is durable, and the next record takes its place. */
int nlsh__record_is_seal(const struct nlsh__record_header *record);

/* Whether a header could be a later record's of this log which knows that byte at->position was durable. Whether it is a
 * record its checksum says. */
int nlsh__record_may_tell(const struct nlsh__record_header *header,
                          const struct nlsh__row_form *form, const struct nlsh__log_at *at);

#endif
