"""UUID version 7 (RFC 9562, section 5.7): the time in milliseconds first, so that ids sort by it."""

import os
from datetime import datetime
from uuid import UUID


def uuid7(moment: datetime) -> UUID:
    """A fresh id that begins with `moment`."""
    milliseconds = int(moment.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
