#include "config/yaml.h"

#include "config/report.h"

#include <assert.h>
#include <errno.h>
#include <yaml.h>

struct level {
    struct mx_yaml_node *node;
    struct mx_yaml_node *last; /* its newest child */
    uint32_t child_count;
};

struct builder {
    yaml_parser_t parser;
    struct mx_arena *arena;
    struct mx_conf_report *report;
    struct mx_yaml_node *root;
    struct level levels[MX_YAML_DEPTH_MAX];
    uint32_t depth;
    uint32_t node_count;
    uint32_t document_count;
    bool is_over; /* what follows is not read */
};

static uint32_t position(size_t zero_based) {
    return zero_based < UINT32_MAX ? (uint32_t)zero_based + 1 : UINT32_MAX;
}

static void refuse(struct builder *self, yaml_mark_t mark, const char *text) {
    mx_report_add(self->report, position(mark.line), position(mark.column), false, "%s", text);
}

static struct mx_yaml_node *add_node(struct builder *self, enum mx_yaml_kind kind,
                                     yaml_mark_t mark) {
    struct mx_yaml_node *node = mx_arena_take(self->arena, sizeof *node);
    if (!node)
        return NULL;
    node->kind = kind;
    node->line = position(mark.line);
    node->column = position(mark.column);
    self->node_count++;
    if (self->depth == 0) {
        self->root = node;
        return node;
    }
    struct level *level = &self->levels[self->depth - 1];
    bool is_key = level->node->kind == MX_YAML_MAP && level->child_count % 2 == 0;
    if (is_key && (kind == MX_YAML_LIST || kind == MX_YAML_MAP))
        refuse(self, mark, "a key must be a single word");
    if (level->last)
        level->last->next = node;
    else
        level->node->child = node;
    level->last = node;
    level->child_count++;
    level->node->count =
        level->node->kind == MX_YAML_MAP ? level->child_count / 2 : level->child_count;
    return node;
}

static void check_properties(struct builder *self, const yaml_char_t *anchor,
                             const yaml_char_t *tag, yaml_mark_t mark) {
    if (anchor)
        refuse(self, mark, "anchors (&) are not supported: write the value out");
    if (tag)
        refuse(self, mark, "tags (!) are not supported");
}

static int open_level(struct builder *self, enum mx_yaml_kind kind, yaml_mark_t mark) {
    if (self->depth == MX_YAML_DEPTH_MAX) {
        mx_report_add(self->report, position(mark.line), position(mark.column), false,
                      "nested deeper than %d levels", MX_YAML_DEPTH_MAX);
        return MX_ECONFIG;
    }
    struct mx_yaml_node *node = add_node(self, kind, mark);
    if (!node)
        return -ENOMEM;
    self->levels[self->depth++] = (struct level){.node = node};
    return 0;
}

static int add_scalar(struct builder *self, const yaml_event_t *event) {
    check_properties(self, event->data.scalar.anchor, event->data.scalar.tag, event->start_mark);
    struct mx_yaml_node *node = add_node(self, MX_YAML_SCALAR, event->start_mark);
    if (!node)
        return -ENOMEM;
    struct mx_span value = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (value.len > 0 && memchr(value.ptr, '\0', value.len)) {
        refuse(self, event->start_mark, "a NUL character is not allowed");
        node->kind = MX_YAML_VOID;
        return 0;
    }
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text.ptr = mx_arena_copy(self->arena, value);
    node->text.len = value.len;
    return node->text.ptr ? 0 : -ENOMEM;
}

static int add_alias(struct builder *self, const yaml_event_t *event) {
    refuse(self, event->start_mark, "aliases (*) are not supported: write the value out");
    return add_node(self, MX_YAML_VOID, event->start_mark) ? 0 : -ENOMEM;
}

static int on_document(struct builder *self, const yaml_event_t *event) {
    if (self->document_count++ == 0)
        return 0;
    refuse(self, event->start_mark, "only one YAML document is allowed in the file");
    self->is_over = true; /* the first one is still to be checked */
    return 0;
}

static int on_event(struct builder *self, const yaml_event_t *event) {
    if (self->node_count >= MX_YAML_NODES_MAX) {
        mx_report_add(self->report, position(event->start_mark.line),
                      position(event->start_mark.column), false, "more than %d keys and values",
                      MX_YAML_NODES_MAX);
        return MX_ECONFIG;
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(self, event);
    case YAML_SCALAR_EVENT:
        return add_scalar(self, event);
    case YAML_ALIAS_EVENT:
        return add_alias(self, event);
    case YAML_SEQUENCE_START_EVENT:
        check_properties(self, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                         event->start_mark);
        return open_level(self, MX_YAML_LIST, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        check_properties(self, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                         event->start_mark);
        return open_level(self, MX_YAML_MAP, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        assert(self->depth > 0);
        self->depth--;
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* The reader gives an offset only, the others a mark. */
static void report_reader_error(struct builder *self, struct mx_span text) {
    uint32_t line = 1, column = 1;
    size_t end = self->parser.problem_offset < text.len ? self->parser.problem_offset : text.len;
    for (size_t i = 0; i < end; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    mx_report_add(self->report, line, column, false, "%s",
                  self->parser.problem ? self->parser.problem : "not UTF-8");
}

/* NUL behind the end. */
static char octet_at(struct mx_span text, yaml_mark_t mark) {
    for (size_t line = 0; line < mark.line; line++) {
        const char *lf = text.len > 0 ? memchr(text.ptr, '\n', text.len) : NULL;
        text = mx_span_skip(text, lf ? (size_t)(lf - text.ptr) + 1 : text.len);
    }
    size_t column = 0, at = 0; /* in characters, in octets */
    while (at < text.len && (column < mark.column || ((unsigned char)text.ptr[at] & 0xc0) == 0x80))
        column += ((unsigned char)text.ptr[at++] & 0xc0) != 0x80;
    return at < text.len ? text.ptr[at] : '\0';
}

static int report_parser_error(struct builder *self, struct mx_span text) {
    const yaml_parser_t *parser = &self->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    if (parser->error == YAML_READER_ERROR) {
        report_reader_error(self, text);
        return MX_ECONFIG;
    }
    /* libyaml says only that it cannot begin anything */
    if (parser->error == YAML_SCANNER_ERROR && octet_at(text, parser->problem_mark) == '\t') {
        mx_report_add(self->report, position(parser->problem_mark.line),
                      position(parser->problem_mark.column), false,
                      "a tab is not allowed here: indent with blanks");
        return MX_ECONFIG;
    }
    mx_report_add(self->report, position(parser->problem_mark.line),
                  position(parser->problem_mark.column), false, "YAML syntax: %s%s%s",
                  parser->problem ? parser->problem : "error", parser->context ? ", " : "",
                  parser->context ? parser->context : "");
    return MX_ECONFIG;
}

/* libyaml compares each %TAG with all before it, so they are refused before it sees them. */
static int refuse_directives(struct builder *self, struct mx_span text) {
    uint32_t line = 1;
    while (text.len > 0) {
        if (text.ptr[0] == '%') {
            mx_report_add(self->report, line, 1, false, "directives (%%) are not supported");
            return MX_ECONFIG;
        }
        const char *end = memchr(text.ptr, '\n', text.len);
        text = mx_span_skip(text, end ? (size_t)(end - text.ptr) + 1 : text.len);
        line++;
    }
    return 0;
}

static int build(struct builder *self, struct mx_span text) {
    int err = refuse_directives(self, text);
    yaml_parser_set_encoding(&self->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&self->parser, (const unsigned char *)text.ptr, text.len);
    while (err == 0 && !self->is_over) {
        yaml_event_t event;
        if (!yaml_parser_parse(&self->parser, &event))
            return report_parser_error(self, text);
        self->is_over = event.type == YAML_STREAM_END_EVENT;
        err = on_event(self, &event);
        yaml_event_delete(&event);
    }
    return err;
}

int mx_yaml_parse(struct mx_arena *arena, struct mx_span text, struct mx_conf_report *report,
                  struct mx_yaml_node **root) {
    static const struct mx_span mark = MX_SPAN("\xef\xbb\xbf");
    struct builder self = {.arena = arena, .report = report};
    *root = NULL;
    if (text.len > MX_YAML_OCTETS_MAX) {
        mx_report_add(report, 1, 1, false, "larger than %d MiB", MX_YAML_OCTETS_MAX >> 20);
        return MX_ECONFIG;
    }
    if (text.len >= mark.len && memcmp(text.ptr, mark.ptr, mark.len) == 0)
        text = mx_span_skip(text, mark.len);
    if (text.len == 0)
        return 0;
    if (!yaml_parser_initialize(&self.parser))
        return -ENOMEM;
    int err = build(&self, text);
    yaml_parser_delete(&self.parser);
    if (err == 0)
        *root = self.root;
    return err;
}
