/*
 * A wait-mode service: takes the listening socket, serves one connection or datagram with an echo, and ends.
 *
 * The socket is descriptor 0, as inetd has it, or 3 where systemd's protocol says so.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve_stream(int listener)
{
    char buffer[4096];
    int connection = accept(listener, NULL, NULL);
    ssize_t got = connection < 0 ? -1 : read(connection, buffer, sizeof buffer);

    return got > 0 && write(connection, buffer, (size_t)got) == got ? 0 : 1;
}

static int serve_datagram(int sock)
{
    char buffer[4096];
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    ssize_t got = recvfrom(sock, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &size);

    return got > 0 && sendto(sock, buffer, (size_t)got, 0, (struct sockaddr *)&peer, size) == got ? 0 : 1;
}

int main(void)
{
    int sock = getenv("LISTEN_FDS") != NULL ? 3 : 0, type = 0;
    socklen_t size = sizeof type;

    if (getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return 1;
    return type == SOCK_STREAM ? serve_stream(sock) : serve_datagram(sock);
}
