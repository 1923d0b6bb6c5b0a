/*
 * The service of the benchmark: one read from fd 0, written back to fd 1.
 *
 * Linked statically, so that starting it costs what exec costs and no dynamic linker hides the
 * difference between the super-servers.
 */
#include <unistd.h>

int main(void)
{
    char buffer[4096];
    ssize_t got = read(0, buffer, sizeof buffer);

    if (got < 0)
        return 1;
    return write(1, buffer, (size_t)got) == got ? 0 : 1;
}
