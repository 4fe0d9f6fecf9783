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

/* The header is complete: may the message go on? */
static int ask_header(struct mx_policy_site *site) {
    site->session->shared->refusal = (struct mx_refusal){0};
    int err = mx_policy_run(site, MX_HOOK_HEADER, 0, NULL);
    assert(err != MX_EPENDING); /* nobody can wait here: MESSAGE is for that */
    if (err == 0)
        return 0;
    keep_refusal(site);
    return MX_EREFUSED;
}

/* A piece of the body, for those who read it. */
static int ask_content(struct mx_policy_site *site, const struct mx_span *slices, uint32_t count) {
    const struct mx_chain *chain = site->chain;
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
