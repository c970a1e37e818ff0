"""Letting the user `nobody` pass through a closed folder, where we are root and Postgres must not be.

A data folder under /root or under pytest's own folders cannot be reached by anybody else. Opening those to everybody,
as the wheel's Python layer does, is too much: an access control entry lets one user through, and lets it list nothing.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_SEARCH = 0o1


def closed_parents(path: Path) -> list[Path]:
    """The folders on the way to `path` that other users may not pass through, outermost first."""
    return [parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001]


def let_pass(folder: Path, uid: int) -> bool:
    """Give `uid` the right to pass through `folder`, and no other; False where the file system cannot say that.

    What others were given stays as it is.
    """
    if not hasattr(os, "setxattr"):
        return False
    try:
        given = os.getxattr(folder, _ATTRIBUTE) if _ATTRIBUTE in os.listxattr(folder) else None
        entries = _of_the_mode(folder) if given is None else _unpacked(given)
        # The mask bounds what is given by name; a chmod of the folder changes the mask, so it may have to be set again.
        group = entries[_GROUP_OBJ, _NO_ID]
        entries[_MASK, _NO_ID] = entries.get((_MASK, _NO_ID), group) | _SEARCH
        entries[_USER, uid] = entries.get((_USER, uid), 0) | _SEARCH
        os.setxattr(folder, _ATTRIBUTE, _packed(entries))
    except OSError:
        return False
    return True


Entries = dict[tuple[int, int], int]  # (tag, user or group) -> permissions


def _of_the_mode(folder: Path) -> Entries:
    mode = folder.stat().st_mode
    return {
        (_USER_OBJ, _NO_ID): mode >> 6 & 0o7,
        (_GROUP_OBJ, _NO_ID): mode >> 3 & 0o7,
        (_OTHER, _NO_ID): mode & 0o7,
    }


def _unpacked(acl: bytes) -> Entries:
    return {(tag, identity): permissions for tag, permissions, identity in struct.iter_unpack("<HHI", acl[4:])}


def _packed(entries: Entries) -> bytes:
    # The kernel wants them in this order.
    rows = (struct.pack("<HHI", tag, entries[tag, identity], identity) for tag, identity in sorted(entries))
    return struct.pack("<I", _VERSION) + b"".join(rows)
