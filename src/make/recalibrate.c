/* recalibrate.c - nlsh_calibrate(): an index that stands gets efforts that were measured with a caller's queries. */
#include <string.h>

#include "base/error.h"
#include "base/job.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/sized.h"
#include "index/layout.h"
#include "live/beside.h"
#include "make/pack.h"
#include "measure/sample.h"

enum { FEWEST = 30, MOST_K = 1000, TOLD_K = 10 };
#define TOLD_RECALL 0.95

/* The sample's true neighbours, by an exact search. */
struct truth {
    const struct nlsh_matrix *queries;
    size_t k, n_threads;
    uint64_t *keys;   /* [queries->n_rows x k] */
    float *distances; /* the same */
};

static void truth_free(struct truth *truth)
{
    nlsh__free(truth->keys);
    nlsh__free(truth->distances);
}

static enum nlsh_status find_truth(const struct nlsh_index *index, struct truth *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t alive = (size_t)index->meta.n_rows - index->n_deleted, n = out->queries->n_rows;
    struct nlsh_search_options options;
    out->k = TOLD_K < alive ? TOLD_K : alive;
    nlsh_search_options_init(&options, sizeof options);
    options.k = out->k;
    options.n_threads = out->n_threads;
    options.probes = (double)index->meta.n_buckets;
    NLSH_TRY(nlsh__alloc(&out->keys, n * out->k, sizeof *out->keys, error));
    NLSH_TRY(nlsh__alloc(&out->distances, n * out->k, sizeof *out->distances, error));
    NLSH_TRY(
        nlsh_search_batch(index, out->queries, &options, out->keys, out->distances, NULL, error));
out:
    return status;
}

/* What a search for recall@10 of .95 reaches and costs on the sample. */
static enum nlsh_status reached(const struct nlsh_index *index, const struct truth *truth,
                                double *recall, double *candidates, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = truth->queries->n_rows, k = truth->k;
    uint64_t *keys = NULL;
    float *distances = NULL;
    uint32_t *scanned = NULL;
    struct nlsh_search_options options;
    nlsh_search_options_init(&options, sizeof options);
    options.k = k;
    options.recall = TOLD_RECALL;
    options.n_threads = truth->n_threads;
    NLSH_TRY(nlsh__alloc(&keys, n * k, sizeof *keys, error));
    NLSH_TRY(nlsh__alloc(&distances, n * k, sizeof *distances, error));
    NLSH_TRY(nlsh__alloc(&scanned, n, sizeof *scanned, error));
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = scanned};
    NLSH_TRY(nlsh_search_batch(index, truth->queries, &options, keys, distances, &stats, error));
    *recall = *candidates = 0;
    for (size_t i = 0; i < n; i++) {
        *recall += nlsh_recall(keys + i * k, distances + i * k, truth->keys + i * k,
                               truth->distances + i * k, k) /
                   (double)n;
        *candidates += scanned[i] / (double)n;
    }
out:
    nlsh__free(keys);
    nlsh__free(distances);
    nlsh__free(scanned);
    return status;
}

/* Sections that are measured anew, or go with what is. */
static int is_measured(uint16_t kind)
{
    return kind == NLSH__SECTION_TARGETS || kind == NLSH__SECTION_EFFORTS ||
           kind == NLSH__SECTION_OUTSIDE || kind == NLSH__SECTION_METER ||
           kind == NLSH__SECTION_LOG;
}

/* The meter of a file whose promises were measured with all that is there by now, log and all. */
static struct nlsh__meter_header meter_now(const struct nlsh_index *index)
{
    struct nlsh__meter_header meter = index->meter;
    meter.changed = 0;
    meter.seen = (uint32_t)(index->n_deleted + index->log_now.rows);
    return meter;
}

/* The index with other efforts, whole or not at all. */
static enum nlsh_status
write_with(const struct nlsh_index *index, const struct nlsh__measured_efforts *measured,
           const struct nlsh__log_taken *log, const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__section_data efforts = {.kind = NLSH__SECTION_EFFORTS},
                              outside = {.kind = NLSH__SECTION_OUTSIDE},
                              meter = {.kind = NLSH__SECTION_METER};
    const struct nlsh__meter_header header = meter_now(index);
    void *efforts_bytes = NULL, *outside_bytes = NULL, *meter_bytes = NULL;
    int metered = header.seen > 0;
    struct nlsh__index_table table;
    struct nlsh__section_data *sections = NULL;
    size_t n = 0;
    NLSH_TRY(nlsh__index_read_table(index->path, &index->map, &table, error));
    NLSH_TRY(nlsh__index_check_current(index->path, &table, error));
    NLSH_TRY(nlsh__alloc(&sections, table.n_entries + 4, sizeof *sections, error));
    for (size_t i = 0; i < table.n_entries; i++) {
        const struct nlsh__index_entry *e = &table.entries[i];
        metered |= e->kind == NLSH__SECTION_METER;
        if (is_measured(e->kind)) continue;
        sections[n++] = (struct nlsh__section_data){(enum nlsh__section_kind)e->kind, e->segment,
                                                    index->map.data + e->offset, (size_t)e->size};
    }
    NLSH_TRY(nlsh__pack_efforts(measured, 1, &efforts_bytes, &efforts.size, error));
    NLSH_TRY(nlsh__pack_outside(measured, &outside_bytes, &outside.size, error));
    NLSH_TRY(nlsh__pack_meter(&header, index->untaught, &meter_bytes, &meter.size, error));
    efforts.data = efforts_bytes;
    outside.data = outside_bytes;
    meter.data = meter_bytes;
    sections[n++] = efforts;
    sections[n++] = outside;
    if (metered) sections[n++] = meter;
    if (log != NULL)
        sections[n++] = (struct nlsh__section_data){NLSH__SECTION_LOG, 0, log, sizeof *log};
    NLSH_TRY(nlsh__index_write(path, sections, n, error));
out:
    nlsh__free(sections);
    nlsh__free(efforts_bytes);
    nlsh__free(outside_bytes);
    nlsh__free(meter_bytes);
    return status;
}

static enum nlsh_status calibrate(const char *path, const struct nlsh_matrix *queries,
                                  const char *out_path, const struct nlsh__job *job,
                                  struct nlsh_calibrate_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *index = NULL, *now = NULL;
    struct nlsh__measured_efforts efforts;
    struct nlsh__index_table table;
    struct nlsh__beside beside;
    struct nlsh__log_taken log;
    struct truth truth = {.queries = queries, .n_threads = nlsh__pool_n_threads(job->pool)};
    NLSH_TRY(nlsh__beside_begin(path, &beside, error));
    NLSH_TRY(nlsh_index_open(path, NULL, &index, error));
    if (out_path != NULL && index->log_now.bytes > 0) {
        status = nlsh__fail(error, NLSH_E_UNSUPPORTED,
                            "compact the index first, or calibrate it in place",
                            "%s: vectors of its log do not go to another file", path);
        goto out;
    }
    log = nlsh__beside_goes_on(&beside, index);
    NLSH_TRY(nlsh__index_read_table(index->path, &index->map, &table, error));
    NLSH_TRY(nlsh__index_check_current(index->path, &table, error));
    NLSH_TRY(nlsh__measure_sample(index, queries, MOST_K, job, &efforts, error));
    NLSH_TRY(find_truth(index, &truth, error));
    NLSH_TRY(reached(index, &truth, &report->recall_before, &report->candidates_before, error));
    NLSH_TRY(write_with(index, &efforts, beside.log != 0 ? &log : NULL,
                        out_path != NULL ? out_path : path, error));
    NLSH_TRY(nlsh_index_open(out_path != NULL ? out_path : path, NULL, &now, error));
    NLSH_TRY(reached(now, &truth, &report->recall, &report->candidates, error));
    report->n_queries = queries->n_rows;
out:
    nlsh__beside_end(&beside);
    nlsh_index_close(index);
    nlsh_index_close(now);
    truth_free(&truth);
    return status;
}

enum nlsh_status nlsh_calibrate(const char *path, const struct nlsh_matrix *queries,
                                const char *out_path, const struct nlsh_run *run,
                                struct nlsh_calibrate_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {.pool = NULL};
    struct nlsh__output *probe = NULL;
    struct nlsh_calibrate_report ours = {.struct_size = sizeof ours};
    nlsh__error_clear(error);
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_calibrate_report", error));
    if (path == NULL || queries == NULL) {
        status =
            nlsh__fail(error, NLSH_E_ARG, NULL, "%s", path == NULL ? "no index" : "no queries");
        goto out;
    }
    if (queries->n_rows < FEWEST) {
        status = nlsh__fail(error, NLSH_E_ARG, "give some hundreds of them",
                            "%zu queries are too few to promise anything: at least %d are needed",
                            queries->n_rows, FEWEST);
        goto out;
    }
    /* An output that cannot be written is found out now and not after the work. */
    NLSH_TRY(nlsh__output_open_file(out_path != NULL ? out_path : path, &probe, error));
    nlsh__output_abort(probe);
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(calibrate(path, queries, out_path, &job, &ours, error));
    if (report != NULL) nlsh__answer_give(report, &ours, sizeof ours);
out:
    nlsh__job_end(&job);
    return status;
}
