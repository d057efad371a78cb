"""A process whose wall clock can be set while it runs: a small library put before the system's.

libfaketime does as much and more, but makes Python's waits fail or last for ever: it also changes
functions that wait, which a clock that is set does not.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import missing

_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    static volatile long long *seconds;
    if (!seconds) {
        int file = open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY);
        void *found = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if (found == MAP_FAILED) abort();
        seconds = found;
    }
    return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    int result = syscall(SYS_gettimeofday, now, zone);
    if (!result) now->tv_sec += offset();
    return result;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
"""


class SetClock:
    """``environment`` makes a process tell the time by it."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "CLOCK_OFFSET_FILE": str(file),
        }
        self._file.write_bytes(struct.pack("q", 0))

    def set_by(self, seconds: int) -> None:
        """From now on so many seconds off."""
        with self._file.open("r+b") as file:  # in place: the process has it mapped
            file.write(struct.pack("q", seconds))


@contextmanager
def settable_clock(folder: Path) -> Iterator[SetClock]:
    """Skips, or fails in CI, where no such library can be built."""
    compiler, source, library = shutil.which("cc"), folder / "clock.c", folder / "clock.so"
    if compiler is None:
        missing("no C compiler to build a clock that can be set: apt-get install gcc libc6-dev")
    source.write_text(_SOURCE)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        missing(f"a clock that can be set cannot be built: {built.stderr}")
    yield SetClock(library, folder / "offset")
