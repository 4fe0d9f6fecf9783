#include "engine/cli/read_password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { INTERRUPT = 3 }; /* ^C */

static bool refuse(char *why, size_t size, const char *text) {
    int len = snprintf(why, size, "%s", text);
    return len < 0; /* false; a text that is cut is still one */
}

/* One line, octet by octet, so that nothing behind it is taken. Returns its length without LF;
 * -EMSGSIZE: too long; -EINTR: ^C; -ENODATA: nothing but the end; -EINVAL: a NUL; another -errno.
 */
static ssize_t read_line(int fd, char *line, size_t size) {
    size_t len = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0 && len == 0)
            return -ENODATA;
        if (got == 0 || c == '\n')
            break;
        if (c == INTERRUPT)
            return -EINTR;
        if (c == '\0')
            return -EINVAL;
        if (len == size - 1)
            return -EMSGSIZE;
        line[len++] = c;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return (ssize_t)len;
}

static bool explain(ssize_t len, size_t size, char *why, size_t why_size) {
    char text[64];
    switch (len) {
    case 0:
    case -ENODATA:
        return refuse(why, why_size, "no password was given");
    case -EINTR:
        return refuse(why, why_size, "interrupted");
    case -EINVAL:
        return refuse(why, why_size, "a password may not hold a NUL");
    case -EMSGSIZE:
        (void)snprintf(text, sizeof text, "longer than %zu octets", size - 1);
        return refuse(why, why_size, text);
    default:
        return refuse(why, why_size, strerrordesc_np((int)-len));
    }
}

static ssize_t ask(int fd, const char *prompt, char *line, size_t size) {
    ssize_t put = write(fd, prompt, strlen(prompt));
    ssize_t len = put < 0 ? -errno : read_line(fd, line, size);
    put = write(fd, "\n", 1);
    return put < 0 && len >= 0 ? -errno : len;
}

/* ^C comes as an octet that ends the line: the terminal is always put right again. */
static bool ask_twice(int fd, char *password, size_t size, char *why, size_t why_size) {
    char again[1024];
    struct termios before, quiet;
    if (tcgetattr(fd, &before) < 0 || size > sizeof again)
        return refuse(why, why_size, "the terminal cannot be set up");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_cc[VEOL] = INTERRUPT;
    if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0)
        return refuse(why, why_size, "the terminal cannot be set up");
    ssize_t len = ask(fd, "Password: ", password, size);
    ssize_t again_len = len > 0 ? ask(fd, "Again: ", again, sizeof again) : 0;
    int err = tcsetattr(fd, TCSAFLUSH, &before);
    bool is_same = len > 0 && again_len == len && memcmp(password, again, (size_t)len) == 0;
    explicit_bzero(again, sizeof again);
    if (err < 0)
        return refuse(why, why_size, "the terminal's echo could not be switched on again");
    if (len <= 0)
        return explain(len, size, why, why_size);
    if (again_len == -EINTR)
        return refuse(why, why_size, "interrupted");
    return is_same || refuse(why, why_size, "the two are not the same");
}

bool mx_cli_read_password(char *password, size_t size, char *why, size_t why_size) {
    bool is_good;
    if (isatty(STDIN_FILENO)) {
        int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return refuse(why, why_size, "no terminal to ask on");
        is_good = ask_twice(fd, password, size, why, why_size);
        close(fd);
    } else {
        ssize_t len = read_line(STDIN_FILENO, password, size);
        is_good = len > 0 || explain(len, size, why, why_size);
    }
    if (!is_good)
        explicit_bzero(password, size);
    return is_good;
}
