#include "engine/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *const severity_names[] = {"error", "warn", "info", "debug", "info"};

int mx_log_init(struct mx_log *self, uint32_t capacity, enum mx_log_severity severity,
                bool is_json) {
    *self = (struct mx_log){.capacity = capacity,
                            .severity = (uint32_t)severity,
                            .is_json = is_json,
                            .is_direct = capacity == 0};
    if (capacity == 0)
        return 0;
    assert((capacity & (capacity - 1)) == 0);
    void *ring = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return -ENOMEM;
    self->ring = ring;
    return 0;
}

void mx_log_deinit(struct mx_log *self) {
    if (self->ring != NULL)
        munmap(self->ring, self->capacity);
    self->ring = NULL;
}

/* ---- one line ---- */

/* What a value may leave of the line: one escape, the closing quote, brace and LF. */
enum { CLOSING_MAX = 10, KEY_ROOM = 40 };

static void put_raw(struct mx_log_line *line, const char *text, size_t len) {
    assert(len <= MX_LOG_LINE_MAX - line->len);
    memcpy(line->text + line->len, text, len);
    line->len += (uint32_t)len;
}

static void put_escaped(struct mx_log_line *line, struct mx_span value) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < value.len && line->len + CLOSING_MAX <= MX_LOG_LINE_MAX; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c == '"' || c == '\\') {
            put_raw(line, (char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c >= 0x7F) {
            put_raw(line, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        } else {
            line->text[line->len++] = (char)c;
        }
    }
}

/* False: the line is full, the pair is left out whole. */
static bool put_key(struct mx_log_line *line, const char *key) {
    bool is_first = line->len == 0;
    if (line->len + strlen(key) + KEY_ROOM > MX_LOG_LINE_MAX)
        return false;
    if (line->log->is_json) {
        put_raw(line, is_first ? "{\"" : ",\"", 2);
        put_raw(line, key, strlen(key));
        put_raw(line, "\":", 2);
    } else {
        if (!is_first)
            put_raw(line, " ", 1);
        put_raw(line, key, strlen(key));
        put_raw(line, "=", 1);
    }
    return true;
}

static bool needs_quotes(const struct mx_log_line *line, struct mx_span value) {
    if (line->log->is_json || value.len == 0)
        return true;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c <= 0x20 || c >= 0x7F || c == '"' || c == '\\' || c == '=')
            return true;
    }
    return false;
}

void mx_log_text(struct mx_log_line *line, const char *key, struct mx_span value) {
    if (line->log == NULL || !put_key(line, key))
        return;
    bool quoted = needs_quotes(line, value);
    if (quoted)
        put_raw(line, "\"", 1);
    put_escaped(line, value);
    if (quoted)
        put_raw(line, "\"", 1);
}

void mx_log_str(struct mx_log_line *line, const char *key, const char *value) {
    mx_log_text(line, key, mx_span_of(value));
}

void mx_log_u64(struct mx_log_line *line, const char *key, uint64_t value) {
    if (line->log == NULL)
        return;
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (put_key(line, key))
        put_raw(line, digits + at, sizeof digits - at);
}

static void put_time(struct mx_log_line *line) {
    struct timespec now;
    struct tm tm;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    int len = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                       now.tv_nsec / 1000000);
    mx_log_text(line, "time", (struct mx_span){text, (size_t)len});
}

void mx_log_begin(struct mx_log_line *line, struct mx_log *log, enum mx_log_severity severity,
                  const char *event) {
    line->log = mx_log_wants(log, severity) ? log : NULL;
    line->len = 0;
    if (line->log == NULL)
        return;
    put_time(line);
    mx_log_str(line, "level", severity_names[severity]);
    mx_log_str(line, "event", event);
}

enum { DIRECT_WAIT_MS = 500 }; /* for a reader, before a line that is not queued is dropped */

/* ---- the queue ---- */

/* As much as can be written without waiting longer than that each time: the main thread must hear
 * its signals whoever reads stderr, or does not. Whole lines as far as they fit into what a pipe
 * takes at once. */
static size_t write_some(int fd, const char *ptr, size_t len, int wait_ms) {
    size_t done = 0;
    while (done < len) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (poll(&ready, 1, wait_ms) == 0)
            break;
        size_t part = len - done;
        if (part > PIPE_BUF) {
            const char *lf = memrchr(ptr + done, '\n', PIPE_BUF);
            part = lf != NULL ? (size_t)(lf - (ptr + done)) + 1 : PIPE_BUF;
        }
        ssize_t n = write(fd, ptr + done, part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            return len; /* stderr is gone: there is nobody to tell */
        done += (size_t)n;
    }
    return done;
}

void mx_log_end(struct mx_log_line *line) {
    struct mx_log *log = line->log;
    if (log == NULL)
        return;
    if (log->is_json)
        line->text[line->len++] = '}';
    line->text[line->len++] = '\n';
    if (log->is_direct) {
        log->dropped +=
            write_some(STDERR_FILENO, line->text, line->len, DIRECT_WAIT_MS) < line->len;
        return;
    }
    uint32_t head = atomic_load_explicit(&log->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    if (log->capacity - (tail - head) < line->len) {
        log->dropped++;
        return;
    }
    uint32_t at = tail & (log->capacity - 1);
    uint32_t first = log->capacity - at < line->len ? log->capacity - at : line->len;
    memcpy(log->ring + at, line->text, first);
    memcpy(log->ring, line->text + first, line->len - first);
    atomic_store_explicit(&log->tail, tail + line->len, memory_order_release);
}

void mx_log_event(struct mx_log *log, enum mx_log_severity severity, const char *event,
                  const char *key, const char *value) {
    struct mx_log_line line;
    mx_log_begin(&line, log, severity, event);
    mx_log_str(&line, key, value);
    mx_log_end(&line);
}

size_t mx_log_drain(struct mx_log *self, int fd) {
    if (self->ring == NULL)
        return 0;
    uint32_t head = atomic_load_explicit(&self->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&self->tail, memory_order_acquire);
    uint32_t len = tail - head;
    uint32_t at = head & (self->capacity - 1);
    uint32_t first = self->capacity - at < len ? self->capacity - at : len;
    size_t done = write_some(fd, self->ring + at, first, 0);
    if (done == first)
        done += write_some(fd, self->ring, len - first, 0);
    atomic_store_explicit(&self->head, head + (uint32_t)done, memory_order_release);
    return done;
}
