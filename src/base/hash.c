/*
 * hash.c - see hash.h. Up to 240 bytes are mixed by length; longer input goes through eight lanes in
 * stripes of 64 bytes, 16 stripes a block. The last stripe is always the input's last 64 bytes, so a
 * stripe goes into the lanes only once it is known that more follows.
 */
#include "base/hash.h"

#include <string.h>

static const uint8_t secret[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

/* The specification's primes. */
#define P32_1 UINT64_C(0x9E3779B1)
#define P32_2 UINT64_C(0x85EBCA77)
#define P32_3 UINT64_C(0xC2B2AE3D)
#define P64_1 UINT64_C(0x9E3779B185EBCA87)
#define P64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P64_3 UINT64_C(0x165667B19E3779F9)
#define P64_4 UINT64_C(0x85EBCA77C2B2AE63)
#define P64_5 UINT64_C(0x27D4EB2F165667C5)
#define MIX_1 UINT64_C(0x165667919E3779F9)
#define MIX_2 UINT64_C(0x9FB21C651E98DF25)

enum {
    STRIPE = 64,
    PER_BLOCK = 16,
    SCRAMBLE = 128, /* where in secret scrambling begins */
    LAST = 121,     /* the last stripe */
    MERGE = 11      /* and merging */
};

/* Little-endian, as all that we read: index/layout.h refuses other processors. */
static uint64_t u64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t u32(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* Both halves of the product of 128 bits, one over the other. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t h)
{
    h = (h ^ h >> 37) * MIX_1;
    return h ^ h >> 32;
}

/* XXH64's, for the shortest inputs. */
static uint64_t avalanche_64(uint64_t h)
{
    h = (h ^ h >> 33) * P64_2;
    h = (h ^ h >> 29) * P64_3;
    return h ^ h >> 32;
}

static uint64_t mix(const uint8_t *p, const uint8_t *s)
{
    return fold(u64(p) ^ u64(s), u64(p + 8) ^ u64(s + 8));
}

/* ---- up to 240 bytes ------------------------------------------------------------------------- */

static uint64_t of_16(const uint8_t *p, size_t n)
{
    if (n == 0) return avalanche_64(u64(secret + 56) ^ u64(secret + 64));
    if (n < 4) {
        uint64_t all = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 24 | p[n - 1] | n << 8;
        return avalanche_64(all ^ u32(secret) ^ u32(secret + 4));
    }
    if (n <= 8) {
        uint64_t h = (u32(p + n - 4) + (u32(p) << 32)) ^ u64(secret + 8) ^ u64(secret + 16);
        h = (h ^ rotate(h, 49) ^ rotate(h, 24)) * MIX_2;
        h = (h ^ ((h >> 35) + n)) * MIX_2;
        return h ^ h >> 28;
    }
    uint64_t low = u64(p) ^ u64(secret + 24) ^ u64(secret + 32);
    uint64_t high = u64(p + n - 8) ^ u64(secret + 40) ^ u64(secret + 48);
    return avalanche(n + __builtin_bswap64(low) + high + fold(low, high));
}

static uint64_t of_240(const uint8_t *p, size_t n)
{
    uint64_t sum = n * P64_1;
    if (n <= 16) return of_16(p, n);
    if (n <= 128) {
        for (size_t i = (n - 1) / 32 + 1; i-- > 0;)
            sum +=
                mix(p + 16 * i, secret + 32 * i) + mix(p + n - 16 * (i + 1), secret + 32 * i + 16);
        return avalanche(sum);
    }
    for (size_t i = 0; i < 8; i++) sum += mix(p + 16 * i, secret + 16 * i);
    sum = avalanche(sum);
    for (size_t i = 8; i < n / 16; i++) sum += mix(p + 16 * i, secret + 16 * (i - 8) + 3);
    return avalanche(sum + mix(p + n - 16, secret + 136 - 17));
}

/* ---- more ------------------------------------------------------------------------------------ */

static void add_stripe(uint64_t lanes[8], const uint8_t *p, const uint8_t *s)
{
    for (size_t i = 0; i < 8; i++) {
        uint64_t value = u64(p + 8 * i), key = value ^ u64(s + 8 * i);
        lanes[i ^ 1] += value;
        lanes[i] += (key & 0xffffffff) * (key >> 32);
    }
}

static void add_stripes(uint64_t lanes[8], size_t *stripe, const uint8_t *p, size_t n)
{
    for (; n > 0; n--, p += STRIPE) {
        add_stripe(lanes, p, secret + 8 * *stripe);
        if (++*stripe < PER_BLOCK) continue;
        for (size_t i = 0; i < 8; i++)
            lanes[i] = (lanes[i] ^ lanes[i] >> 47 ^ u64(secret + SCRAMBLE + 8 * i)) * P32_1;
        *stripe = 0;
    }
}

void nlsh__hash_begin(struct nlsh__hash *hash)
{
    *hash = (struct nlsh__hash){.lanes = {P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1}};
}

/* Stripes that are known not to be the last. */
static void take(struct nlsh__hash *hash, const uint8_t *p, size_t n_stripes)
{
    add_stripes(hash->lanes, &hash->stripe, p, n_stripes);
    memcpy(hash->before, p + (n_stripes - 1) * STRIPE, STRIPE);
}

void nlsh__hash_add(struct nlsh__hash *hash, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    size_t room = sizeof hash->pending - hash->n_pending;
    if (size == 0) return;
    hash->length += size;
    if (size > room) {
        memcpy(hash->pending + hash->n_pending, p, room);
        take(hash, hash->pending, sizeof hash->pending / STRIPE);
        p += room;
        size -= room;
        hash->n_pending = 0;
        if (size > sizeof hash->pending) {
            size_t n_stripes = (size - 1) / STRIPE;
            take(hash, p, n_stripes);
            p += n_stripes * STRIPE;
            size -= n_stripes * STRIPE;
        }
    }
    memcpy(hash->pending + hash->n_pending, p, size);
    hash->n_pending += size;
}

uint64_t nlsh__hash_end(const struct nlsh__hash *hash)
{
    uint64_t lanes[8], sum = hash->length * P64_1;
    size_t n = hash->n_pending, stripe = hash->stripe;
    uint8_t last[STRIPE];
    if (hash->length <= 240) return of_240(hash->pending, n);
    memcpy(lanes, hash->lanes, sizeof lanes);
    add_stripes(lanes, &stripe, hash->pending, (n - 1) / STRIPE);
    if (n < STRIPE) {
        memcpy(last, hash->before + n, STRIPE - n);
        memcpy(last + STRIPE - n, hash->pending, n);
    } else {
        memcpy(last, hash->pending + n - STRIPE, STRIPE);
    }
    add_stripe(lanes, last, secret + LAST);
    for (size_t i = 0; i < 4; i++)
        sum += fold(lanes[2 * i] ^ u64(secret + MERGE + 16 * i),
                    lanes[2 * i + 1] ^ u64(secret + MERGE + 16 * i + 8));
    return avalanche(sum);
}

uint64_t nlsh__hash_of(const void *bytes, size_t size)
{
    struct nlsh__hash hash;
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, bytes, size);
    return nlsh__hash_end(&hash);
}
