#include "engine/cli/json.h"

#include "proto/utf8.h"

void mx_json_text(FILE *to, struct mx_span text) {
    fputc('"', to);
    while (text.len > 0) {
        unsigned char c = (unsigned char)text.ptr[0];
        size_t len = 1;
        if (c == '"' || c == '\\') {
            fprintf(to, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(to, "\\u%04x", c);
        } else if (c < 0x80) {
            fputc(c, to);
        } else if ((len = mx_utf8_len(text.ptr, text.len)) > 0) {
            fprintf(to, "%.*s", (int)len, text.ptr);
        } else {
            fputs("\\ufffd", to);
            len = 1;
        }
        text = mx_span_skip(text, len);
    }
    fputc('"', to);
}

void mx_json_key(FILE *to, const char *key, bool is_first) {
    fprintf(to, "%s\"%s\":", is_first ? "" : ",", key);
}
