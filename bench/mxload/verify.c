#include "bench/mxload/verify.h"

#include "bench/mxload/mbox.h"
#include "bench/mxload/proof.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LLU(value) ((unsigned long long)(value))

enum { EXIT_BAD = 1, EXIT_TROUBLE = 2, FAULTS_PRINTED = 20, DEPTH_MAX = 16, LINE_OCTETS = 1024 };

static const char usage[] =
    "usage: mxload --verify LEDGER [option]... PATH...\n"
    "\n"
    "Compares what a server has stored with the ledger of a run (mxload --ledger). PATH is a file\n"
    "with one message, an mbox, a folder of such files at any depth (as a Maildir; folders named\n"
    "tmp are left out), or - for an mbox on the standard input.\n"
    "\n"
    "  --copies N[-M]      an accepted message is to be there so often (default 1)\n"
    "  --bodies-only       headers may be changed\n"
    "  --no-hash           messages of mxload --no-verify: count them, trust their content\n"
    "  --others            messages that are not in the ledger are fine\n"
    "  --json              the result as one JSON object\n"
    "\n"
    "Exit status: 0 nothing is lost, doubled or changed, 1 something is, 2 usage or trouble.\n";

struct verify {
    const char *ledger;
    char **paths;
    int path_count;
    struct mx_range copies;
    bool has_head, is_unhashed_fine, are_others_fine, is_json;
    struct mx_proof proof;
    struct mx_mbox reader; /* its buffer is used for all files */
    char *copy;            /* of a message, to be unquoted */
    size_t copy_cap;
    int status;         /* of the first trouble */
    uint32_t faults;    /* printed */
    const char *before; /* in front of the next fault in JSON */
};

static int complain(struct verify *self, const char *what, int err) {
    const char *text = mx_err_text(err);
    if (text == NULL)
        text = strerrordesc_np(-err);
    fprintf(stderr, "mxload: %s: %s\n", what, text != NULL ? text : "failed");
    self->status = EXIT_TROUBLE;
    return err;
}

/* ---- what is there ---- */

/* Whether a line has quotes in front of "From ". */
static bool has_quotes(struct mx_span in) {
    return memmem(in.ptr, in.len, ">From ", 6) != NULL;
}

static int new_copy(struct verify *self, size_t len) {
    if (len <= self->copy_cap)
        return 0;
    char *copy = realloc(self->copy, len);
    if (copy == NULL)
        return -ENOMEM;
    self->copy = copy;
    self->copy_cap = len;
    return 0;
}

/* Nobody says in which way an mbox is quoted: a message is good when it is in one of them. */
static int new_look_at_quoted(struct verify *self, struct mx_span text, enum mx_proof_state *state,
                              struct mx_proof_mark *mark) {
    int err = new_copy(self, text.len);
    for (int is_single = 0; err == 0 && is_single < 2; is_single++) {
        struct mx_span plain = {self->copy, mx_mbox_unquote(text, is_single, self->copy)};
        *state = mx_proof_look(plain, self->has_head, mark);
        if (*state == MX_PROOF_GOOD)
            break;
    }
    return err;
}

static int new_message(struct verify *self, struct mx_span text, bool is_mbox) {
    struct mx_proof_mark mark;
    enum mx_proof_state state = mx_proof_look(text, self->has_head, &mark);
    int err = 0;
    if (state == MX_PROOF_CHANGED && is_mbox && has_quotes(text))
        err = new_look_at_quoted(self, text, &state, &mark);
    mx_proof_found(&self->proof, state, &mark, self->is_unhashed_fine);
    return err;
}

/* Everything that can be read from fd. */
static void new_stream(struct verify *self, int fd, const char *name) {
    struct mx_mbox *reader = &self->reader;
    mx_mbox_reuse(reader, fd);
    struct mx_span text;
    int result;
    while ((result = mx_mbox_new_message(reader, &text)) > 0) {
        result = new_message(self, text, true);
        if (result < 0)
            break;
    }
    if (result == MX_ESYNTAX) { /* then it is one message */
        result = mx_mbox_new_whole(reader, &text);
        if (result == 0)
            result = new_message(self, text, false);
    }
    if (result < 0)
        complain(self, name, result);
}

static void new_file(struct verify *self, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        complain(self, path, -errno);
        return;
    }
    new_stream(self, fd, path);
    close(fd);
}

static int is_entry(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void free_names(struct dirent **names, int count) {
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static void look_at_path(struct verify *self, const char *path, unsigned depth);

/* A Maildir's tmp has what was never whole. */
static void look_at_folder(struct verify *self, const char *path, unsigned depth) {
    struct dirent **names;
    int count = depth < DEPTH_MAX ? scandir(path, &names, is_entry, NULL) : -1;
    if (count < 0) {
        complain(self, path, depth < DEPTH_MAX ? -errno : -ELOOP);
        return;
    }
    for (int i = 0; i < count; i++) {
        char name[4096 + sizeof names[i]->d_name];
        int len = snprintf(name, sizeof name, "%s/%s", path, names[i]->d_name);
        if (len < 0 || (size_t)len >= sizeof name)
            complain(self, path, -ENAMETOOLONG);
        else if (strcmp(names[i]->d_name, "tmp") != 0 || names[i]->d_type != DT_DIR)
            look_at_path(self, name, depth + 1);
    }
    free_names(names, count);
}

/* What cannot be read is said, and the others are counted all the same. */
static void look_at_path(struct verify *self, const char *path, unsigned depth) {
    struct stat about;
    if (stat(path, &about) < 0)
        complain(self, path, -errno);
    else if (S_ISDIR(about.st_mode))
        look_at_folder(self, path, depth);
    else
        new_file(self, path);
}

/* ---- the ledger ---- */

static int complain_of_line(struct verify *self, unsigned long long number, int err) {
    const char *what = err == MX_ESYNTAX ? "this is no line of a ledger"
                       : err == -EEXIST  ? "the message was in a line before"
                       : err == MX_ELIMIT
                           ? "more than 64 runs, or than 2^30 messages of a run, are not verified"
                           : strerrordesc_np(-err);
    fprintf(stderr, "mxload: %s:%llu: %s\n", self->ledger, number, what);
    self->status = EXIT_TROUBLE;
    return err;
}

static int new_ledger(struct verify *self) {
    FILE *file = fopen(self->ledger, "re");
    if (file == NULL)
        return complain(self, self->ledger, -errno);
    char text[LINE_OCTETS];
    unsigned long long number = 0;
    int err = 0;
    while (err == 0 && fgets(text, sizeof text, file) != NULL) {
        number++;
        struct mx_span line = mx_span_of(text);
        bool is_whole = line.len > 0 && line.ptr[line.len - 1] == '\n';
        line.len -= is_whole;
        err = is_whole ? mx_proof_new_line(&self->proof, line) : MX_ESYNTAX;
        if (err < 0)
            err = complain_of_line(self, number, err);
    }
    if (err == 0 && ferror(file))
        err = complain(self, self->ledger, -EIO);
    if (err == 0 && number == 0)
        err = complain_of_line(self, 1, MX_ESYNTAX);
    if (fclose(file) != 0 && err == 0)
        err = complain(self, self->ledger, -EIO);
    return err;
}

/* ---- the result ---- */

static void print_fault(void *context, const char *what, const char *run, uint64_t seq) {
    struct verify *self = context;
    if (self->is_json)
        printf("%s{\"what\":\"%s\",\"run\":\"%s\",\"seq\":%llu}", self->before, what, run,
               LLU(seq));
    else if (self->faults < FAULTS_PRINTED)
        printf("%s %012llu %s\n", run, LLU(seq), what);
    self->before = ",";
    self->faults++;
}

static void print_json(const struct verify *self, const struct mx_proof_result *result,
                       bool is_good) {
    printf("],\"good\":%s,\"accepted\":%llu,\"refused\":%llu,\"unknown\":%llu,\"found\":%llu,"
           "\"lost\":%llu,\"doubled\":%llu,\"changed\":%llu,\"stored_refused\":%llu,"
           "\"unlisted\":%llu,\"unknown_found\":%llu,\"others\":%llu}\n",
           is_good ? "true" : "false", LLU(result->accepted), LLU(result->refused),
           LLU(result->unknown), LLU(result->found), LLU(result->lost), LLU(result->doubled),
           LLU(result->changed), LLU(result->stored_refused), LLU(result->unlisted),
           LLU(result->unknown_found), LLU(self->proof.foreign));
}

static void print(const struct verify *self, const struct mx_proof_result *result, bool is_good) {
    if (self->faults > FAULTS_PRINTED)
        printf("... and %u more; --json has all of them\n", self->faults - FAULTS_PRINTED);
    printf("ledger   %llu accepted, %llu refused, %llu unknown\n", LLU(result->accepted),
           LLU(result->refused), LLU(result->unknown));
    printf("found    %llu of them, %llu others\n", LLU(result->found), LLU(self->proof.foreign));
    printf(
        "faults   %llu lost, %llu doubled, %llu changed, %llu refused but there, %llu not in the "
        "ledger\n",
        LLU(result->lost), LLU(result->doubled), LLU(result->changed), LLU(result->stored_refused),
        LLU(result->unlisted));
    if (result->unknown > 0)
        printf("unknown  %llu of %llu are there\n", LLU(result->unknown_found),
               LLU(result->unknown));
    printf("%s\n", is_good ? "proved: nothing is lost, doubled or changed" : "NOT proved");
}

static int report(struct verify *self) {
    self->before = "";
    if (self->is_json)
        fputs("{\"faults\":[", stdout);
    struct mx_proof_result result = mx_proof_judge(&self->proof, self->copies, print_fault, self);
    bool is_good = mx_proof_is_good(&result) && self->status == 0 &&
                   (self->are_others_fine || self->proof.foreign == 0);
    if (self->is_json)
        print_json(self, &result, is_good);
    else
        print(self, &result, is_good);
    return self->status != 0 ? self->status : is_good ? 0 : EXIT_BAD;
}

/* ---- the command line ---- */

static int take_copies(struct verify *self, const char *text) {
    char *end = NULL;
    errno = 0;
    self->copies.min = self->copies.max = text != NULL ? strtoul(text, &end, 10) : 0;
    if (end != NULL && *end == '-')
        self->copies.max = strtoul(end + 1, &end, 10);
    if (end == NULL || end == text || *end != '\0' || errno != 0 || text[0] == '-' ||
        self->copies.min > self->copies.max || self->copies.max > MX_PROOF_COPIES_MAX) {
        fprintf(stderr, "mxload: --copies: N or N-M, up to %d\n", MX_PROOF_COPIES_MAX);
        return MX_ECONFIG;
    }
    return 0;
}

/* 1: help was asked for and printed. */
static int take_options(struct verify *self, int argc, char **argv) {
    const struct {
        const char *name;
        bool *field, value;
    } flags[] = {
        {"--bodies-only", &self->has_head,         false},
        {"--no-hash",     &self->is_unhashed_fine, true },
        {"--others",      &self->are_others_fine,  true },
        {"--json",        &self->is_json,          true },
    };
    for (int i = 2; i < argc; i++) {
        bool is_known = false;
        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
            if (strcmp(argv[i], flags[k].name) == 0) {
                *flags[k].field = flags[k].value;
                is_known = true;
            }
        }
        if (is_known)
            continue;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 1;
        }
        if (strcmp(argv[i], "--copies") == 0) {
            int err = take_copies(self, argv[++i]); /* NULL behind the last one */
            if (err < 0)
                return err;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            fprintf(stderr, "mxload: unknown option %s; mxload --verify --help\n", argv[i]);
            return MX_ECONFIG;
        } else if (self->ledger == NULL) {
            self->ledger = argv[i];
        } else {
            self->paths[self->path_count++] = argv[i];
        }
    }
    if (self->path_count > 0)
        return 0;
    fprintf(stderr, "mxload: --verify LEDGER PATH...; mxload --verify --help\n");
    return MX_ECONFIG;
}

static void free_all(struct verify *self) {
    mx_mbox_free(&self->reader);
    free(self->copy);
    mx_proof_free(&self->proof);
}

int mx_verify_main(int argc, char **argv) {
    static struct verify self = {
        .has_head = true, .copies = {1, 1}
    };
    self.paths = argv; /* they come behind what is read of it */
    int result = take_options(&self, argc, argv);
    if (result != 0)
        return result > 0 ? 0 : EXIT_TROUBLE;
    if (new_ledger(&self) == 0) {
        for (int i = 0; i < self.path_count; i++) {
            if (strcmp(self.paths[i], "-") == 0)
                new_stream(&self, STDIN_FILENO, "standard input");
            else
                look_at_path(&self, self.paths[i], 0);
        }
        result = report(&self);
    } else {
        result = self.status;
    }
    free_all(&self);
    return fflush(stdout) == 0 ? result : EXIT_TROUBLE;
}
