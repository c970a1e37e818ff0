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
    """Give `uid` the right to pass through `folder`, and no other; False where the file system cannot say that."""
    if not hasattr(os, "setxattr"):
        return False
    mode = folder.stat().st_mode
    owner, group, other = mode >> 6 & 0o7, mode >> 3 & 0o7, mode & 0o7
    entries = [
        (_USER_OBJ, owner, _NO_ID),
        (_USER, _SEARCH, uid),
        (_GROUP_OBJ, group, _NO_ID),
        (_MASK, group | _SEARCH, _NO_ID),
        (_OTHER, other, _NO_ID),
    ]
    try:
        if _ATTRIBUTE in os.listxattr(folder):
            # Somebody's own list: ours would replace it. If it was ours, the user gets through already.
            return _names(os.getxattr(folder, _ATTRIBUTE), uid)
        os.setxattr(
            folder, _ATTRIBUTE, struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *e) for e in entries)
        )
    except OSError:
        return False
    return True


def _names(acl: bytes, uid: int) -> bool:
    entries = list(struct.iter_unpack("<HHI", acl[4:]))
    mask = next((permissions for tag, permissions, _ in entries if tag == _MASK), _SEARCH)
    return any(
        tag == _USER and identity == uid and permissions & mask & _SEARCH for tag, permissions, identity in entries
    )
