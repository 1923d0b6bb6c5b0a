/*
 * accept_echo PORT: accept, one read, one write, close, in one process and without a child.
 *
 * Nothing a super-server does can be faster: what the load generator reaches against this is the
 * generator's ceiling.
 */
#include "listen.h"

#include <unistd.h>

static void echo(int connection)
{
    char buffer[4096];
    ssize_t got = read(connection, buffer, sizeof buffer);

    if (got > 0 && write(connection, buffer, (size_t)got) != got)
        warn("write");
    close(connection);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(64, "usage: accept_echo PORT");
    int listener = listen_on(argv[1]);

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (connection < 0)
            err(1, "accept");
        echo(connection);
    }
}
