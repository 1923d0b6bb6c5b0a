/*
 * accept_close PORT: accept, close, in one process, whoever comes.
 *
 * Nothing can turn clients away faster: what the load generator reaches against this is its ceiling for
 * refusals.
 */
#include "listen.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(64, "usage: accept_close PORT");
    int listener = listen_on(argv[1]);

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (connection < 0)
            err(1, "accept");
        close(connection);
    }
}
