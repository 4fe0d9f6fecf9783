/* rspamd.c - what rspamd says of a message: an action, a score, and header fields, as JSON. */
#include "engine/scan/scan_impl.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

enum { SCORE_MAX = 2000000 };

static const struct {
    const char *name;
    enum mx_scan_verdict verdict;
} actions[] = {
    {"no action",       MX_SCAN_CONTINUE       },
    {"greylist",        MX_SCAN_GREYLIST       },
    {"add header",      MX_SCAN_ADD_HEADER     },
    {"rewrite subject", MX_SCAN_REWRITE_SUBJECT},
    {"soft reject",     MX_SCAN_TEMPFAIL       },
    {"reject",          MX_SCAN_REJECT         },
    {"discard",         MX_SCAN_DISCARD        },
};

/* A text of the object, or an empty one. */
static struct mx_span text_of(const json_t *value) {
    return json_is_string(value)
               ? (struct mx_span){json_string_value(value), json_string_length(value)}
               : (struct mx_span){NULL, 0};
}

static int read_action(const json_t *root, struct mx_scan_question *question) {
    struct mx_span action = text_of(json_object_get(root, "action"));
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (mx_span_equal(action, mx_span_of(actions[i].name))) {
            question->verdict = (uint8_t)actions[i].verdict;
            return 0;
        }
    }
    /* what an operator has added, or quarantine: nobody can say what it means here */
    return action.len > 0 ? -EOPNOTSUPP : MX_ESYNTAX;
}

static int read_score(const json_t *root, const char *name, int32_t *score) {
    const json_t *value = json_object_get(root, name);
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(number) || fabs(number) > SCORE_MAX)
        return value == NULL ? 0 : MX_ESYNTAX;
    *score = (int32_t)lround(number * 1000);
    return 0;
}

/* Its words for the client, behind a code of ours. */
static void read_message(const json_t *root, struct mx_scan_question *question) {
    static const char *const codes[] = {
        [MX_SCAN_REJECT] = "554 5.7.1 ", [MX_SCAN_TEMPFAIL] = "451 4.7.1 "};
    struct mx_span words =
        text_of(json_object_get(json_object_get(root, "messages"), "smtp_message"));
    bool is_refusal = question->verdict == MX_SCAN_REJECT || question->verdict == MX_SCAN_TEMPFAIL;
    if (words.len == 0 || !is_refusal)
        return;
    size_t len = strlen(codes[question->verdict]);
    memcpy(question->reply, codes[question->verdict], len);
    for (size_t i = 0; i < words.len && len < sizeof question->reply; i++) {
        char c = words.ptr[i];
        question->reply[len++] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    question->reply_len = (uint32_t)len;
}

/* ---- header fields ---- */

/* "value", or {value, order}. */
static int add_field(struct mx_changes *changes, const char *name, const json_t *value) {
    const json_t *order = json_object_get(value, "order");
    const json_t *text = json_is_object(value) ? json_object_get(value, "value") : value;
    bool has_order = json_is_integer(order) && json_integer_value(order) >= 0 &&
                     json_integer_value(order) <= UINT32_MAX;
    if (!json_is_string(text))
        return MX_ESYNTAX;
    return mx_changes_put(changes, has_order ? MX_CHANGE_INSERT : MX_CHANGE_ADD,
                          has_order ? (uint32_t)json_integer_value(order) : 0, mx_span_of(name),
                          text_of(text));
}

static int add_fields(struct mx_changes *changes, const char *name, json_t *value) {
    json_t *item;
    size_t i;
    int err = 0;
    if (!json_is_array(value))
        return add_field(changes, name, value);
    json_array_foreach(value, i, item) {
        if (err == 0)
            err = add_field(changes, name, item);
    }
    return err;
}

/* A number: which one of that name; 0: all. */
static int remove_field(struct mx_changes *changes, const char *name, const json_t *value) {
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number > UINT32_MAX)
        return MX_ESYNTAX;
    /* from the end, when it is negative: only all of them can be meant by those who say so */
    enum mx_change_kind kind = number > 0 ? MX_CHANGE_REMOVE : MX_CHANGE_REMOVE_ALL;
    return mx_changes_put(changes, kind, number > 0 ? (uint32_t)number : 0, mx_span_of(name),
                          (struct mx_span){0});
}

static int remove_fields(struct mx_changes *changes, const char *name, json_t *value) {
    json_t *item;
    size_t i;
    int err = 0;
    if (!json_is_array(value))
        return remove_field(changes, name, value);
    json_array_foreach(value, i, item) {
        if (err == 0)
            err = remove_field(changes, name, item);
    }
    return err;
}

static int read_milter(json_t *milter, struct mx_changes *changes) {
    json_t *add = json_object_get(milter, "add_headers"), *value;
    json_t *take = json_object_get(milter, "remove_headers");
    const char *name;
    int err = 0;
    json_object_foreach(take, name, value) {
        if (err == 0)
            err = remove_fields(changes, name, value);
    }
    json_object_foreach(add, name, value) {
        if (err == 0)
            err = add_fields(changes, name, value);
    }
    return err;
}

static int read_changes(json_t *root, struct mx_scan_question *question) {
    struct mx_changes *changes = &question->changes;
    json_t *signature = json_object_get(root, "dkim-signature");
    struct mx_span subject = text_of(json_object_get(root, "subject"));
    int err = read_milter(json_object_get(root, "milter"), changes);
    if (err == 0 && question->verdict == MX_SCAN_ADD_HEADER)
        err = mx_changes_put(changes, MX_CHANGE_SET, 0, MX_SPAN("X-Spam"), MX_SPAN("Yes"));
    if (err == 0 && question->verdict == MX_SCAN_REWRITE_SUBJECT && subject.len > 0)
        err = mx_changes_put(changes, MX_CHANGE_SET, 0, MX_SPAN("Subject"), subject);
    if (err == 0 && json_is_string(signature))
        err = mx_changes_put(changes, MX_CHANGE_INSERT, 0, MX_SPAN("DKIM-Signature"),
                             text_of(signature));
    return err;
}

int mx_scan_rspamd_read(struct mx_span json, struct mx_scan_question *question) {
    json_error_t why;
    json_t *root = json_loadb(json.ptr, json.len, 0, &why);
    if (root == NULL)
        return MX_ESYNTAX;
    int err = read_action(root, question);
    if (err == 0)
        err = read_score(root, "score", &question->score);
    if (err == 0)
        err = read_score(root, "required_score", &question->required);
    if (err == 0)
        err = read_changes(root, question);
    if (err == 0)
        read_message(root, question);
    json_decref(root);
    return err;
}
