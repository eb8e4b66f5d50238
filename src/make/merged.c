/* merged.c - see merged.h. */
#include "make/merged.h"

#include "base/error.h"
#include "base/memory.h"
#include "codes/make/leaves.h"
#include "index/layout.h"
#include "make/pack.h"
#include "router/router.h"

void nlsh__merged_free(struct nlsh__merged *m)
{
    void *all[] = {m->codes, m->leaves, m->efforts, m->outside, m->meter};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

void nlsh__merged_add(struct nlsh__merged *m, enum nlsh__section_kind kind, const void *data,
                      size_t size)
{
    if (data != NULL && size > 0) m->of[m->n++] = (struct nlsh__section_data){kind, 0, data, size};
}

enum nlsh_status nlsh__merged_keep(const struct nlsh_index *file, enum nlsh__section_kind kind,
                                   struct nlsh__merged *m, struct nlsh_error *error)
{
    struct nlsh__index_table table;
    enum nlsh_status status = nlsh__index_read_table(file->path, &file->map, &table, error);
    if (status == NLSH_OK) status = nlsh__index_check_current(file->path, &table, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < table.n_entries; i++)
        if (table.entries[i].kind == kind)
            nlsh__merged_add(m, kind, file->map.data + table.entries[i].offset,
                             (size_t)table.entries[i].size);
    return NLSH_OK;
}

enum nlsh_status nlsh__merged_encode(const struct nlsh__merging *of, const struct nlsh__job *job,
                                     struct nlsh__merged *m, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__segment *first = &of->file->segments[0];
    struct nlsh__codes *codes = NULL;
    size_t n_buckets = of->file->meta.n_buckets, dim = of->file->meta.dim;
    if (first->codes == NULL) return NLSH_OK;
    const struct nlsh__projection projection = {.dim = dim,
                                                .n_components = of->p,
                                                .mean = (float *)(uintptr_t)first->codes->mean,
                                                .scale = first->codes->scale};
    const struct nlsh__encode encode = {
        .base = of->rows,
        .scale = of->file->meta.scale,
        .projection = &projection,
        .inputs = of->inputs,
        .query_inputs = of->query_inputs,
        .queries = of->queries,
        .n_components = first->codes->n_components < of->p ? first->codes->n_components : of->p,
        .inner = of->file->metric == NLSH_IP,
        .outside_weight = first->codes->outside_weight, /* margins were measured with it */
        .bucket_offsets = of->bucket_offsets,
        .n_buckets = n_buckets,
        .ids = of->ids,
        .others = of->others,
    };
    const struct nlsh__codes_of shape = {of->bucket_offsets, n_buckets, of->p, dim};
    NLSH_TRY(nlsh__encode_rows(&encode, job, &m->codes, &m->codes_size, error));
    ((struct nlsh__codes_header *)m->codes)->rounded = first->codes->query_mean != NULL;
    nlsh__merged_add(m, NLSH__SECTION_CODES, m->codes, m->codes_size);
    if (first->leaves == NULL) goto out;
    NLSH_TRY(nlsh__codes_open(m->codes, m->codes_size, NLSH__CODES_VERSION, &shape, &codes, error));
    NLSH_TRY(nlsh__encode_leaves(&encode, codes, job, &m->leaves, &m->leaves_size, error));
    nlsh__merged_add(m, NLSH__SECTION_LEAVES, m->leaves, m->leaves_size);
out:
    nlsh__codes_close(codes);
    return status;
}

enum nlsh_status nlsh__merged_meter(const struct nlsh__meter_header *meter,
                                    const uint32_t *untaught, struct nlsh__merged *m,
                                    struct nlsh_error *error)
{
    size_t size;
    enum nlsh_status status = nlsh__pack_meter(meter, untaught, &m->meter, &size, error);
    if (status == NLSH_OK) nlsh__merged_add(m, NLSH__SECTION_METER, m->meter, size);
    return status;
}
