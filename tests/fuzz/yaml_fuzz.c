/* Property: no text crashes or leaks; a valid configuration dumps to a text that is read again
 * without problems and dumps the same. */
#include "config/conf.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *dump(const struct mx_conf *conf, size_t *len) {
    char *text = NULL;
    FILE *stream = open_memstream(&text, len);
    assert(stream);
    int err = mx_conf_dump(conf, stream);
    assert(err == 0);
    fclose(stream);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf = NULL, *again = NULL;
    size_t len = 0, again_len = 0;
    int err = mx_conf_parse((const char *)data, size, true, &conf, &report);
    assert((err == 0) == (conf != NULL));
    assert((err == MX_ECONFIG) == (report.error_count > 0));
    mx_conf_report_free(&report);
    if (err < 0)
        return 0;
    char *text = dump(conf, &len);
    err = mx_conf_parse(text, len, false, &again, &report);
    assert(err == 0);
    char *again_text = dump(again, &again_len);
    assert(len == again_len && memcmp(text, again_text, len) == 0);
    free(text);
    free(again_text);
    mx_conf_report_free(&report);
    mx_conf_free(conf);
    mx_conf_free(again);
    return 0;
}
