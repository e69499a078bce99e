"""A process gives up what it doesn't need before it meets somebody's statement: memory without end, writing, the
network, and every file but the lake's. The kernel holds it to that, whatever the engine can be talked into.

Limits of resources are there on every Unix; files and network are closed by Landlock (Linux 5.13 and later, the network
since 6.7). Where that is missing the other walls stand alone: see docs/lake.md.
"""

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
# By the version that brought them: 13 rights at first, then refer, truncate, (network), device ioctl.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract sockets, signals to others


def limit_resources(memory_bytes: int, cpu_seconds: int | None) -> None:
    """No more memory or time than that, no file of any length, no core dump."""
    wanted = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_DATA: memory_bytes}
    if cpu_seconds is not None:
        wanted[resource.RLIMIT_CPU] = cpu_seconds
    for which, most in wanted.items():
        _, hard = resource.getrlimit(which)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # a system that doesn't know this limit
            resource.setrlimit(which, (limit, limit))


def close_files_and_network(readable: Iterable[Path]) -> bool:
    """From now on this thread, and those it starts, read below `readable` and open nothing else. False where the
    kernel can't do that."""
    version = _version()
    if version < 1:
        return False
    files = max(rights for since, rights in _FILE_RIGHTS.items() if since <= version)
    attributes = struct.pack("=Q", files)
    if version >= _NETWORK_SINCE:
        attributes += struct.pack("=Q", _TCP)
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = _call(_CREATE_RULESET, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for directory in readable:
            _allow_reading(ruleset, directory)
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow_reading(ruleset: int, directory: Path) -> None:
    try:
        beneath = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", _READ_FILE | _READ_DIRECTORY, beneath)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(beneath)


def _version() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    return _call(_CREATE_RULESET, None, 0, _VERSION_FLAG)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(ctypes.c_long(number), *arguments))
