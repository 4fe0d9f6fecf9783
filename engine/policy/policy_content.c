/* policy_content.c - content on its way to the sink: the header first, once the hooks have seen it.
 */
#include "engine/policy/policy_impl.h"

#include <assert.h>

static void keep_refusal(struct mx_policy_site *site) {
    struct mx_policy *block = *site->block;
    const struct mx_refusal *refusal = &site->session->shared->refusal;
    size_t len =
        refusal->text.len < sizeof block->refusal ? refusal->text.len : sizeof block->refusal;
    memcpy(block->refusal, refusal->text.ptr, len);
    block->refusal_len = (uint16_t)len;
    block->is_drop = refusal->is_disconnect;
    block->is_refused = true;
}

/* A piece of the message, for hooks that want to see all of it. */
static void gather(struct mx_policy_site *site, const struct mx_span *pieces, uint32_t count) {
    struct mx_policy *block = *site->block;
    uint64_t max = site->chain->text_octets;
    int err = 0;
    for (uint32_t i = 0; i < count && block->text != NULL && err == 0; i++) {
        bool fits = pieces[i].len <= max && block->text->octets <= max - pieces[i].len;
        err = fits ? mx_fulltext_append(block->text, pieces[i]) : MX_ELIMIT;
    }
    if (err == 0)
        return;
    mx_fulltext_release(block->text);
    block->text = NULL;
    block->text_error = err;
}

/* The header goes to the sink: as it is now. */
static void store_header(struct mx_policy_site *site) {
    struct mx_policy *block = *site->block;
    struct mx_span header = {block->header.ptr, block->header.len};
    block->stored_octets = block->header.len;
    block->header.is_changed = false;
    if (site->chain->text_octets == 0)
        return;
    block->text = site->host->texts != NULL ? mx_fulltext_take(site->host->texts) : NULL;
    block->text_error = block->text == NULL ? -ENOMEM : 0;
    gather(site, &header, header.len > 0);
    if (block->text != NULL)
        block->text->header_octets = block->header.len;
}

/* The header is complete: may the message go on? */
static int ask_header(struct mx_policy_site *site) {
    site->session->shared->refusal = (struct mx_refusal){0};
    int err = mx_policy_run(site, MX_HOOK_HEADER, 0, NULL);
    assert(err != MX_EPENDING); /* nobody can wait here: MESSAGE is for that */
    if (err == 0) {
        store_header(site);
        return 0;
    }
    keep_refusal(site);
    return MX_EREFUSED;
}

/* A piece of the body, for those who read it. */
static int ask_content(struct mx_policy_site *site, const struct mx_span *slices, uint32_t count) {
    const struct mx_chain *chain = site->chain;
    gather(site, slices, count);
    if (chain->count[MX_HOOK_CONTENT] == 0 || count == 0)
        return 0;
    int err = mx_policy_run_content(site, slices, count);
    assert(err != MX_EPENDING);
    if (err == 0)
        return 0;
    keep_refusal(site);
    return MX_EREFUSED;
}

/* What of a message too long or too large is said. */
static int give_up(struct mx_policy_site *site, int err) {
    if (err != MX_ELIMIT)
        return err;
    site->session->shared->refusal =
        (struct mx_refusal){.text = MX_SPAN("552 5.3.4 Header size exceeds maximum header size")};
    keep_refusal(site);
    return MX_EREFUSED;
}

int mx_policy_content(struct mx_policy_site *site, const struct mx_span *slices, uint32_t count,
                      struct mx_span *to, uint32_t *to_count) {
    struct mx_policy *block = mx_policy_need(site);
    *to_count = 0;
    if (block == NULL)
        return -ENOMEM;
    mx_policy_begin_if_new(site, MX_HOOK_CONTENT);
    bool was_over = block->header.is_over;
    for (uint32_t i = 0; i < count; i++) {
        struct mx_span rest = slices[i];
        bool is_header = !block->header.is_over;
        int err = is_header ? mx_header_take(&block->header, &rest) : 0;
        if (err < 0)
            return give_up(site, err);
        if (rest.len > 0)
            to[1 + (*to_count)++] = rest;
    }
    if (!block->header.is_over)
        return 0;
    int err = was_over ? 0 : ask_header(site);
    if (err == 0)
        err = ask_content(site, to + 1, *to_count);
    to[0] = was_over ? (struct mx_span){0} : (struct mx_span){block->header.ptr, block->header.len};
    if (was_over)
        memmove(to, to + 1, *to_count * sizeof *to);
    else
        (*to_count)++;
    return err;
}

int mx_policy_end_content(struct mx_policy_site *site, struct mx_span *text) {
    struct mx_policy *block = mx_policy_need(site);
    *text = (struct mx_span){0};
    if (block == NULL)
        return -ENOMEM;
    mx_policy_begin_if_new(site, MX_HOOK_CONTENT);
    if (block->header.is_over || block->is_refused)
        return 0;
    int err = ask_header(site);
    *text = (struct mx_span){block->header.ptr, block->header.len};
    return err;
}
