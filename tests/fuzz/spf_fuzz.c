/* spf_fuzz.c - properties of the SPF machine.
 *
 * The input is lines: the sender, the HELO name, then records and answers as they are asked for,
 * the first octet of a line deciding which status an answer has. It ends after a bounded number of
 * questions, each of them a name that can be asked; an explanation is printable; the terms and
 * voids it counts are within RFC 7208's limits; and the same input has the same result.
 */
#include "proto/spf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static struct mx_span next_line(struct mx_span *in) {
    const char *lf = in->len > 0 ? memchr(in->ptr, '\n', in->len) : NULL;
    size_t len = lf != NULL ? (size_t)(lf - in->ptr) : in->len;
    struct mx_span line = {in->ptr, len};
    *in = mx_span_skip(*in, lf != NULL ? len + 1 : len);
    return line;
}

/* "!": an error, "-": no such name, else one record, or several with "|" between them. */
static struct mx_dns_answer answer_of(struct mx_span line, enum mx_dns_type type, char *room,
                                      size_t cap) {
    struct mx_dns_answer answer = {.status = MX_DNS_OK};
    size_t len = 0;
    if (line.len > 0 && line.ptr[0] == '!')
        return (struct mx_dns_answer){.status = MX_DNS_SERVFAIL};
    if (line.len > 0 && line.ptr[0] == '-')
        return (struct mx_dns_answer){.status = MX_DNS_NXDOMAIN};
    for (;;) {
        const char *bar = line.len > 0 ? memchr(line.ptr, '|', line.len) : NULL;
        struct mx_dns_record record = {.data = line};
        struct mx_ip ip = {.family = 4};
        if (bar != NULL)
            record.data.len = (size_t)(bar - line.ptr);
        line = mx_span_skip(line, bar != NULL ? record.data.len + 1 : line.len);
        if (type == MX_DNS_A || type == MX_DNS_AAAA) {
            must(mx_ip_parse(record.data, &ip) || ip.family == 4);
            record.data = (struct mx_span){(const char *)ip.bytes, type == MX_DNS_A ? 4 : 16};
        }
        bool is_name = type == MX_DNS_MX || type == MX_DNS_PTR;
        bool is_left_out = is_name && record.data.len > 0 && !mx_dns_is_name(record.data);
        if (!is_left_out) {
            must(mx_dns_pack(room, cap, &len, &record) == 0);
            answer.count++;
        }
        if (bar == NULL)
            break;
    }
    answer.records = (struct mx_span){room, len};
    answer.status = answer.count > 0 ? MX_DNS_OK : MX_DNS_NODATA;
    return answer;
}

static void run(struct mx_spf *spf, struct mx_span in) {
    enum { QUESTIONS_MAX = 1 + 10 + 100 + 1 + 10 + 1 };
    static char room[1 << 18];
    struct mx_spf_client client = {
        .ip = {.family = 4, .bytes = {1, 2, 3, 4}},
        .receiver = MX_SPAN("mx.test"),
        .now_s = 1700000000
    };
    client.sender = next_line(&in);
    client.helo = next_line(&in);
    if (client.sender.len > 0 && client.sender.ptr[0] == '6')
        client.ip.family = 6;
    enum mx_spf_step step = mx_spf_begin(spf, &client);
    for (unsigned asked = 0; step == MX_SPF_ASK; asked++) {
        must(asked < QUESTIONS_MAX);
        must(mx_dns_is_name((struct mx_span){spf->ask_name, spf->ask_len}));
        struct mx_dns_answer answer = answer_of(next_line(&in), spf->ask_type, room, sizeof room);
        step = mx_spf_answer(spf, &answer);
    }
    must(spf->result < MX_SPF_RESULT_COUNT);
    must(spf->term_count <= MX_SPF_TERMS_MAX + 1 && spf->void_count <= MX_SPF_VOIDS_MAX + 1);
    must(spf->explanation_len == 0 || spf->result == MX_SPF_FAIL);
    for (size_t i = 0; i < spf->explanation_len; i++)
        must(spf->explanation[i] >= 0x20 && spf->explanation[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct mx_spf first, second;
    if (size > 60000)
        return 0;
    char *copy = malloc(size > 0 ? size : 1);
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    run(&first, (struct mx_span){copy, size});
    run(&second, (struct mx_span){copy, size});
    must(first.result == second.result && first.explanation_len == second.explanation_len);
    free(copy);
    return 0;
}
