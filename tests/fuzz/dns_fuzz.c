/* dns_fuzz.c - properties of the reader of DNS answers.
 *
 * The first octet chooses the type; the rest is a message. The name asked for is the one that the
 * message itself has in its question, as far as it is one that can be asked. What is read lies in
 * the room, is of the type's form, and is the same in a room of just its size; one octet less is no
 * room.
 */
#include "proto/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

/* The plain labels behind the head. */
static size_t question_of(const uint8_t *data, size_t size, char name[256]) {
    size_t at = 12, len = 0;
    while (at < size && data[at] != 0 && data[at] < 64 && data[at] < size - at &&
           len + data[at] < 250) {
        memcpy(name + len, data + at + 1, data[at]);
        len += data[at];
        name[len++] = '.';
        at += 1u + data[at];
    }
    return len > 0 ? len - 1 : 0;
}

static void check_record(enum mx_dns_type type, const struct mx_dns_record *record) {
    bool is_name = type == MX_DNS_MX || type == MX_DNS_PTR;
    must(type != MX_DNS_A || record->data.len == 4);
    must(type != MX_DNS_AAAA || record->data.len == 16);
    must(!is_name || record->data.len == 0 || mx_dns_is_name(record->data));
    for (size_t i = 0; is_name && i < record->data.len; i++)
        must(mx_ascii_lower(record->data.ptr[i]) == record->data.ptr[i]);
}

static void check_again(struct mx_span message, struct mx_span name, enum mx_dns_type type,
                        const struct mx_dns_answer *answer) {
    struct mx_dns_answer again;
    size_t len = answer->records.len;
    char *room = malloc(len > 0 ? len : 1);
    must(room != NULL);
    must(mx_dns_parse(message, name, type, room, len, &again) == 0);
    must(again.status == answer->status && again.ttl_s == answer->ttl_s);
    must(mx_span_equal(again.records, answer->records));
    if (len > 0)
        must(mx_dns_parse(message, name, type, room, len - 1, &again) == MX_ENOROOM);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum mx_dns_type types[] = {MX_DNS_A, MX_DNS_AAAA, MX_DNS_MX, MX_DNS_TXT,
                                             MX_DNS_PTR};
    static char room[2 * MX_DNS_MESSAGE_MAX];
    char text[256];
    struct mx_dns_answer answer;
    struct mx_dns_record record;
    size_t cursor = 0, count = 0;
    if (size == 0 || size > MX_DNS_MESSAGE_MAX)
        return 0;
    enum mx_dns_type type = types[data[0] % 5];
    struct mx_span name = {text, question_of(data + 1, size - 1, text)};
    char *copy = malloc(size);
    must(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    struct mx_span message = {copy, size - 1};
    if (mx_dns_is_name(name) &&
        mx_dns_parse(message, name, type, room, sizeof room, &answer) == 0) {
        must(answer.status <= MX_DNS_SERVFAIL && answer.ttl_s <= INT32_MAX);
        must((answer.status == MX_DNS_OK) == (answer.count > 0));
        for (; mx_dns_next(&answer, &cursor, &record); count++)
            check_record(type, &record);
        must(count == answer.count);
        if (answer.status == MX_DNS_OK)
            check_again(message, name, type, &answer);
    }
    free(copy);
    return 0;
}
