"""The landing: which files lie there, which feed claims them, which of them are whole.

Belongs here: what names, sizes and times of files tell. Does not belong here: opening one (`feeds/unpacking.py`), what
is known of it already (`file_ledger.py`).
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from orchestration import feeds, settings
from orchestration.feeds import Feed

UNFINISHED_SUFFIXES = (".tmp", ".part")


def unclaimed(landing: Path) -> list[Path]:
    """Files that no declaration claims and, as one path each, folders that no feed has.

    Hidden and unfinished files (`.tmp`, `.part`) are left out, and so are empty folders.
    """
    folders: dict[Path, list[Feed]] = {}
    for feed in feeds.declared():
        folders.setdefault(landing / feed.folder, []).append(feed)
    kinds = {folder.parent for folder in folders}
    left: list[Path] = []
    for path in _visible(landing):
        if path not in kinds:
            left.append(path)
            continue
        for inner in _visible(path):
            # A file is left alone only if none of the feeds that share its folder claims it.
            refused = [set(sort_out(feed, inner)[1]) for feed in folders.get(inner, [])]
            left += sorted(set.intersection(*refused)) if refused else [inner]
    return left


def sort_out(feed: Feed, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files of the folder that the feed claims, and the paths that it does not."""
    claimed = [path for path in _visible(folder) if path.is_file() and feed.claims(path.name)]
    return claimed, [path for path in _visible(folder) if path not in claimed]


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden and unfinished files and without empty folders."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".")
        and path.suffix.lower() not in UNFINISHED_SUFFIXES
        and (path.is_file() or _visible(path))
    )


def written_at(path: Path) -> tuple[int, str]:
    return (path.stat().st_mtime_ns if path.exists() else 0, path.name)


def still_growing(paths: list[Path]) -> dict[Path, str]:
    """Files that change while they are watched, each with what to tell of it. Only those that changed a moment ago are
    watched at all."""
    quiet = settings.quiet_seconds()
    ages = {path: time.time() - path.stat().st_mtime for path in paths if path.exists()}
    young = {path: signature_of(path) for path, age in ages.items() if 0 <= age < quiet}
    if not young:
        return {}
    time.sleep(quiet - min(ages[path] for path in young))
    return {
        path: f"{path.name}: still being written; it is left alone until it has not changed for {quiet:g} s"
        for path, signature in young.items()
        if path.exists() and signature_of(path) != signature
    }


def signature_of(path: Path) -> tuple[str, int, datetime]:
    """Name, size and time of change: equal ones spare reading the file again."""
    status = path.stat()
    modified_at = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000_000, UTC).replace(
        tzinfo=None, microsecond=status.st_mtime_ns // 1_000 % 1_000_000
    )
    return path.name, status.st_size, modified_at
