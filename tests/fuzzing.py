"""How many inputs the fuzz tests generate: a few thousand in `make test`, FUZZ_TIMES as many in `make fuzz`."""

import os

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def examples(count: int) -> int:
    """`count` in `make test`, more in `make fuzz`."""
    return count * TIMES
