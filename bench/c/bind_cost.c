/*
 * bind_cost PORT COUNT: what bind(2) costs, and what another system call does.
 *
 * COUNT times a TCP socket is made, bound to 127.0.0.1:PORT and closed; only the bind is timed. Then getppid(2), the
 * least there is, is called a thousand times as often. Prints one line of JSON: the means, in nanoseconds.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OTHERS_PER_BIND = 1000 };

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static double bind_ns(const struct sockaddr_in *address)
{
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (made < 0)
        err(1, "socket");
    double began = now_ns();

    if (bind(made, (const struct sockaddr *)address, sizeof *address) < 0)
        err(1, "bind port %d", ntohs(address->sin_port));
    double took = now_ns() - began;

    close(made);
    return took;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(64, "usage: bind_cost PORT COUNT");
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int count = atoi(argv[2]);
    double total = 0;

    for (int turn = 0; turn < count; turn++)
        total += bind_ns(&address);
    double began = now_ns();

    for (int turn = 0; turn < OTHERS_PER_BIND * count; turn++)
        syscall(SYS_getppid);
    double other = (now_ns() - began) / OTHERS_PER_BIND / count;

    printf("{\"bind\": %.0f, \"other\": %.1f}\n", total / count, other);
    return 0;
}
