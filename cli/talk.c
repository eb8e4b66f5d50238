/*
 * talk.c - everything that is said on stderr.
 *
 * A stage's bar is drawn at most ten times a second on one line, and goes when the stage ends;
 * what stays is one line with its time. A stage that reports nothing for a while (METIS cuts a graph
 * in one call) is drawn by a thread of its own, so that time is seen to pass. stdout is never
 * touched here.
 */
#include "talk.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "layout.h"
#include "numbers.h"
#include "signals.h"
#include "text.h"
#include "timing.h"

enum progress_mode { PROGRESS_NEVER, PROGRESS_BAR, PROGRESS_JSON };

static struct {
    bool quiet, terminal, dumb, utf8;
    enum progress_mode progress;
} talk;

static struct {
    const char *stage; /* text, or NULL: none under way */
    char text[128];    /* "trials: 3 of 50": what follows the colon may change under way */
    double began, drawn;
    uint64_t first, done, total; /* first: done already when it was first heard of */
    bool visible;
} bar;

/* Held by whoever writes to stderr or changes the bar. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const double redraw_seconds = 0.1;
/* What the thread waits for before it draws in place of a stage that is silent. */
static const double silence_seconds = 0.5;
/* A stage shorter than this leaves no line: it would only be noise. */
static const double worth_a_line_seconds = 0.1;

/* ---- set-up ---------------------------------------------------------------------------------- */

static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || value[0] == '\0') continue;
        return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8") ||
               strstr(value, "utf-8");
    }
    return false;
}

void talk_begin(void)
{
    const char *term = getenv("TERM");
    talk.terminal = isatty(STDERR_FILENO) == 1;
    talk.dumb = term == NULL || strcmp(term, "dumb") == 0 || term[0] == '\0';
    talk.utf8 = locale_is_utf8();
    talk.progress = talk.terminal && !talk.dumb ? PROGRESS_BAR : PROGRESS_NEVER;
}

void talk_configure(bool quiet, const char *progress)
{
    talk.quiet = quiet;
    if (progress == NULL) return;
    if (strcmp(progress, "always") == 0) talk.progress = PROGRESS_BAR;
    if (strcmp(progress, "json") == 0) talk.progress = PROGRESS_JSON;
    if (strcmp(progress, "never") == 0 || (quiet && talk.progress == PROGRESS_BAR)) {
        talk.progress = PROGRESS_NEVER;
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Where memory runs out there is one event less. */
static void write_json_line(json_t *event)
{
    if (json_write(event, stderr, JSON_COMPACT | JSON_REAL_PRECISION(6))) fputc('\n', stderr);
    fflush(stderr);
}

static void bar_hide(void)
{
    if (!bar.visible) return;
    if (talk.terminal && !talk.dumb) {
        fputs("\r\033[K", stderr);
    } else {
        fputs("\n", stderr); /* --progress always into a file: the last state of the bar stays */
    }
    bar.visible = false;
}

static void labelled(const char *label, const char *colour, const char *text)
{
    if (layout_colours(stderr)) {
        fprintf(stderr, "\033[%sm%s:\033[0m %s\n", colour, label, text);
    } else {
        fprintf(stderr, "%s: %s\n", label, text);
    }
}

static int say_error(int code, const char *raw_message, const char *raw_hint)
{
    char message[1024], hint[1536];
    bool has_hint = raw_hint != NULL && raw_hint[0] != '\0';
    text_shown(raw_message, message, sizeof message);
    text_shown(has_hint ? raw_hint : "", hint, sizeof hint);
    pthread_mutex_lock(&lock);
    bar_hide();
    bar.stage = NULL; /* the thread draws nothing from here on */
    pthread_mutex_unlock(&lock);
    if (talk.progress == PROGRESS_JSON) {
        json_t *event =
            json_pack("{s:s, s:s, s:i}", "event", "error", "message", message, "exit", code);
        if (event != NULL && has_hint) json_set(&event, "hint", json_string(hint));
        if (event != NULL) {
            write_json_line(event);
            return code;
        } /* no memory: say it as text */
    }
    fflush(stdout);
    labelled("error", "1;31", message);
    if (has_hint) labelled("hint", "36", hint);
    return code;
}

#undef talk_error
int talk_error(int code, const char *hint, const char *format, ...)
{
    char message[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    return say_error(code, message, hint);
}

int talk_interrupted(void)
{
    return say_error(signal_exit(), "interrupted; nothing was written", NULL);
}

int talk_failed(const struct nlsh_error *error)
{
    if (error->status == NLSH_E_INTERRUPTED) return talk_interrupted();
    const char *hint = error->hint;
    if (error->status == NLSH_E_INTERNAL && hint[0] == '\0') {
        hint = "this is a bug in nlsh: please report it with the command that shows it";
    }
    const char *message = error->message[0] ? error->message : nlsh_status_name(error->status);
    return say_error(exit_code(error->status), message, hint);
}

/* On a terminal between words and within its width; elsewhere as it is, for who reads it by lines. What stands
 * before it takes `at` columns. */
static void put_line(const char *line, size_t at, size_t indent)
{
    if (talk.terminal) {
        layout_wrapped(stderr, line, at, indent, layout_columns(stderr));
    } else {
        fprintf(stderr, "%s\n", line);
    }
}

static void say_line_locked(const char *line)
{
    if (talk.progress == PROGRESS_JSON) {
        json_t *event = json_pack("{s:s, s:s}", "event", "note", "text", line);
        write_json_line(event);
        return;
    }
    bar_hide();
    put_line(line, 0, strspn(line, " ") + 2);
}

static void say_line(const char *raw)
{
    char line[1024];
    if (talk.quiet) return;
    text_shown(raw, line, sizeof line);
    pthread_mutex_lock(&lock);
    say_line_locked(line);
    pthread_mutex_unlock(&lock);
}

void talk_say(const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    say_line(line);
}

void talk_note(void *user, const char *sentence)
{
    (void)user;
    say_line(sentence);
}

/* ---- the bar --------------------------------------------------------------------------------- */

/* The bar itself: width cells, eighths of a cell where the terminal can show them. */
static void put_cells(char *to, size_t to_size, size_t width, double share)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t used = 0;
    size_t units = (size_t)(share * (double)width * 8 + 0.5);
    for (size_t i = 0; i < width && used + 4 < to_size; i++) {
        const char *cell;
        size_t here = units > 8 * i ? units - 8 * i : 0;
        if (here >= 8) {
            cell = talk.utf8 ? "█" : "#";
        } else if (here > 0 && talk.utf8) {
            cell = eighths[here];
        } else {
            cell = talk.utf8 ? " " : ".";
        }
        size_t length = strlen(cell);
        memcpy(to + used, cell, length);
        used += length;
    }
    to[used] = '\0';
}

static void bar_draw(double now)
{
    char rate[32], eta[32] = "", count[32], tail[96], cells[400];
    double elapsed = now - bar.began;
    double share = bar.total ? fmin(1.0, (double)bar.done / (double)bar.total) : 0;
    double a_second = elapsed > 0 ? (double)(bar.done - bar.first) / elapsed : 0;
    bool counts = strchr(bar.stage, ':') != NULL; /* in its text, and better than we can */
    bool colours = layout_colours(stderr);
    const char *on = colours ? "\033[32m" : "", *off = colours ? "\033[0m" : "";
    const char *wipe = talk.terminal && !talk.dumb ? "\033[K" : "";
    size_t columns = layout_columns(stderr);

    if (bar.total == 0) {
        /* How much there is to do is not known: how long it has been at it. */
        text_seconds(elapsed, count);
        if (columns > 44) {
            fprintf(stderr, "\r%-20.30s %s%s", bar.stage, count, wipe);
        } else {
            fprintf(stderr, "\r%.*s %s%s", (int)(columns > 16 ? columns - 12 : 4), bar.stage, count,
                    wipe);
        }
        return;
    }
    if (share > 0.002 && elapsed > 0.3 && a_second > 0)
        text_clock((double)(bar.total - bar.done) / a_second, eta);
    snprintf(tail, sizeof tail, "%3.0f %%  %8s  ETA %-6s", floor(share * 100),
             counts ? "" : text_rate(a_second, rate), eta[0] ? eta : "-");
    size_t name = strlen(bar.stage) > 20 ? strlen(bar.stage) : 20, most = counts ? 48 : 30;
    if (name > most) name = most;
    size_t taken = name + strlen(tail) + 6;
    if (columns < taken + 8) {
        fprintf(stderr, "\r%.*s %3.0f %%%s", (int)(columns > 12 ? columns - 8 : 4), bar.stage,
                floor(share * 100), wipe);
        return;
    }
    size_t width = columns - taken < 40 ? columns - taken : 40;
    put_cells(cells, sizeof cells, width, share);
    fprintf(stderr, "\r%-*.*s %s%s%s%s%s  %s%s", (int)name, (int)name, bar.stage,
            talk.utf8 ? "▕" : "[", on, cells, off, talk.utf8 ? "▏" : "]", tail, wipe);
}

static void bar_json(double now)
{
    double elapsed = now - bar.began;
    json_t *event =
        json_pack("{s:s, s:s, s:I, s:I, s:f}", "event", "progress", "stage", bar.stage, "done",
                  (json_int_t)bar.done, "total", (json_int_t)bar.total, "seconds", elapsed);
    if (event == NULL) return;
    if (elapsed > 0 && bar.done > bar.first) {
        double a_second = (double)(bar.done - bar.first) / elapsed;
        json_set(&event, "rate", json_real(a_second));
        if (bar.total >= bar.done) {
            json_set(&event, "eta", json_real((double)(bar.total - bar.done) / a_second));
        }
    }
    write_json_line(event);
}

static void stage_end(void)
{
    char seconds[32];
    if (bar.stage == NULL) return;
    double elapsed = now_seconds() - bar.began;
    const char *stage = bar.stage;
    bar_hide();
    bar.stage = NULL;
    if (signal_came()) return;
    if (talk.progress == PROGRESS_JSON) {
        json_t *event =
            json_pack("{s:s, s:s, s:f}", "event", "stage", "stage", stage, "seconds", elapsed);
        write_json_line(event);
    } else if (talk.progress == PROGRESS_BAR && elapsed >= worth_a_line_seconds) {
        fprintf(stderr, "%-20s %s\n", stage, text_seconds(elapsed, seconds));
    }
}

void talk_stage_end(void)
{
    pthread_mutex_lock(&lock);
    stage_end();
    pthread_mutex_unlock(&lock);
}

static void draw(double now)
{
    bar.drawn = now;
    if (talk.progress == PROGRESS_JSON) {
        bar_json(now);
    } else {
        bar_draw(now);
        fflush(stderr);
        bar.visible = true;
    }
}

static void *draw_silent_stages(void *unused)
{
    (void)unused;
    for (;;) {
        const struct timespec pause = {0, 100 * 1000 * 1000};
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&lock);
        double now = now_seconds();
        if (bar.stage != NULL && now - bar.drawn >= silence_seconds) draw(now);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Once. Where no thread can be had the bar is drawn when there is news, and no harm is done. */
static void start_drawing(void)
{
    static bool started;
    sigset_t all, before;
    pthread_t thread;
    if (started) return;
    started = true;
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, draw_silent_stages, NULL) == 0) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Up to the colon, where there is one. */
static bool same_stage(const char *a, const char *b)
{
    size_t length = strcspn(a, ":");
    return strcspn(b, ":") == length && strncmp(a, b, length) == 0;
}

int talk_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    if (talk.progress == PROGRESS_NEVER) return signal_came();
    start_drawing();
    pthread_mutex_lock(&lock);
    double now = now_seconds();
    char text[sizeof bar.text];
    text_shown(stage, text, sizeof text);
    if (bar.stage == NULL || !same_stage(bar.stage, text)) {
        stage_end();
        bar.stage = bar.text;
        bar.began = now;
        bar.first = done;
        bar.drawn = now; /* the first 0.1 s pass without a bar, so short stages do not flicker */
    }
    memcpy(bar.text, text, sizeof text);
    bar.done = done > bar.first ? done : bar.first;
    bar.total = total;
    if (now - bar.drawn >= redraw_seconds) draw(now);
    if (total > 0 && done >= total) stage_end();
    pthread_mutex_unlock(&lock);
    return signal_came();
}
