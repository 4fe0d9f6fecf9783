/* parse.c - from a dialogue file to steps. */
#include "tests/dialogue/dialogue.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void mx_text_put(struct mx_text *self, const char *octets, size_t len) {
    if (self->cap - self->len <= len) {
        self->cap = (self->len + len + 1) * 2;
        self->ptr = realloc(self->ptr, self->cap);
        assert(self->ptr != NULL);
    }
    if (len > 0)
        memcpy(self->ptr + self->len, octets, len);
    self->len += len;
    self->ptr[self->len] = '\0';
}

static void put_string(struct mx_text *self, const char *text) {
    mx_text_put(self, text, strlen(text));
}

/* clang-format off */
static const char *const escapes[256] = {
    ['\r'] = "\\r", ['\n'] = "\\n", ['\t'] = "\\t", ['\0'] = "\\0", ['\\'] = "\\\\",
};
/* clang-format on */

void mx_text_put_escaped(struct mx_text *self, const char *octets, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)octets[i];
        char hex[8];
        if (escapes[c] != NULL) {
            put_string(self, escapes[c]);
        } else if (c < ' ' || c > '~') {
            snprintf(hex, sizeof hex, "\\x%02x", c);
            put_string(self, hex);
        } else {
            mx_text_put(self, octets + i, 1);
        }
    }
}

bool mx_fail(struct mx_failure *failure, uint32_t line, const char *format, ...) {
    if (failure->text.len > 0)
        return false;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    failure->line = line;
    put_string(&failure->text, text);
    return false;
}

/* ---- escapes ---- */

struct reader {
    struct mx_dialogue *dialogue;
    struct mx_failure *failure;
    uint32_t line;
    size_t capacity; /* of dialogue->steps */
};

static bool put_hex(struct reader *self, const char **at, struct mx_text *to) {
    char digits[3] = {(*at)[0], (*at)[0] != '\0' ? (*at)[1] : '\0', '\0'};
    char *end;
    long value = strtol(digits, &end, 16);
    if (digits[1] == '\0' || *end != '\0')
        return mx_fail(self->failure, self->line, "\\x needs two hex digits");
    char octet = (char)value;
    mx_text_put(to, &octet, 1);
    *at += 2;
    return true;
}

static bool put_unescaped(struct reader *self, const char *text, const char *end,
                          struct mx_text *to);

/* COUNT{octets} behind a \* */
static bool put_repeated(struct reader *self, const char **at, struct mx_text *to) {
    char *brace;
    long count = strtol(*at, &brace, 10);
    const char *end = strchr(brace, '}');
    if (count < 1 || count > 10000000 || *brace != '{' || end == NULL)
        return mx_fail(self->failure, self->line, "not \\*COUNT{octets}: %.40s", *at);
    struct mx_text once = {0};
    bool is_good = put_unescaped(self, brace + 1, end, &once);
    for (long i = 0; is_good && i < count; i++)
        mx_text_put(to, once.ptr, once.len);
    free(once.ptr);
    *at = end + 1;
    return is_good;
}

static bool put_unescaped(struct reader *self, const char *text, const char *end,
                          struct mx_text *to) {
    static const char names[] = "rnt0\\", octets[] = "\r\n\t\0\\";
    bool is_good = true;
    for (const char *at = text; is_good && at < end;) {
        if (*at != '\\') {
            mx_text_put(to, at++, 1);
            continue;
        }
        at++;
        const char *name = at < end ? strchr(names, *at) : NULL;
        if (at < end && *at == 'x') {
            at++;
            is_good = put_hex(self, &at, to);
        } else if (at < end && *at == '*') {
            at++;
            is_good = put_repeated(self, &at, to);
        } else if (name != NULL && *name != '\0') {
            mx_text_put(to, octets + (name - names), 1);
            at++;
        } else {
            is_good = mx_fail(self->failure, self->line, "unknown escape: \\%.1s", at);
        }
    }
    return is_good;
}

/* ---- lines ---- */

static struct mx_step *add_step(struct reader *self, enum mx_step_kind kind) {
    struct mx_dialogue *dialogue = self->dialogue;
    if (dialogue->count == self->capacity) {
        self->capacity = self->capacity * 2 + 16;
        dialogue->steps = realloc(dialogue->steps, self->capacity * sizeof *dialogue->steps);
        assert(dialogue->steps != NULL);
    }
    struct mx_step *step = &dialogue->steps[dialogue->count++];
    *step = (struct mx_step){.kind = kind, .line = self->line};
    return step;
}

/* The write that the next C: or R: line belongs to. */
static struct mx_text *current_write(struct reader *self) {
    struct mx_dialogue *dialogue = self->dialogue;
    bool goes_on = dialogue->count > 0 && dialogue->steps[dialogue->count - 1].kind == MX_STEP_SEND;
    return goes_on ? &dialogue->steps[dialogue->count - 1].text
                   : &add_step(self, MX_STEP_SEND)->text;
}

static bool add_pattern(struct reader *self, enum mx_step_kind kind, const char *pattern) {
    struct mx_step *step = add_step(self, kind);
    struct mx_text whole = {0};
    put_string(&whole, "^(");
    put_string(&whole, pattern);
    put_string(&whole, ")$");
    int err = regcomp(&step->regex, whole.ptr, REG_EXTENDED | REG_NOSUB);
    free(whole.ptr);
    if (err != 0) {
        char why[200];
        regerror(err, &step->regex, why, sizeof why);
        self->dialogue->count--; /* there is no regex to free */
        return mx_fail(self->failure, self->line, "bad pattern: %s", why);
    }
    put_string(&step->text, pattern);
    return true;
}

static bool add_wait(struct reader *self, const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 60))
        return mx_fail(self->failure, self->line, "W: needs 0 to 60 seconds");
    add_step(self, MX_STEP_WAIT)->wait_ms = (uint32_t)(seconds * 1000 + 0.5);
    return true;
}

/* "", "NUMBER" or "[keep] [from ADDRESS]" */
static bool add_connect(struct reader *self, const char *text) {
    struct mx_step *step = add_step(self, MX_STEP_CONNECT);
    char *end;
    long number = strtol(text, &end, 10);
    if (end != text && *end == '\0' && number >= 1 && number <= MX_LINKS_MAX) {
        step->number = (uint32_t)number;
        return true;
    }
    if (strncmp(text, "keep", 4) == 0) {
        step->keeps_current = true;
        text += strspn(text + 4, " ") + 4;
    }
    if (strncmp(text, "from ", 5) == 0) {
        put_string(&step->text, text + 5);
        return true;
    }
    return *text == '\0' || mx_fail(self->failure, self->line,
                                    "N: takes nothing, a number, or [keep] [from ADDRESS]");
}

static bool add_line(struct reader *self, char kind, const char *text) {
    struct mx_text *octets;
    switch (kind) {
    case 'C':
        octets = current_write(self);
        put_string(octets, text);
        put_string(octets, "\r\n");
        return true;
    case 'R':
        return put_unescaped(self, text, text + strlen(text), current_write(self));
    case 'S':
        return add_pattern(self, MX_STEP_REPLY, text);
    case 'M':
        return add_pattern(self, MX_STEP_STORED, text);
    case 'E':
        add_step(self, MX_STEP_CLOSED);
        return *text == '\0' || mx_fail(self->failure, self->line, "E: takes nothing");
    case 'W':
        return add_wait(self, text);
    case 'N':
        return add_connect(self, text);
    case 'T':
        add_step(self, MX_STEP_TLS);
        return *text == '\0' || mx_fail(self->failure, self->line, "T: takes nothing");
    default:
        return mx_fail(self->failure, self->line, "unknown line: %c:", kind);
    }
}

/* ---- the header comments ---- */

static bool set_config(struct reader *self, const char *name) {
    const char *path = self->dialogue->path, *slash = strrchr(path, '/');
    int folder_len = slash != NULL ? (int)(slash - path) + 1 : 0;
    int len = snprintf(self->dialogue->config, sizeof self->dialogue->config, "%.*sconfig/%s",
                       folder_len, path, name);
    return (size_t)len < sizeof self->dialogue->config ||
           mx_fail(self->failure, self->line, "the path of the configuration is too long");
}

static bool set_mode(struct reader *self, const char *value) {
    self->dialogue->is_lmtp = strcmp(value, "lmtp") == 0;
    return self->dialogue->is_lmtp || strcmp(value, "smtp") == 0 ||
           mx_fail(self->failure, self->line, "mode is smtp or lmtp");
}

static bool is_word(const char *text, const char *word) {
    size_t len = strlen(word);
    return strncmp(text, word, len) == 0 && (text[len] == ' ' || text[len] == '\0');
}

static bool set_only(struct reader *self, const char *value) {
    if (is_word(value, "socket"))
        self->dialogue->only = MX_ONLY_SOCKET;
    else if (is_word(value, "in-process"))
        self->dialogue->only = MX_ONLY_IN_PROCESS;
    else
        return mx_fail(self->failure, self->line, "only is socket or in-process, and why");
    return strchr(value, ' ') != NULL ||
           mx_fail(self->failure, self->line, "say why behind only: %s", value);
}

static bool set_stored(struct reader *self, const char *value) {
    char *end;
    long count = strtol(value, &end, 10);
    self->dialogue->stored_count = (int)count;
    return (end != value && *end == '\0' && count >= 0 && count <= 1000) ||
           mx_fail(self->failure, self->line, "stored is a number of messages");
}

static bool read_comment(struct reader *self, const char *text) {
    static const struct {
        const char *key;
        bool (*set)(struct reader *self, const char *value);
    } keys[] = {
        {"mode:",   set_mode  },
        {"config:", set_config},
        {"only:",   set_only  },
        {"stored:", set_stored},
    };
    text += strspn(text, " ");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t len = strlen(keys[i].key);
        if (strncmp(text, keys[i].key, len) == 0)
            return keys[i].set(self, text + len + strspn(text + len, " "));
    }
    return true;
}

static bool read_line(struct reader *self, char *line) {
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0')
        return true;
    if (line[0] == '#') /* only those above the first step set something */
        return self->dialogue->count > 0 || read_comment(self, line + 1);
    if (line[1] != ':')
        return mx_fail(self->failure, self->line, "neither \"X: ...\" nor a comment: %.60s", line);
    return add_line(self, line[0], line + (line[2] == ' ' ? 3 : 2));
}

bool mx_dialogue_read(const char *path, struct mx_dialogue *dialogue, struct mx_failure *failure) {
    *dialogue = (struct mx_dialogue){.path = path, .stored_count = -1};
    struct reader reader = {.dialogue = dialogue, .failure = failure};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return mx_fail(failure, 0, "%s", strerror(errno));
    char *line = NULL;
    size_t capacity = 0;
    bool is_good = true;
    while (is_good && getline(&line, &capacity, file) >= 0) {
        reader.line++;
        is_good = read_line(&reader, line);
    }
    if (is_good && ferror(file))
        is_good = mx_fail(failure, 0, "%s", strerror(errno));
    if (is_good && dialogue->count == 0)
        is_good = mx_fail(failure, 0, "there is nothing in it");
    free(line);
    fclose(file);
    return is_good;
}

void mx_dialogue_free(struct mx_dialogue *dialogue) {
    for (size_t i = 0; i < dialogue->count; i++) {
        struct mx_step *step = &dialogue->steps[i];
        free(step->text.ptr);
        if (step->kind == MX_STEP_REPLY || step->kind == MX_STEP_STORED)
            regfree(&step->regex);
    }
    free(dialogue->steps);
    dialogue->steps = NULL;
    dialogue->count = 0;
}

#define BASE_HEAD                                                                                  \
    "domains: [example.com, localhost]\n"                                                          \
    "defaultDomain: example.com\n"                                                                 \
    "spool: {durability: none}\n"
#define BASE_SERVER                                                                                \
    "  - bind: 127.0.0.1:0\n"                                                                      \
    "    helloName: mx.test\n"                                                                     \
    "    maxMessageSize: 0\n"                                                                      \
    "    handlerchain: []\n"

const char *mx_dialogue_base(bool is_lmtp) {
    return is_lmtp ? BASE_HEAD "lmtpservers:\n" BASE_SERVER
                   : BASE_HEAD "smtpservers:\n" BASE_SERVER "    verifyIdentity: disabled\n";
}
