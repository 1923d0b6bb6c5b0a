/*
 * stream source PORT: the backend of the throughput scenario. Listens on 127.0.0.1 and sends zeros to whoever
 * connects, one connection after the other, until that one has had enough.
 *
 * stream sink PORT SECONDS: its client. Reads for so long and prints one line of JSON. What is read is thrown
 * away inside the kernel (MSG_TRUNC, tcp(7)), so that neither end of the stream costs a copy that is not the
 * relay's.
 */
#include "listen.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 18 };

static char chunk[CHUNK_BYTES];

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void source(const char *port)
{
    int listener = listen_on(port);

    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (peer < 0)
            err(1, "accept");
        while (send(peer, chunk, sizeof chunk, 0) > 0)
            ;
        close(peer);
    }
}

static void sink(const char *port, double seconds)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    double began, ends;
    unsigned long long bytes = 0;
    ssize_t count;

    if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect 127.0.0.1:%s", port);
    began = now_s();
    ends = began + seconds;
    while (now_s() < ends) {
        count = recv(sock, chunk, sizeof chunk, MSG_TRUNC);
        if (count <= 0)
            errx(1, "the stream ended");
        bytes += (unsigned long long)count;
    }
    printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", bytes, now_s() - began);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "source") == 0)
        source(argv[2]);
    else if (argc == 4 && strcmp(argv[1], "sink") == 0)
        sink(argv[2], atof(argv[3]));
    else
        errx(64, "usage: stream source PORT | stream sink PORT SECONDS");
    return 0;
}
