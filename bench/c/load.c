/*
 * load [-s SOURCE] [-p PAUSE_MS] [-t TIMEOUT_MS] [-a] [-e] PORT CLIENTS CONNECTIONS SECONDS: the load generator.
 *
 * CLIENTS threads each connect to 127.0.0.1:PORT, send six bytes, read the echo up to the end of the
 * stream and close, over and over, until CONNECTIONS are done or SECONDS have passed (0: no such bound).
 * A latency runs from before connect() until the end of the stream, so it covers the whole life of
 * the child. Every echo is compared.
 *
 * -s: the clients' address, one of 127.0.0.0/8. -p: a rest after each connection. -t: patience, five seconds
 * unless given. -e: end the stream after the six bytes, for a service that reads to its end.
 *
 * A connection ends in one of four ways: served; refused (not accepted, or closed or reset without a byte);
 * unanswered (no answer in time); or it is an error, which is any other end. Refused and unanswered are
 * errors too unless -a says that any of them is an answer: then they are counted. A hundred errors end the run.
 *
 * The server ends the connection first, so TIME_WAIT would gather on its side. SO_LINGER with 0 makes
 * the client's close a reset, which ends that state at once (tcp_rfc1337 = 0, Linux' default): neither
 * ports nor TIME_WAIT sockets ever become the limit. The stream has been read to its end by then.
 *
 * Prints one line of JSON; latencies are those of who was served, in microseconds, percentiles by nearest rank.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 4000000, MAX_ERRORS = 100, MAX_CLIENTS = 1024, MS_PER_S = 1000 };

static const char MESSAGE[] = "hello\n";
enum { MESSAGE_BYTES = sizeof MESSAGE - 1 };

static struct sockaddr_in server, source;
static long wanted, pause_ms, patience_ms = 5 * MS_PER_S;
static bool any_answer, ends_stream;
static uint64_t deadline_ns;
static uint32_t *latencies_us;
static atomic_long started, served, refused, unanswered, errors;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void complain(const char *what)
{
    if (atomic_fetch_add(&errors, 1) == 0)
        warn("first error: %s", what);
}

/* A call failed, or the stream ended early (errno is then ECONNRESET): counts it as what it is. */
static void failed(const char *what)
{
    if (any_answer && (errno == ECONNREFUSED || errno == ECONNRESET || errno == EPIPE))
        atomic_fetch_add(&refused, 1);
    else if (any_answer && (errno == EAGAIN || errno == EINPROGRESS))
        atomic_fetch_add(&unanswered, 1);
    else
        complain(what);
}

static int open_client(void)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    const struct timeval patience = {patience_ms / MS_PER_S, patience_ms % MS_PER_S * 1000};
    const int on = 1;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (client < 0)
        err(1, "socket");
    if (setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
        err(1, "SO_LINGER");
    if (setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        err(1, "SO_RCVTIMEO");
    if (setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        err(1, "SO_SNDTIMEO"); /* bounds connect() as well */
    if (source.sin_family != AF_INET)
        return client;
    if (setsockopt(client, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0)
        err(1, "IP_BIND_ADDRESS_NO_PORT"); /* connect() finds a port much faster than bind() */
    if (bind(client, (struct sockaddr *)&source, sizeof source) < 0)
        err(1, "bind to the source");
    return client;
}

/* One exchange; true when it was served, else it was counted as something else. */
static bool converse(int client)
{
    char answer[64];
    size_t have = 0;
    ssize_t got;

    if (connect(client, (struct sockaddr *)&server, sizeof server) < 0)
        return failed("connect"), false;
    if (send(client, MESSAGE, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
        return failed("send"), false;
    if (ends_stream && shutdown(client, SHUT_WR) < 0)
        return failed("shutdown"), false;
    while ((got = recv(client, answer + have, sizeof answer - have, 0)) > 0)
        have += (size_t)got;
    if (got == 0 && have == 0)
        errno = ECONNRESET; /* whether it is closed or reset is a matter of microseconds */
    if (got < 0 || have == 0)
        return failed("recv"), false;
    errno = EPROTO;
    if (have != MESSAGE_BYTES || memcmp(answer, MESSAGE, MESSAGE_BYTES) != 0)
        return complain("the echo differs"), false;
    return true;
}

static bool more(void)
{
    if (atomic_load(&errors) >= MAX_ERRORS || (deadline_ns != 0 && now_ns() >= deadline_ns))
        return false;
    return atomic_fetch_add(&started, 1) < wanted;
}

static void *run_client(void *barrier)
{
    const struct timespec rest = {pause_ms / MS_PER_S, pause_ms % MS_PER_S * 1000000};

    pthread_barrier_wait(barrier);
    while (more()) {
        uint64_t begin = now_ns();
        int client = open_client();

        if (converse(client))
            latencies_us[atomic_fetch_add(&served, 1)] = (uint32_t)((now_ns() - begin) / 1000);
        close(client);
        if (pause_ms != 0)
            nanosleep(&rest, NULL);
    }
    return NULL;
}

/* Runs all clients to their end; returns the seconds they took. */
static double run_clients(int clients, double seconds)
{
    pthread_t threads[MAX_CLIENTS];
    pthread_barrier_t barrier;

    pthread_barrier_init(&barrier, NULL, (unsigned)clients + 1);
    for (int i = 0; i < clients; i++)
        if ((errno = pthread_create(&threads[i], NULL, run_client, &barrier)) != 0)
            err(1, "pthread_create");
    uint64_t begin = now_ns();

    if (seconds > 0)
        deadline_ns = begin + (uint64_t)(seconds * 1e9); /* read only past the barrier */
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    return (double)(now_ns() - begin) / 1e9;
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static uint32_t percentile(long count, long percent)
{
    return count == 0 ? 0 : latencies_us[(count * percent + 99) / 100 - 1];
}

static void read_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "aes:p:t:")) != -1)
        switch (option) {
        case 'a':
            any_answer = true;
            break;
        case 'e':
            ends_stream = true;
            break;
        case 's':
            source.sin_family = AF_INET;
            if (inet_pton(AF_INET, optarg, &source.sin_addr) != 1)
                errx(64, "no address: %s", optarg);
            break;
        case 'p':
            pause_ms = atol(optarg);
            break;
        case 't':
            patience_ms = atol(optarg);
            break;
        default:
            exit(64);
        }
    if (argc - optind != 4)
        errx(64, "usage: load [-s SOURCE] [-p PAUSE_MS] [-t TIMEOUT_MS] [-a] [-e] PORT CLIENTS CONNECTIONS SECONDS");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    argv += optind;
    int clients = atoi(argv[1]);
    double seconds = atof(argv[3]);

    wanted = atol(argv[2]);
    if (clients < 1 || clients > MAX_CLIENTS || wanted < 0 || wanted > MAX_SAMPLES || (wanted == 0 && seconds <= 0))
        errx(64, "clients 1 to %d, connections up to %d, or seconds", MAX_CLIENTS, MAX_SAMPLES);
    if (wanted == 0)
        wanted = MAX_SAMPLES;
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[0]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    latencies_us = calloc((size_t)wanted, sizeof *latencies_us);
    if (latencies_us == NULL)
        err(1, "calloc");

    double took_s = run_clients(clients, seconds);
    long count = atomic_load(&served);

    qsort(latencies_us, (size_t)count, sizeof *latencies_us, compare);
    printf("{\"connections\": %ld, \"refused\": %ld, \"unanswered\": %ld, \"errors\": %ld, \"seconds\": %.6f, "
           "\"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           count, atomic_load(&refused), atomic_load(&unanswered), atomic_load(&errors), took_s,
           (double)count / took_s, percentile(count, 50), percentile(count, 99), percentile(count, 100));
    return 0;
}
