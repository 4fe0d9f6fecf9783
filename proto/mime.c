#include "proto/mime.h"

enum where {
    IN_BODY,
    IN_BORDER, /* a line that begins with "--" */
    BEHIND,    /* the begin of the line below: a field, or text */
    IN_HEADER, /* of a part */
};

static bool is_white(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mx_span trimmed(struct mx_span text) {
    while (text.len > 0 && is_white(text.ptr[0]))
        text = mx_span_skip(text, 1);
    while (text.len > 0 && is_white(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

enum mx_mime_encoding mx_mime_encoding_of(struct mx_span value) {
    value = trimmed(value);
    for (size_t i = 0; i < value.len; i++) {
        if (is_white(value.ptr[i]) || value.ptr[i] == ';' || value.ptr[i] == '(')
            value.len = i;
    }
    if (mx_span_equal_nocase(value, MX_SPAN("base64")))
        return MX_MIME_BASE64;
    return mx_span_equal_nocase(value, MX_SPAN("quoted-printable")) ? MX_MIME_QUOTED
                                                                    : MX_MIME_AS_IT_IS;
}

/* ---- decoding ---- */

static void put(const struct mx_mime_out *out, struct mx_span piece) {
    if (piece.len > 0)
        out->put(out->context, piece);
}

/* 0..63; -1: not of the alphabet. */
static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* What is no base64 is passed over, as readers do. */
static void put_base64(struct mx_mime *self, struct mx_span text, const struct mx_mime_out *out) {
    char room[256];
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.ptr[i]);
        if (text.ptr[i] == '=')
            self->bit_count = 0;
        if (value < 0)
            continue;
        self->bits = self->bits << 6 | (uint32_t)value;
        self->bit_count = (uint8_t)(self->bit_count + 6);
        if (self->bit_count < 8)
            continue;
        self->bit_count = (uint8_t)(self->bit_count - 8);
        room[len++] = (char)(self->bits >> self->bit_count & 0xff);
        if (len == sizeof room) {
            put(out, (struct mx_span){room, len});
            len = 0;
        }
    }
    put(out, (struct mx_span){room, len});
}

static int hex_value(char c) {
    c = mx_ascii_lower(c);
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An octet behind "=". True: it is done with. */
static bool take_quoted(struct mx_mime *self, char c, const struct mx_mime_out *out) {
    if (c == '\n') { /* the line goes on below; blanks before its end do not count */
        self->quoted_len = 0;
        return true;
    }
    if (self->quoted_len == 1 && is_white(c))
        return true;
    int high = self->quoted_len == 2 ? hex_value(self->quoted[1]) : 0, low = hex_value(c);
    if (low >= 0 && self->quoted_len == 1) {
        self->quoted[1] = c;
        self->quoted_len = 2;
        return true;
    }
    if (low >= 0) {
        char octet = (char)(high << 4 | low);
        put(out, (struct mx_span){&octet, 1});
        self->quoted_len = 0;
        return true;
    }
    put(out, (struct mx_span){self->quoted, self->quoted_len}); /* it was no code */
    self->quoted_len = 0;
    return false;
}

static void put_quoted(struct mx_mime *self, struct mx_span text, const struct mx_mime_out *out) {
    while (text.len > 0) {
        if (self->quoted_len > 0) {
            if (take_quoted(self, text.ptr[0], out))
                text = mx_span_skip(text, 1);
            continue;
        }
        const char *equals = memchr(text.ptr, '=', text.len);
        size_t len = equals != NULL ? (size_t)(equals - text.ptr) : text.len;
        put(out, (struct mx_span){text.ptr, len});
        text = mx_span_skip(text, len);
        if (text.len > 0) {
            self->quoted[0] = '=';
            self->quoted_len = 1;
            text = mx_span_skip(text, 1);
        }
    }
}

static void decode(struct mx_mime *self, struct mx_span text, const struct mx_mime_out *out) {
    switch ((enum mx_mime_encoding)self->encoding) {
    case MX_MIME_AS_IT_IS:
        put(out, text);
        break;
    case MX_MIME_QUOTED:
        put_quoted(self, text, out);
        break;
    case MX_MIME_BASE64:
        put_base64(self, text, out);
        break;
    }
}

static void begin_body(struct mx_mime *self, enum mx_mime_encoding encoding) {
    self->where = IN_BODY;
    self->encoding = (uint8_t)encoding;
    self->quoted_len = self->bit_count = 0;
    self->has_dash = false;
}

/* ---- headers of parts ---- */

static void keep_line(struct mx_mime *self, struct mx_span text) {
    size_t room = MX_MIME_LINE - self->line_len, len = text.len < room ? text.len : room;
    if (len > 0)
        memcpy(self->line + self->line_len, text.ptr, len);
    self->line_len = (uint8_t)(self->line_len + len);
}

/* A whole line of a header. */
static void take_field(struct mx_mime *self) {
    struct mx_span line = {self->line, self->line_len};
    bool is_folded = line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
    if (is_folded) {
        if (self->is_field_open)
            self->next_encoding = (uint8_t)mx_mime_encoding_of(line);
        self->is_field_open = self->is_field_open && trimmed(line).len == 0;
        return;
    }
    self->is_field_open = false;
    const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    if (colon == NULL)
        return;
    size_t len = (size_t)(colon - line.ptr);
    struct mx_span name = trimmed((struct mx_span){line.ptr, len});
    struct mx_span value = trimmed(mx_span_skip(line, len + 1));
    if (mx_span_equal_nocase(name, MX_SPAN("content-transfer-encoding"))) {
        self->next_encoding = (uint8_t)mx_mime_encoding_of(value);
        self->is_field_open = value.len == 0;
    } else if (mx_span_equal_nocase(name, MX_SPAN("content-type"))) {
        static const struct mx_span message = MX_SPAN("message/rfc822");
        struct mx_span begin = {value.ptr, value.len < message.len ? value.len : message.len};
        self->is_message = mx_span_equal_nocase(begin, message);
    }
}

static void begin_header(struct mx_mime *self) {
    self->where = IN_HEADER;
    self->next_encoding = MX_MIME_AS_IT_IS;
    self->is_message = self->is_field_open = false;
}

static void end_header(struct mx_mime *self) {
    if (self->is_message && self->next_encoding == MX_MIME_AS_IT_IS)
        begin_header(self); /* the message's own */
    else
        begin_body(self, (enum mx_mime_encoding)self->next_encoding);
}

/* ---- lines ---- */

static bool is_name_octet(char c) {
    return c > ' ' && c < 0x7f && c != ':';
}

/* Is the line behind a border a field? 1, 0, or -1: more of it is needed. */
static int looks_like_field(const struct mx_mime *self, bool is_whole) {
    if (self->line_len == 1 && self->line[0] == '\r' && !is_whole)
        return -1; /* is it empty? */
    for (uint8_t i = 0; i < self->line_len; i++) {
        if (self->line[i] == ':')
            return i > 0;
        if (!is_name_octet(self->line[i]))
            return 0;
    }
    return is_whole || self->line_len == MX_MIME_LINE ? 0 : -1;
}

/* A part without header has no encoding; but "-- " stands above signatures, too, whose text goes on
 * as it was, and looks the same as quoted-printable or not. */
static void go_on_with_text(struct mx_mime *self) {
    bool is_empty =
        self->line[0] == '\n' || (self->line_len > 1 && memcmp(self->line, "\r\n", 2) == 0);
    bool is_new = is_empty && self->encoding == MX_MIME_BASE64;
    begin_body(self, is_new ? MX_MIME_AS_IT_IS : (enum mx_mime_encoding)self->encoding);
}

/* The begin of a line may be a border. Returns what is left of the piece. */
static struct mx_span look_for_border(struct mx_mime *self, struct mx_span piece,
                                      const struct mx_mime_out *out) {
    if (self->line_octets == 0 && piece.ptr[0] == '-') {
        self->has_dash = true;
        self->line_octets = 1;
        piece = mx_span_skip(piece, 1);
    }
    if (self->has_dash && piece.len > 0) {
        self->has_dash = false;
        if (piece.ptr[0] == '-')
            self->where = IN_BORDER;
        else
            decode(self, MX_SPAN("-"), out);
    }
    return piece;
}

static void take_behind(struct mx_mime *self, struct mx_span piece, bool is_end,
                        const struct mx_mime_out *out) {
    struct mx_span kept = {self->line, self->line_len}; /* nothing of it was put yet */
    keep_line(self, piece);
    int is_field = looks_like_field(self, is_end);
    if (is_field > 0) {
        begin_header(self);
        put(out, kept);
        put(out, piece);
        if (is_end)
            take_field(self);
    } else if (is_field == 0) {
        go_on_with_text(self);
        decode(self, kept, out);
        decode(self, piece, out);
    }
}

/* A line, or a part of one. */
static void take(struct mx_mime *self, struct mx_span piece, bool is_end,
                 const struct mx_mime_out *out) {
    struct mx_span text = piece;
    if (self->where == IN_BODY)
        text = look_for_border(self, piece, out);
    switch ((enum where)self->where) {
    case IN_BODY:
        decode(self, text, out);
        break;
    case IN_BORDER:
        put(out, text);
        if (is_end)
            self->where = BEHIND;
        break;
    case BEHIND:
        take_behind(self, piece, is_end, out);
        break;
    case IN_HEADER:
        keep_line(self, piece);
        put(out, piece);
        if (is_end && trimmed((struct mx_span){self->line, self->line_len}).len == 0)
            end_header(self);
        else if (is_end)
            take_field(self);
        break;
    }
    self->line_octets += text.len;
}

void mx_mime_put(struct mx_mime *self, struct mx_span piece, const struct mx_mime_out *out) {
    while (piece.len > 0) {
        const char *lf = memchr(piece.ptr, '\n', piece.len);
        size_t len = lf != NULL ? (size_t)(lf - piece.ptr) + 1 : piece.len;
        take(self, (struct mx_span){piece.ptr, len}, lf != NULL, out);
        piece = mx_span_skip(piece, len);
        if (lf != NULL) {
            self->line_octets = 0;
            self->line_len = 0;
        }
    }
}
