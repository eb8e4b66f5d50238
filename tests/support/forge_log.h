/* forge_log.h - logs as a hostile writer would make them: what they say is changed, and the checksums are right. */
#ifndef NLSH_TESTS_FORGE_LOG_H
#define NLSH_TESTS_FORGE_LOG_H

#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "live/log.h"

/* Makes header and records agree with their checksums again, each as its size says where it ends. Stops where a
 * record would not lie in the log. Returns where that is. */
static inline size_t forge_log_seal(uint8_t *log, size_t size)
{
    struct nlsh__log_header header;
    struct nlsh__record_header record;
    if (size < sizeof header) return 0;
    memcpy(&header, log, sizeof header);
    memcpy(header.magic, NLSH__LOG_MAGIC, sizeof header.magic);
    header.checksum = nlsh__hash_of(&header, offsetof(struct nlsh__log_header, checksum));
    memcpy(log, &header, sizeof header);
    uint64_t previous = header.checksum, number = 1;
    size_t at = sizeof header;
    while (size - at >= sizeof record) {
        struct nlsh__hash hash;
        memcpy(&record, log + at, sizeof record);
        if (record.size > size - at - sizeof record || record.size % NLSH__LOG_ALIGN != 0) break;
        record.magic = NLSH__RECORD_MAGIC;
        record.log = header.checksum;
        record.previous = previous;
        record.number = number++;
        nlsh__hash_begin(&hash);
        nlsh__hash_add(&hash, &record, offsetof(struct nlsh__record_header, checksum));
        nlsh__hash_add(&hash, log + at + sizeof record, (size_t)record.size);
        previous = record.checksum = nlsh__hash_end(&hash);
        memcpy(log + at, &record, sizeof record);
        at += sizeof record + (size_t)record.size;
    }
    return at;
}

#endif
