#include "proto/err.h"

#include <stddef.h>

const char *mx_err_text(int err) {
#define MX_ERR_TEXT(name, number, text) {name, text},
    static const struct {
        int err;
        const char *text;
    } rows[] = {MX_ERR_LIST(MX_ERR_TEXT)};
#undef MX_ERR_TEXT
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].err == err)
            return rows[i].text;
    }
    return NULL;
}
