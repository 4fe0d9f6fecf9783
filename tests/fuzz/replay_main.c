/* replay_main.c - runs a fuzz target over files, for builds without libFuzzer.
 *
 * Each argument is a file or a folder of files. Each input gets its own allocation of its exact
 * size, so that a sanitizer sees a read behind it. Fails when there is no input at all.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_OCTETS_MAX = 16 << 20 };

static int replay_file(const char *path, size_t size) {
    if (size > INPUT_OCTETS_MAX)
        return -EFBIG;
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    uint8_t *data = malloc(size ? size : 1);
    size_t have = data ? fread(data, 1, size, file) : 0;
    int err = data ? (have == size ? 0 : -EIO) : -ENOMEM;
    if (fclose(file) != 0 && err == 0)
        err = -errno;
    if (err == 0)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return err;
}

static int replay(const char *path, unsigned *count);

static int replay_folder(const char *path, unsigned *count) {
    struct dirent **entries;
    int entry_count = scandir(path, &entries, NULL, alphasort);
    if (entry_count < 0)
        return -errno;
    int err = 0;
    for (int i = 0; i < entry_count; i++) {
        char inner[PATH_MAX];
        const char *name = entries[i]->d_name;
        int len = snprintf(inner, sizeof inner, "%s/%s", path, name);
        if (len < 0 || (size_t)len >= sizeof inner)
            err = -ENAMETOOLONG;
        else if (err == 0 && name[0] != '.')
            err = replay(inner, count);
        free(entries[i]);
    }
    free(entries);
    return err;
}

static int replay(const char *path, unsigned *count) {
    struct stat st;
    int err = stat(path, &st) == 0 ? 0 : -errno;
    if (err == 0 && S_ISDIR(st.st_mode))
        return replay_folder(path, count);
    if (err == 0)
        err = replay_file(path, (size_t)st.st_size);
    if (err == 0)
        (*count)++;
    else
        fprintf(stderr, "%s: %s\n", path, strerror(-err));
    return err;
}

int main(int argc, char **argv) {
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        int err = replay(argv[i], &count);
        if (err < 0) {
            fprintf(stderr, "replay of %s failed: %s\n", argv[i], strerror(-err));
            return 1;
        }
    }
    printf("%u inputs replayed\n", count);
    if (count == 0) {
        fputs("no input was found: nothing was tested\n", stderr);
        return 1;
    }
    return 0;
}
