#include "proto/milter.h"

/* ---- writing ---- */

static char *put_u32(char *to, uint32_t number) {
    to[0] = (char)(number >> 24);
    to[1] = (char)(number >> 16);
    to[2] = (char)(number >> 8);
    to[3] = (char)number;
    return to + 4;
}

void mx_milter_put_head(char to[MX_MILTER_HEAD], enum mx_milter_command command, uint32_t octets) {
    *put_u32(to, octets + 1) = (char)command;
}

/* Room for a packet with so many octets behind the command; NULL: there is none. */
static char *begin(struct mx_milter_out *self, enum mx_milter_command command, uint64_t octets) {
    if (self->is_full || MX_MILTER_HEAD + octets > self->cap - self->len) {
        self->is_full = true;
        return NULL;
    }
    char *to = self->ptr + self->len;
    mx_milter_put_head(to, command, (uint32_t)octets);
    self->len += MX_MILTER_HEAD + (uint32_t)octets;
    return to + MX_MILTER_HEAD;
}

static size_t text_len(struct mx_span text) {
    const char *end = text.len > 0 ? memchr(text.ptr, 0, text.len) : NULL;
    return end != NULL ? (size_t)(end - text.ptr) : text.len;
}

static char *put_text(char *to, struct mx_span text) {
    size_t len = text_len(text);
    if (len > 0)
        memcpy(to, text.ptr, len);
    to[len] = '\0';
    return to + len + 1;
}

void mx_milter_put(struct mx_milter_out *self, enum mx_milter_command command) {
    (void)begin(self, command, 0);
}

void mx_milter_put_texts(struct mx_milter_out *self, enum mx_milter_command command,
                         const struct mx_span *texts, size_t count) {
    uint64_t octets = 0;
    for (size_t i = 0; i < count; i++)
        octets += text_len(texts[i]) + 1;
    char *to = begin(self, command, octets);
    for (size_t i = 0; i < count && to != NULL; i++)
        to = put_text(to, texts[i]);
}

void mx_milter_put_octets(struct mx_milter_out *self, enum mx_milter_command command,
                          struct mx_span octets) {
    char *to = begin(self, command, octets.len);
    if (to != NULL && octets.len > 0)
        memcpy(to, octets.ptr, octets.len);
}

void mx_milter_put_options(struct mx_milter_out *self, const struct mx_milter_options *options) {
    char *to = begin(self, MX_MILTER_NEGOTIATE, 12);
    if (to != NULL)
        put_u32(put_u32(put_u32(to, options->version), options->actions), options->protocol);
}

void mx_milter_put_connect(struct mx_milter_out *self, struct mx_span host, const struct mx_ip *ip,
                           uint16_t port) {
    char text[MX_IP_TEXT_MAX];
    struct mx_span address = {text, ip->family != 0 ? mx_ip_text(ip, text) : 0};
    bool is_known = ip->family != 0;
    uint64_t octets = text_len(host) + 2 + (is_known ? 2 + address.len + 1 : 0);
    char *to = begin(self, MX_MILTER_CONNECT, octets);
    if (to == NULL)
        return;
    to = put_text(to, host);
    *to++ = is_known ? (ip->family == 4 ? '4' : '6') : 'U';
    if (!is_known)
        return;
    *to++ = (char)(port >> 8);
    *to++ = (char)port;
    put_text(to, address);
}

void mx_milter_put_macros(struct mx_milter_out *self, enum mx_milter_command command,
                          const struct mx_milter_macro *macros, size_t count) {
    uint64_t octets = 1;
    for (size_t i = 0; i < count; i++) {
        if (macros[i].value.len > 0)
            octets += strlen(macros[i].name) + 1 + text_len(macros[i].value) + 1;
    }
    char *to = begin(self, MX_MILTER_MACROS, octets);
    if (to == NULL)
        return;
    *to++ = (char)command;
    for (size_t i = 0; i < count; i++) {
        if (macros[i].value.len > 0)
            to = put_text(put_text(to, mx_span_of(macros[i].name)), macros[i].value);
    }
}

/* ---- who wants what ---- */

static const struct {
    enum mx_milter_command command;
    uint32_t no, quiet;
} wishes[] = {
    {MX_MILTER_CONNECT,       MX_MILTER_NO_CONNECT,       MX_MILTER_QUIET_CONNECT      },
    {MX_MILTER_HELO,          MX_MILTER_NO_HELO,          MX_MILTER_QUIET_HELO         },
    {MX_MILTER_MAIL,          MX_MILTER_NO_MAIL,          MX_MILTER_QUIET_MAIL         },
    {MX_MILTER_RCPT,          MX_MILTER_NO_RCPT,          MX_MILTER_QUIET_RCPT         },
    {MX_MILTER_DATA,          MX_MILTER_NO_DATA,          MX_MILTER_QUIET_DATA         },
    {MX_MILTER_HEADER,        MX_MILTER_NO_HEADERS,       MX_MILTER_QUIET_HEADERS      },
    {MX_MILTER_END_OF_HEADER, MX_MILTER_NO_END_OF_HEADER, MX_MILTER_QUIET_END_OF_HEADER},
    {MX_MILTER_BODY,          MX_MILTER_NO_BODY,          MX_MILTER_QUIET_BODY         },
};

enum { WISHES = sizeof wishes / sizeof *wishes };

bool mx_milter_is_wanted(uint32_t protocol, enum mx_milter_command command) {
    for (size_t i = 0; i < WISHES; i++) {
        if (wishes[i].command == command)
            return (protocol & wishes[i].no) == 0;
    }
    return true;
}

bool mx_milter_is_answered(uint32_t protocol, enum mx_milter_command command) {
    for (size_t i = 0; i < WISHES; i++) {
        if (wishes[i].command == command)
            return (protocol & wishes[i].quiet) == 0;
    }
    return command == MX_MILTER_NEGOTIATE || command == MX_MILTER_END_OF_MESSAGE;
}

/* ---- reading ---- */

static uint32_t read_u32(const char *from) {
    const uint8_t *octets = (const uint8_t *)from;
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 |
           octets[3];
}

int mx_milter_take(struct mx_span *in, struct mx_milter_packet *packet) {
    if (in->len < 4)
        return MX_EPARTIAL;
    uint32_t len = read_u32(in->ptr);
    if (len == 0 || len > MX_MILTER_PACKET_MAX)
        return MX_ESYNTAX;
    if (in->len - 4 < len)
        return MX_EPARTIAL;
    packet->command = in->ptr[4];
    packet->data = (struct mx_span){in->ptr + MX_MILTER_HEAD, len - 1};
    *in = mx_span_skip(*in, 4 + (size_t)len);
    return 0;
}

/* A text with its NUL off the front. */
static bool take_text(struct mx_span *data, struct mx_span *text) {
    const char *end = data->len > 0 ? memchr(data->ptr, 0, data->len) : NULL;
    if (end == NULL)
        return false;
    *text = (struct mx_span){data->ptr, (size_t)(end - data->ptr)};
    *data = mx_span_skip(*data, text->len + 1);
    return true;
}

int mx_milter_read_options(const struct mx_milter_packet *packet,
                           struct mx_milter_options *options) {
    if (packet->command != MX_MILTER_NEGOTIATE || packet->data.len < 12)
        return MX_ESYNTAX;
    *options = (struct mx_milter_options){
        .version = read_u32(packet->data.ptr),
        .actions = read_u32(packet->data.ptr + 4),
        .protocol = read_u32(packet->data.ptr + 8),
    };
    bool is_spoken =
        options->version >= MX_MILTER_VERSION_MIN && options->version <= MX_MILTER_VERSION;
    return is_spoken ? 0 : MX_ESYNTAX;
}

static const struct {
    char command;
    enum mx_milter_reply_kind kind;
} plain_replies[] = {
    {'c', MX_MILTER_REPLY_CONTINUE  },
    {'a', MX_MILTER_REPLY_ACCEPT    },
    {'r', MX_MILTER_REPLY_REJECT    },
    {'t', MX_MILTER_REPLY_TEMPFAIL  },
    {'d', MX_MILTER_REPLY_DISCARD   },
    {'s', MX_MILTER_REPLY_SKIP      },
    {'p', MX_MILTER_REPLY_PROGRESS  },
    {'4', MX_MILTER_REPLY_SHUTDOWN  },
    {'f', MX_MILTER_REPLY_TEMPFAIL  }, /* the connection to be refused, as older filters say it */
    {'e', MX_MILTER_REPLY_UNOFFERED }, /* another sender */
    {'+', MX_MILTER_REPLY_UNOFFERED }, /* one more recipient */
    {'2', MX_MILTER_REPLY_UNOFFERED },
    {'-', MX_MILTER_REPLY_UNOFFERED },
    {'b', MX_MILTER_REPLY_UNOFFERED }, /* another body */
    {'q', MX_MILTER_REPLY_QUARANTINE},
};

static int read_field(struct mx_span data, bool has_index, struct mx_milter_reply *reply) {
    if (has_index) {
        if (data.len < 4)
            return MX_ESYNTAX;
        reply->index = read_u32(data.ptr);
        data = mx_span_skip(data, 4);
    }
    bool is_sound = take_text(&data, &reply->name) && take_text(&data, &reply->value);
    return is_sound && data.len == 0 && reply->name.len > 0 ? 0 : MX_ESYNTAX;
}

int mx_milter_read_reply(const struct mx_milter_packet *packet, struct mx_milter_reply *reply) {
    struct mx_span data = packet->data;
    *reply = (struct mx_milter_reply){.index = 0};
    switch (packet->command) {
    case 'y':
        reply->kind = MX_MILTER_REPLY_TEXT;
        return take_text(&data, &reply->text) && data.len == 0 ? 0 : MX_ESYNTAX;
    case 'h':
        reply->kind = MX_MILTER_REPLY_ADD;
        return read_field(data, false, reply);
    case 'i':
        reply->kind = MX_MILTER_REPLY_INSERT;
        return read_field(data, true, reply);
    case 'm':
        reply->kind = MX_MILTER_REPLY_CHANGE;
        return read_field(data, true, reply);
    default:
        break;
    }
    for (size_t i = 0; i < sizeof plain_replies / sizeof *plain_replies; i++) {
        if (plain_replies[i].command == packet->command) {
            reply->kind = plain_replies[i].kind;
            return 0;
        }
    }
    return MX_ESYNTAX;
}

/* ---- a reply's text ---- */

static bool is_code(struct mx_span line) {
    if (line.len < 3 || (line.ptr[0] != '4' && line.ptr[0] != '5'))
        return false;
    for (size_t i = 1; i < 3; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return false;
    }
    return line.len == 3 || line.ptr[3] == ' ' || line.ptr[3] == '-';
}

static struct mx_span take_line(struct mx_span *text) {
    const char *lf = memchr(text->ptr, '\n', text->len);
    size_t len = lf != NULL ? (size_t)(lf - text->ptr) : text->len;
    struct mx_span line = {text->ptr, len};
    *text = mx_span_skip(*text, lf != NULL ? len + 1 : len);
    while (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Behind the code and the enhanced one that the first line has, too. */
static struct mx_span words_of(struct mx_span line, struct mx_span status) {
    line = mx_span_skip(line, line.len > 4 ? 4 : line.len);
    if (status.len > 0 && line.len > status.len &&
        mx_span_equal((struct mx_span){line.ptr, status.len}, status) &&
        line.ptr[status.len] == ' ')
        line = mx_span_skip(line, status.len + 1);
    return line;
}

static size_t put_words(char *to, size_t len, size_t cap, struct mx_span words) {
    for (size_t i = 0; i < words.len && len < cap; i++) {
        if (words.ptr[i] == '%' && i + 1 < words.len && words.ptr[i + 1] == '%')
            i++;
        char c = words.ptr[i];
        to[len++] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    return len;
}

size_t mx_milter_reply_line(struct mx_span text, char *line, size_t cap) {
    struct mx_span status = {NULL, 0};
    size_t len = 0;
    if (cap < 4 || text.len == 0)
        return 0;
    while (text.len > 0) {
        struct mx_span row = take_line(&text);
        if (!is_code(row) || (len > 0 && memcmp(row.ptr, line, 3) != 0))
            return 0;
        struct mx_span words = words_of(row, status);
        if (len == 0) {
            memcpy(line, row.ptr, 3);
            const char *blank = words.len > 0 ? memchr(words.ptr, ' ', words.len) : NULL;
            if (blank != NULL && words.ptr[0] == row.ptr[0] && words.ptr[1] == '.')
                status = (struct mx_span){words.ptr, (size_t)(blank - words.ptr)};
            len = 3;
        }
        if (words.len > 0 && len < cap)
            line[len++] = ' ';
        len = put_words(line, len, cap, words);
    }
    return len;
}
