/* hook_docs_test.c - docs/HANDLERS.md is what the registry says, and the registry says enough. */
#include "engine/policy/docs.h"
#include "engine/policy/hook.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(hook_docs, handlers_are_up_to_date) {
    const char *source = getenv("MX_SOURCE_DIR");
    char path[4096], *text = NULL, *file = NULL;
    size_t len = 0, file_len = 0;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_eq(mx_hook_print_reference(stream), 0);
    fclose(stream);
    snprintf(path, sizeof path, "%s/docs/HANDLERS.md", source != NULL ? source : ".");
    FILE *written = fopen(path, "r");
    cr_assert_not_null(written, "%s", path);
    ssize_t got = getdelim(&file, &file_len, '\0', written);
    fclose(written);
    cr_assert_eq((size_t)got, len, "run: build/mxring check --handlers > docs/HANDLERS.md");
    cr_expect(memcmp(file, text, len) == 0,
              "run: build/mxring check --handlers > docs/HANDLERS.md");
    free(text);
    free(file);
}

/* A hook that does nothing, or that refuses without saying what. */
Test(hook_docs, registry) {
    for (unsigned i = 0; i < MX_HOOK_KIND_COUNT; i++) {
        const struct mx_hook_class *class = mx_hook_classes[i];
        bool has_point = class->where != NULL;
        for (unsigned p = 0; p < MX_HOOK_POINT_COUNT; p++)
            has_point = has_point || class->points[p] != NULL;
        cr_expect(has_point, "%s", mx_hook_names[i]);
        cr_expect_not_null(class->summary, "%s", mx_hook_names[i]);
        for (int r = 0; r < MX_HOOK_REPLIES_MAX && class->replies[r].text != NULL; r++)
            cr_expect(strchr("45", class->replies[r].text[0]) != NULL, "%s: %s", mx_hook_names[i],
                      class->replies[r].text);
    }
}
