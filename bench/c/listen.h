/* What the two servers of the benchmark share: one listening socket on 127.0.0.1. Include it first. */
#ifndef BENCH_LISTEN_H
#define BENCH_LISTEN_H

#define _GNU_SOURCE /* accept4, vfork, setgroups */

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

static int listen_on(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind 127.0.0.1:%s", port);
    if (listen(listener, 1024) < 0)
        err(1, "listen");
    return listener;
}

#endif
