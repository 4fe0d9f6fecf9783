/* runner.c - plays dialogue files, the protocol's tests.
 *
 *     dialogue_runner --in-process FILE...     proto/ in this process, simulated clock
 *     dialogue_runner --socket MXRING FILE...  the program MXRING over loopback sockets
 *
 * Exit status: 0 all passed, 1 not all, 2 wrong use.
 *
 * A file is a header of comments and then steps, one a line; blank lines are ignored.
 *   # mode: smtp | lmtp      default smtp
 *   # config: FILE           in config/ beside the file; default: helloName mx.test, domains
 *                            example.com (default) and localhost, maxMessageSize 0, the rest as
 *                            the server's defaults
 *   # only: socket WHY       not played in-process; likewise "in-process"
 *   # stored: N              in-process: messages stored at the end
 *   # anything else, and every # behind the first step: a comment
 *
 *   C: text      sent with CRLF
 *   R: octets    sent as they are: \r \n \t \0 \\ \xHH, and \*COUNT{octets} for repetition
 *                C: and R: lines that follow one another go out in one write (pipelined)
 *   S: regex     POSIX extended; the next reply line, all of it. A reply of several lines needs as
 *                many S: lines. The greeting may be left out.
 *   E:           the server closes now, and says nothing more before
 *   W: seconds   wait; in-process the clock moves instead
 *   N:           the client disconnects and connects again. N: keep leaves the old connection
 *                open; N: from ADDRESS connects from there; N: NUMBER goes back to that connection
 *                (the first of the file is 1).
 *   M: regex     a line of the message stored last, in-process; over sockets ignored. M: lines that
 *                follow one another are the whole message. Lines end at CRLF; other octets look as
 *                in R:, a last line without CRLF ends in \c.
 *
 * A reply nobody asked for, a missing one, a close that no E: announces are failures. Of every
 * reply line it is checked that it ends in CRLF, has at most 512 octets and no control octet. In
 * process a file is played with its input whole, octet by octet, and in seeded random pieces; all
 * must get the same replies and store the same messages. */
#include "tests/dialogue/dialogue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANDOM_CUTS = 4 };

static void report(const char *path, const struct mx_failure *failure, const char *how) {
    printf("FAIL %s\n     %s:%u: [%s] %s\n", path, path, failure->line, how,
           failure->text.len > 0 ? failure->text.ptr : "?");
}

static bool play_in_process(const struct mx_dialogue *dialogue, struct mx_driver *driver,
                            struct mx_failure *failure, char how[64]) {
    struct mx_text first = {0};
    bool is_good = true;
    for (uint32_t cut = 0; is_good && cut < 2 + RANDOM_CUTS; cut++) {
        static const char *const names[] = {"whole", "octet by octet", "random cuts"};
        snprintf(how, 64, "in-process, %s %u", names[cut < 2 ? cut : 2], cut);
        struct mx_text transcript = {0};
        mx_inprocess_cut(driver, cut);
        is_good = mx_dialogue_play(dialogue, driver, &transcript, failure);
        if (cut == 0) {
            first = transcript;
            continue;
        }
        if (is_good && (transcript.len != first.len ||
                        (first.len > 0 && memcmp(transcript.ptr, first.ptr, first.len) != 0)))
            is_good =
                mx_fail(failure, 0, "other replies or messages than with the input whole:\n%s",
                        transcript.ptr);
        free(transcript.ptr);
    }
    free(first.ptr);
    return is_good;
}

static bool play_socket(const struct mx_dialogue *dialogue, struct mx_driver *driver,
                        struct mx_failure *failure) {
    struct mx_text transcript = {0};
    bool is_good = mx_dialogue_play(dialogue, driver, &transcript, failure);
    free(transcript.ptr);
    return is_good;
}

/* ---- all files ---- */

struct item {
    struct mx_dialogue dialogue;
    struct mx_failure failure;
    bool is_readable;
};

/* One server serves all files of its configuration. */
static int by_config(const void *a, const void *b) {
    const struct mx_dialogue *left = &((const struct item *)a)->dialogue;
    const struct mx_dialogue *right = &((const struct item *)b)->dialogue;
    if (left->is_lmtp != right->is_lmtp)
        return left->is_lmtp - right->is_lmtp;
    int order = strcmp(left->config, right->config);
    return order != 0 ? order : strcmp(left->path, right->path);
}

struct totals {
    unsigned passed, failed;
};

static void play(struct item *item, struct mx_driver *driver, bool is_socket,
                 struct totals *totals) {
    const char *path = item->dialogue.path;
    char how[64] = "socket";
    enum mx_only excluded = is_socket ? MX_ONLY_IN_PROCESS : MX_ONLY_SOCKET;
    if (item->is_readable && item->dialogue.only == excluded) {
        printf("skip %s (only %s)\n", path, is_socket ? "in-process" : "socket");
        return;
    }
    bool is_good = item->is_readable;
    if (is_good)
        is_good = is_socket ? play_socket(&item->dialogue, driver, &item->failure)
                            : play_in_process(&item->dialogue, driver, &item->failure, how);
    if (is_good)
        printf("ok   %s\n", path);
    else
        report(path, &item->failure, item->is_readable ? how : "format");
    struct mx_failure failure = {0};
    /* the next file gets a new server; how this one ends may say why the file failed */
    if (!is_good && is_socket && !mx_socket_stop(driver, &failure))
        printf("     %s\n", failure.text.ptr);
    free(failure.text.ptr);
    totals->passed += is_good;
    totals->failed += !is_good;
    fflush(stdout);
}

static int usage(void) {
    fputs("usage: dialogue_runner --in-process FILE...\n"
          "       dialogue_runner --socket MXRING FILE...\n",
          stderr);
    return 2;
}

int main(int argc, char **argv) {
    bool is_socket = argc > 2 && strcmp(argv[1], "--socket") == 0;
    if (!is_socket && (argc < 3 || strcmp(argv[1], "--in-process") != 0))
        return usage();
    char **files = argv + (is_socket ? 3 : 2);
    size_t count = (size_t)(argv + argc - files);
    if (count == 0)
        return usage();
    struct mx_driver *driver = is_socket ? mx_socket_new(argv[2]) : mx_inprocess_new();
    struct item *items = calloc(count, sizeof *items);
    assert(items != NULL);
    for (size_t i = 0; i < count; i++)
        items[i].is_readable = mx_dialogue_read(files[i], &items[i].dialogue, &items[i].failure);
    if (is_socket)
        qsort(items, count, sizeof *items, by_config);
    struct totals totals = {0};
    for (size_t i = 0; i < count; i++) {
        play(&items[i], driver, is_socket, &totals);
        mx_dialogue_free(&items[i].dialogue);
        free(items[i].failure.text.ptr);
    }
    struct mx_failure failure = {0};
    if (is_socket && !mx_socket_stop(driver, &failure)) {
        report("(the server)", &failure, "stop");
        totals.failed++;
    }
    free(failure.text.ptr);
    if (is_socket)
        mx_socket_free(driver);
    else
        mx_inprocess_free(driver);
    free(items);
    printf("%u passed, %u failed\n", totals.passed, totals.failed);
    return totals.failed > 0 || totals.passed == 0 ? 1 : 0;
}
