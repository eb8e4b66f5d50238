/* pages.c - see pages.h. */
#include "pages.h"

enum { INTERIOR = 5, LEAF = 13, LEAF_HEADER = 8, INTERIOR_HEADER = 12, MOST_VARINT = 9 };

static uint32_t u16_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t u32_at(const uint8_t *bytes)
{
    return u16_at(bytes) << 16 | u16_at(bytes + 2);
}

/* A number of 1 to 9 bytes, which must lie before `end`; 0 bytes where it does not. */
static size_t varint_at(const uint8_t *bytes, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < MOST_VARINT && bytes + i < end; i++) {
        int is_last = i + 1 == MOST_VARINT;
        value = is_last ? value << 8 | bytes[i] : value << 7 | (bytes[i] & 127);
        if (bytes[i] < 128 || is_last) {
            *out = value;
            return i + 1;
        }
    }
    return 0;
}

int nlsh__sqlite_page_is_leaf(const uint8_t *page)
{
    return page[0] == LEAF;
}

/* A cell of a page: in front of its rowid a page's number, or the length of a row. */
struct cell {
    uint64_t head;
    int64_t rowid;
    const uint8_t *rest;
};

static int cell_at(const uint8_t *page, struct nlsh__sqlite_paging paging, size_t i,
                   struct cell *out)
{
    int is_leaf = nlsh__sqlite_page_is_leaf(page);
    const uint8_t *end = page + paging.usable;
    const uint8_t *pointer = page + (is_leaf ? LEAF_HEADER : INTERIOR_HEADER) + 2 * i;
    if (pointer + 2 > end || u16_at(pointer) + 4 > paging.usable) return 0;
    const uint8_t *cell = page + u16_at(pointer);
    uint64_t rowid;
    size_t n = 4;
    if (is_leaf)
        n = varint_at(cell, end, &out->head);
    else
        out->head = u32_at(cell);
    size_t more = n > 0 ? varint_at(cell + n, end, &rowid) : 0;
    if (more == 0) return 0;
    out->rowid = (int64_t)rowid;
    out->rest = cell + n + more;
    return 1;
}

/* The first cell with this rowid or one above it; how many cells there are where there is none. 0 on bad bytes. */
static int find(const uint8_t *page, struct nlsh__sqlite_paging paging, int64_t rowid, size_t *at,
                struct cell *out)
{
    struct cell cell;
    size_t low = 0, high = u16_at(page + 3);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (!cell_at(page, paging, middle, &cell)) return 0;
        if (cell.rowid < rowid) {
            low = middle + 1;
        } else {
            high = middle;
            *out = cell;
        }
    }
    *at = low;
    return 1;
}

uint32_t nlsh__sqlite_page_below(const uint8_t *page, struct nlsh__sqlite_paging paging,
                                 int64_t rowid)
{
    struct cell cell = {0, 0, NULL};
    size_t at;
    if (page[0] != INTERIOR || !find(page, paging, rowid, &at, &cell)) return 0;
    return at < u16_at(page + 3) ? (uint32_t)cell.head : u32_at(page + 8);
}

/* Where the chain of a leaf's cell begins, and how many pages it has; 0: it has none. */
static uint32_t chain_of(const uint8_t *page, struct nlsh__sqlite_paging paging,
                         const struct cell *cell, uint32_t *n)
{
    /* U, M, K and X of the documentation */
    uint64_t usable = paging.usable, most = usable - 35, least = (usable - 12) * 32 / 255 - 23;
    if (cell->head <= most || cell->head > INT32_MAX) return 0;
    uint64_t local = least + (cell->head - least) % (usable - 4);
    if (local > most) local = least;
    if ((uint64_t)(page + usable - cell->rest) < local + 4) return 0;
    *n = (uint32_t)((cell->head - local + usable - 5) / (usable - 4));
    return u32_at(cell->rest + local);
}

/* Free pages are often taken the last one first: then chains go down, and those of the cells of a page with them. */
static int step_of(const uint8_t *page, struct nlsh__sqlite_paging paging, size_t at,
                   uint32_t first)
{
    struct cell cell;
    size_t n_cells = u16_at(page + 3), other = at + 1 < n_cells ? at + 1 : at - 1;
    uint32_t n, begins = 0;
    if (n_cells > 1 && cell_at(page, paging, other, &cell))
        begins = chain_of(page, paging, &cell, &n);
    if (begins == 0) return 0;
    return (other > at) == (begins < first) ? -1 : 1;
}

struct nlsh__sqlite_chain
nlsh__sqlite_page_overflow(const uint8_t *page, struct nlsh__sqlite_paging paging, int64_t rowid)
{
    struct nlsh__sqlite_chain chain = {0, 0, 0};
    struct cell cell = {0, 0, NULL};
    size_t at;
    if (page[0] != LEAF || !find(page, paging, rowid, &at, &cell)) return chain;
    if (at == u16_at(page + 3) || cell.rowid != rowid) return chain;
    chain.first = chain_of(page, paging, &cell, &chain.n);
    if (chain.n > 0) chain.step = step_of(page, paging, at, chain.first);
    return chain;
}
