/* merged.h - the sections of an index file that keeps another's router, while its rows are others. */
#ifndef NLSH_MAKE_MERGED_H
#define NLSH_MAKE_MERGED_H

#include "base/job.h"
#include "codes/make/encode.h"
#include "index/index.h"

enum { NLSH__MERGED_SECTIONS = 24 };

struct nlsh__merged {
    struct nlsh__section_data of[NLSH__MERGED_SECTIONS];
    size_t n;
    /* Made here; the other sections are borrowed. */
    void *codes, *leaves, *efforts, *outside, *meter;
    size_t codes_size, leaves_size;
};

void nlsh__merged_free(struct nlsh__merged *merged);

/* A section more; none where it would be empty. */
void nlsh__merged_add(struct nlsh__merged *merged, enum nlsh__section_kind kind, const void *data,
                      size_t size);
/* One of the file whose router it is, as it stands there. NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__merged_keep(const struct nlsh_index *file, enum nlsh__section_kind kind,
                                   struct nlsh__merged *merged, struct nlsh_error *error);

/* What codes are made of: codes/make/encode.h has the same by other names. */
struct nlsh__merging {
    const struct nlsh_index *file;
    const struct nlsh_matrix *rows;    /* as they are stored: U8 or F32 */
    size_t p;                          /* of the router's inputs */
    const float *inputs;               /* [n_rows x p] */
    const float *query_inputs;         /* [queries->n_rows x p] */
    const struct nlsh_matrix *queries; /* rows as they come as queries */
    const uint32_t *bucket_offsets;    /* [m + 1] */
    const uint32_t *ids; /* [n_rows] rows in bucket order; in that of leaves where there are any */
    const struct nlsh__encode_others *others; /* or NULL: codes/make/encode.h */
};

/* Codes and leaves, where the file has them, in the lengths that they have there; added as sections. NLSH_E_NOMEM. */
enum nlsh_status nlsh__merged_encode(const struct nlsh__merging *of, const struct nlsh__job *job,
                                     struct nlsh__merged *merged, struct nlsh_error *error);

/* The meter, as a section. */
enum nlsh_status nlsh__merged_meter(const struct nlsh__meter_header *meter,
                                    const uint32_t *untaught, struct nlsh__merged *merged,
                                    struct nlsh_error *error);

#endif
