"""The service of the scenario ``handler``: one read, written back. A program for xinetd, a handler for superd."""

import os


def main() -> None:
    os.write(1, os.read(0, 4096))


if __name__ == "__main__":
    main()
