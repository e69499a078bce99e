"""The files of a lake, copied into a backup and out of one.

They never change and their names are never used again, so what an earlier backup of the same lake has is linked, not
copied. A file of another lake may bear the same name: size and end of the file tell, for in a Parquet file's footer
stand the cluster, and where in the file each column lies, with its least and greatest value.

What was made from a file stands under `LAKE/<kind>/…/<dataset>/<day>/`, with a name that begins with that file's. It
goes along with it.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from analytics.lake import DATASETS, Dataset, list_parts, stands
from jobs.backup.manifest import BackupRefused, Manifest, Stored, lake_path, read_manifest
from jobs.backup.progress import Course, Tell, tell_nobody
from jobs.publishing import flush_directory, make_directory

_BLOCK = 1024 * 1024
_TAIL = 64 * 1024
_MOST_TRIES = 20
_MADE_FROM = re.compile(r"^(part-\d{20}-\d{20}-\d+of\d+|sealed-\d{20}-\d{20}-[0-9a-f]{16})-.*\.parquet$")


class LakeCopy:
    """The lake's part of a backup that is being made in `directory`."""

    def __init__(self, lake_dir: Path, directory: Path, tell: Tell = tell_nobody) -> None:
        self._lake_dir = lake_dir
        self._tell = tell
        self._directory = directory
        self._copied: dict[str, Stored] = {}
        self._earlier = _earlier_backup(directory)

    def catch_up(self) -> tuple[dict[Dataset, int], dict[str, Stored]]:
        """Copy what isn't yet; answers the watermarks and the files of one moment. Cheap when repeated. Raises OSError,
        also where days are sealed faster than they can be copied."""
        for _ in range(_MOST_TRIES):
            with contextlib.suppress(FileNotFoundError):  # the day was sealed meanwhile
                return self._copy_listed()
        return self._copy_listed()

    def _copy_listed(self) -> tuple[dict[Dataset, int], dict[str, Stored]]:
        listings = {dataset: list_parts(self._lake_dir, dataset) for dataset in DATASETS}
        listed = [file.path for listing in listings.values() for file in listing.files]
        names = {str(path.relative_to(self._lake_dir)) for path in [*listed, *self._made_from(listed)]}
        sizes = {name: (self._lake_dir / name).stat().st_size for name in sorted(names - self._copied.keys())}
        course = Course("lake", sum(sizes.values()), self._tell)
        for name, size in sizes.items():
            with course.item(size) as advance:
                self._copied[name] = self._copy(name, advance)
        for name in self._copied.keys() - names:
            lake_path(self._directory, name).unlink()
            del self._copied[name]
        if gone := [path for path in listed if not stands(path)]:  # and what was made from it, perhaps
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(gone[0]))
        return {dataset: listing.watermark for dataset, listing in listings.items()}, dict(self._copied)

    def _made_from(self, listed: Iterable[Path]) -> Iterator[Path]:
        origins = {(path.parts[-3], path.parts[-2], path.stem) for path in listed}
        for folder in self._lake_dir.glob("[!.]*/"):
            for path in folder.rglob("*.parquet") if folder.name not in DATASETS else ():
                match = _MADE_FROM.match(path.name)
                if match and (path.parts[-3], path.parts[-2], match[1]) in origins:
                    yield path

    def _copy(self, name: str, advance: Callable[[int], None]) -> Stored:
        source, target = self._lake_dir / name, lake_path(self._directory, name)
        make_directory(target.parent)
        if self._earlier is not None:
            directory, manifest = self._earlier
            known, kept = manifest.lake.get(name), lake_path(directory, name)
            with contextlib.suppress(OSError):
                if known is not None and _is_alike(kept, source):
                    target.hardlink_to(kept)
                    return known
        return copy_file(source, target, advance)


def _earlier_backup(directory: Path) -> tuple[Path, Manifest] | None:
    """The newest whole backup that stands beside `directory`."""
    found = []
    for sibling in directory.parent.iterdir():
        if sibling != directory and sibling.is_dir():
            with contextlib.suppress(BackupRefused):
                found.append((sibling, read_manifest(sibling)))
    return max(found, key=lambda known: known[1].made_at, default=None)


def _is_alike(one: Path, other: Path) -> bool:
    """Whether two Parquet files have the same size and the same footer."""
    with one.open("rb") as first, other.open("rb") as second:
        size = os.fstat(first.fileno()).st_size
        if size != os.fstat(second.fileno()).st_size:
            return False
        start = max(0, size - _TAIL)
        first.seek(start)
        second.seek(start)
        return first.read() == second.read()


def copy_file(source: Path, target: Path, advance: Callable[[int], None] = lambda _: None) -> Stored:
    """Copy one file durably and answer what was copied; `advance` is told of each number of bytes. Raises OSError,
    FileNotFoundError for no `source`."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as read, target.open("xb") as written:
        while block := read.read(_BLOCK):
            digest.update(block)
            size += len(block)
            written.write(block)
            advance(len(block))
        written.flush()
        os.fsync(written.fileno())
    target.chmod(0o640)
    return Stored(size, digest.hexdigest())


class LakeArrival:
    """The lake of a backup on its way into `lake_dir`: it is copied beside its place, then appears at once."""

    def __init__(self, lake_dir: Path, names: Iterable[str]) -> None:
        """`names` are those of the backup's files. Raises BackupRefused where something stands there already."""
        self._lake_dir = lake_dir
        self._hall = lake_dir / ".restoring"
        self._arrived: list[Path] = []
        self._names = sorted(names)
        for top in {*DATASETS, *(name.partition("/")[0] for name in self._names)}:
            if any(path.is_file() for path in (lake_dir / top).rglob("*")):
                raise BackupRefused(
                    f"The lake at {lake_dir} isn't empty. Point LAKE_URL at an empty directory; nothing was restored."
                )

    def copy(self, directory: Path) -> None:
        """Copy the files of a backup. Raises OSError."""
        shutil.rmtree(self._hall, ignore_errors=True)
        make_directory(self._hall)
        for name in self._names:
            target = self._hall / name
            make_directory(target.parent)
            copy_file(lake_path(directory, name), target)
        for folder in [path for path in self._hall.rglob("*") if path.is_dir()]:
            flush_directory(folder)

    def appear(self) -> None:
        """Let everything stand in the lake. Raises OSError."""
        for folder in sorted(self._hall.iterdir()):
            place = self._lake_dir / folder.name
            for empty in sorted(place.glob("**/"), reverse=True):
                empty.rmdir()
            folder.rename(place)
            self._arrived.append(place)
        flush_directory(self._lake_dir)

    def vanish(self) -> None:
        """Undo `appear`, as far as it went, and the copy."""
        for place in self._arrived:
            shutil.rmtree(place, ignore_errors=True)
        self.end()

    def end(self) -> None:
        """Remove what was only needed on the way."""
        shutil.rmtree(self._hall, ignore_errors=True)
