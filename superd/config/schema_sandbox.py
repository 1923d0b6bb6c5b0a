"""The rows of the table of keys that say what the programs of a service may do."""

from __future__ import annotations

from superd.config import kinds, sandbox_kinds
from superd.config.keys import CHILDREN, Key
from superd.config.sandbox import Profile, ProtectHome, ProtectProc, ProtectSystem

_ROWS = (
    ("profile", kinds.choice(Profile), '"default"',
     "What holds for all keys that are not written; see PROFILES."),
    ("optional", sandbox_kinds.FEATURES, "[]",
     "Features of the kernel that the service does without where they are lacking: seccomp, landlock, cgroup, "
     "mount_namespace, network_namespace, pid_namespace, user_namespace. A feature that a key needs, that this machine "
     "lacks and that is not named here is a fault of the service, and never passed over."),
    ("no_new_privileges", kinds.BOOLEAN, "",
     "Whether no program can gain anything by executing a setuid file or one with capabilities."),
    ("capability_bounding_set", sandbox_kinds.BOUNDING, "",
     "The only capabilities that programs can ever have; all but these with ~ in front of the first. "
     "ambient_capabilities are added."),
    ("ambient_capabilities", sandbox_kinds.AMBIENT, "",
     "Capabilities that programs have from the start, without being root: with CAP_NET_BIND_SERVICE an unmodified "
     "program binds port 80 by itself."),
    ("private_tmp", kinds.BOOLEAN, "",
     "Whether /tmp and /var/tmp are empty ones in memory. Each spawner of the service has its own, and they are gone "
     "with it."),
    ("private_devices", kinds.BOOLEAN, "",
     "Whether /dev holds nothing but null, zero, full, random, urandom, tty, terminals and shared memory of its own. "
     "It takes CAP_MKNOD and CAP_SYS_RAWIO away."),
    ("private_network", kinds.BOOLEAN, "",
     "Whether there is no network but a loopback of its own. The socket that a program was given is still the one of "
     "the outside, and could be connected anew; so connect, bind, listen and accept are denied too, and io_uring, "
     "which goes round that. So is connect to unix sockets: nothing is said to syslog or to a database. With "
     "tcp_connect_ports connect is allowed, over TCP to those; with mode = \"wait\" and \"always\" accept and listen "
     "are."),
    ("private_users", kinds.BOOLEAN, "",
     "Whether there are no users but the service's own and root, which is without power outside."),
    ("private_pids", kinds.BOOLEAN, "",
     "Whether the programs see no processes but those of their spawner, which is the init of their pid namespace and "
     "cannot be stopped or killed by them. What is left of them ends with their spawner."),
    ("protect_system", sandbox_kinds.switch(ProtectSystem), "",
     "What is read-only: with true /usr and the boot loader, with \"full\" /etc too, with \"strict\" everything but "
     "/dev, /proc, /sys and read_write_paths."),
    ("protect_home", sandbox_kinds.switch(ProtectHome), "",
     "Whether /home, /root and /run/user are inaccessible, read-only, or empty (\"tmpfs\")."),
    ("protect_kernel_tunables", kinds.BOOLEAN, "",
     "Whether the settings of the kernel in /proc and /sys are read-only."),
    ("protect_kernel_modules", kinds.BOOLEAN, "",
     "Whether no kernel module can be loaded. It takes CAP_SYS_MODULE away."),
    ("protect_control_groups", kinds.BOOLEAN, "",
     "Whether /sys/fs/cgroup is read-only."),
    ("protect_proc", kinds.choice(ProtectProc), "",
     "What is seen in /proc of processes of other users: with \"noaccess\" only that they are there, with "
     "\"invisible\" nothing, with \"ptraceable\" nothing even of the same user that could not be traced."),
    ("read_only_paths", sandbox_kinds.PATHS, "",
     "Files and folders that are read-only. One with a - in front need not exist; one with a + is looked for in "
     "root_directory. Of several paths the longest that fits counts."),
    ("read_write_paths", sandbox_kinds.PATHS, "",
     "Files and folders that are not, inside of others that are."),
    ("inaccessible_paths", sandbox_kinds.PATHS, "",
     "Files and folders that cannot be opened at all."),
    ("no_exec_paths", sandbox_kinds.PATHS, "",
     "Files and folders of which nothing can be executed."),
    ("system_call_filter", sandbox_kinds.SYSTEM_CALLS, "",
     "The system calls that are allowed, by name or as a @group of systemd's; denied with ~ in front. A string may "
     "hold several with blanks between. The first says whether what is not named is denied, the others then add and "
     "take away. What the spawner needs to start programs is always allowed, fork and execve among it. Programs of "
     "the machine's other ABIs, as 32-bit ones, end by SIGSYS under this and under every other key that denies system "
     "calls."),
    ("system_call_error_number", sandbox_kinds.ERROR, "",
     "The error that a denied system call returns, as \"EPERM\"; with \"kill\" the program is ended."),
    ("restrict_address_families", sandbox_kinds.ADDRESS_FAMILIES, "",
     "The only families of which sockets can be made, as \"AF_INET\"; all but these with ~ in front of the first; "
     "none with \"none\"."),
    ("restrict_namespaces", sandbox_kinds.NAMESPACES, "",
     "Whether programs can make and enter no namespaces, or only the kinds that are listed; all but these with ~ in "
     "front of the first."),
    ("restrict_suid_sgid", kinds.BOOLEAN, "",
     "Whether files cannot be made setuid or setgid."),
    ("restrict_realtime", kinds.BOOLEAN, "",
     "Whether real-time scheduling is denied."),
    ("lock_personality", kinds.BOOLEAN, "",
     "Whether the execution domain cannot be changed (personality)."),
    ("memory_deny_write_execute", kinds.BOOLEAN, "",
     "Whether memory cannot be written first and executed then. Programs that compile while they run need that."),
    ("dynamic_user", kinds.BOOLEAN, "",
     "Whether the service runs as a user that exists only for it, of a number that nobody has, and the same at each "
     "start unless somebody has it by then. It brings "
     "no_new_privileges, private_tmp, protect_system = \"strict\", protect_home = \"read-only\" and restrict_suid_sgid "
     "with it."),
    ("memory_max", sandbox_kinds.MEMORY, "",
     "The memory of all processes of the service together; over it, one of them is killed."),
    ("tasks_max", sandbox_kinds.TASKS, "",
     "How many processes and threads the service may have, its spawners included."),
    ("cpu_quota", sandbox_kinds.QUOTA, "",
     "Processor time of all processes of the service together: 100% is one processor."),
    ("landlock_read_paths", sandbox_kinds.LANDLOCK_PATHS, "",
     "What the programs may read. As soon as one of the three landlock keys is written, Landlock leaves nothing of the "
     "file system but what they name."),
    ("landlock_write_paths", sandbox_kinds.LANDLOCK_PATHS, "",
     "What they may read and write."),
    ("landlock_execute_paths", sandbox_kinds.LANDLOCK_PATHS, "",
     "What they may read and execute; the program itself and its libraries must be among it."),
    ("tcp_bind_ports", sandbox_kinds.PORTS, "",
     "The only TCP ports that programs may bind (Landlock, kernel 6.7)."),
    ("tcp_connect_ports", sandbox_kinds.PORTS, "",
     "The only TCP ports that programs may connect to (Landlock, kernel 6.7)."),
)  # fmt: skip

SANDBOX = tuple(
    Key("sandbox", name, name, kind, default, meaning, (CHILDREN,)) for name, kind, default, meaning in _ROWS
)
