/*
 * bare PORT PROGRAM [ARGUMENT...]: accept, vfork, exec, waitpid and nothing else.
 *
 * The floor that no super-server with a process a connection can go below: no configuration, limit,
 * log or environment. Root is dropped once, at the start. Children are reaped after each start, not in
 * a SIGCHLD handler: that saves the signal, and at most the last few wait as zombies while it is idle.
 */
#include "listen.h"

#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void become_nobody(void)
{
    const struct passwd *nobody = getpwnam("nobody");

    if (nobody == NULL)
        errx(1, "no user nobody");
    if (setgroups(0, NULL) < 0 || setgid(nobody->pw_gid) < 0 || setuid(nobody->pw_uid) < 0)
        err(1, "becoming nobody");
}

static void serve(int connection, char **argv)
{
    pid_t child = vfork();

    if (child < 0)
        err(1, "vfork");
    if (child == 0) {
        if (dup2(connection, 0) < 0 || dup2(connection, 1) < 0)
            _exit(126);
        execve(argv[0], argv, environ);
        _exit(127);
    }
    close(connection);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        errx(64, "usage: bare PORT PROGRAM [ARGUMENT...]");
    int listener = listen_on(argv[1]);

    become_nobody();
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (connection < 0)
            err(1, "accept");
        serve(connection, argv + 2);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}
