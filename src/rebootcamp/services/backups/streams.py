"""The files of a backup as streams: never whole in memory, and never in clear on disk when they are encrypted."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

import bson
from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError

from rebootcamp.integrations import postgresql_tools
from rebootcamp.integrations.encryption import Undecipherable, decrypt, encrypt
from rebootcamp.integrations.postgresql_tools import pipe

CHUNK: Final = 1 << 20
GZIP: Final = 31  # zlib's number for a gzip header and trailer
LEVEL: Final = 3
SMALLEST_DOCUMENT, LENGTH_BYTES = 5, 4
# Every document that MongoDB can hold can be read, years that Python does not know included.
LENIENT: Final[CodecOptions[Any]] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
COPY: Final = re.compile(rb'^COPY public\.(\w+|"(?:[^"]|"")+") \(.*\) FROM stdin;\n$')
END_OF_COPY: Final = b"\\.\n"


class Malformed(ValueError):
    """A stream is not what it should be; the text says why."""


class Sink(Protocol):
    """What takes a stream piece by piece, then says whether it was whole."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...

    def finish(self) -> None:
        """Raise `Malformed` unless the stream ended where it should."""
        ...


@dataclass(frozen=True)
class StoredFile:
    """A file as it lies in a backup."""

    bytes: int
    sha256: str


class _Counted:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes, /) -> int:
        self._digest.update(data)
        self._size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def figures(self) -> StoredFile:
        return StoredFile(self._size, self._digest.hexdigest())


class _Chunks:
    """Pieces as a file to read from; what went wrong while they were made is kept: libraries swallow it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self.failure: BaseException | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            while not self._rest and (chunk := next(self._chunks, None)) is not None:
                self._rest = chunk
        except BaseException as error:
            self.failure = error
            raise
        end = len(self._rest) if size < 0 else size
        piece, self._rest = self._rest[:end], self._rest[end:]
        return piece


def store(chunks: Iterable[bytes], path: Path, recipients: Sequence[str]) -> StoredFile:
    """Write a stream to a new file, encrypted if there are recipients, and see it on the disk."""
    with path.open("xb") as file:
        counted = _Counted(file)
        if recipients:
            source = _Chunks(chunks)
            try:
                encrypt(source, counted, recipients)
            except Exception as error:
                raise source.failure or error from error
        else:
            for chunk in chunks:
                counted.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return counted.figures


def measure(path: Path) -> StoredFile:
    """Read a stored file again."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return StoredFile(file.tell(), digest.hexdigest())


def pour(path: Path, sink: Sink, identity: str | None) -> None:
    """Let a stored file run into a sink, decrypted if there is an identity; raise `Undecipherable`, `Malformed`."""
    with path.open("rb") as file:
        if identity is None:
            shutil.copyfileobj(file, sink, CHUNK)
        else:
            _decrypt(file, sink, identity)
    sink.finish()


def _decrypt(file: IO[bytes], sink: Sink, identity: str) -> None:
    try:
        decrypt(file, sink, identity)
    except Undecipherable:
        raise
    except OSError as error:
        # How the library tells that the bytes were changed, or that a sink had enough.
        raise Malformed(str(error)) from error


def tee(chunks: Iterable[bytes], sink: Sink) -> Iterator[bytes]:
    """Let a sink see what passes."""
    for chunk in chunks:
        sink.write(chunk)
        yield chunk
    sink.finish()


def zipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress a stream."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


class Documents:
    """Takes `<collection>.bson.gz` and hands on whole documents; counts and hashes what was inside."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._unpacker = zlib.decompressobj(GZIP)
        self._digest = hashlib.sha256()
        self._rest = b""
        self.documents = 0

    @property
    def sha256(self) -> str:
        """Return the hash of the documents, one after the other."""
        return self._digest.hexdigest()

    def write(self, data: bytes, /) -> int:
        """Take a piece of any length."""
        try:
            left = data
            while left:
                self._add(self._unpacker.decompress(left, CHUNK))
                left = self._unpacker.unconsumed_tail
        except (zlib.error, BSONError) as error:
            raise Malformed(str(error)) from error
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back on purpose."""

    def finish(self) -> None:
        """Raise `Malformed` unless the stream ended where it should."""
        if not self._unpacker.eof or self._unpacker.unused_data or self._rest:
            raise Malformed("it does not end where it should")

    def _add(self, raw: bytes) -> None:
        self._digest.update(raw)
        data, end = self._rest + raw, 0
        for length in lengths(data):
            end += length
            self.documents += 1
        self._rest = data[end:]
        if end:
            self._take(data[:end])


def lengths(data: bytes) -> Iterator[int]:
    """Yield the length of each whole document; raise `Malformed` where something else begins."""
    end = 0
    while len(data) - end >= LENGTH_BYTES:
        length = int.from_bytes(data[end : end + LENGTH_BYTES], "little")
        if length < SMALLEST_DOCUMENT:
            raise Malformed("it holds something else than documents")
        end += length
        if end > len(data):
            return
        yield length


def decode(batch: bytes) -> list[dict[str, object]]:
    """Return the documents of a batch, each of them read completely."""
    return bson.decode_all(batch, LENIENT)


class Dump:
    """Takes `postgresql.dump` and lets pg_restore read it to the end; counts the rows that come out."""

    def __init__(self, watched: str) -> None:
        self.rows: dict[str, int] = {}
        self.watched: list[str] = []
        self._watched = watched
        self._process = postgresql_tools.start("pg_restore", "--file=-", stdin=subprocess.PIPE)
        self._stdin = pipe(self._process.stdin)
        self._errors = b""
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._count, self._listen)]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes, /) -> int:
        """Take a piece of any length."""
        try:
            return self._stdin.write(data)
        except BrokenPipeError:
            # It had enough: `finish` tells why.
            return len(data)

    def flush(self) -> None:
        """The pipe is emptied at the end."""

    def finish(self) -> None:
        """Raise `Malformed` unless pg_restore was content."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        status = self._process.wait()
        self._join()
        if status:
            raise Malformed(postgresql_tools.said(self._errors) or f"pg_restore ended with {status}")

    def close(self) -> None:
        """End it, whatever came so far."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._join()
        for stream in (self._stdin, pipe(self._process.stdout), pipe(self._process.stderr)):
            with suppress(BrokenPipeError):
                stream.close()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        self._errors = pipe(self._process.stderr).read()

    def _count(self) -> None:
        lines = iter(pipe(self._process.stdout))
        for line in lines:
            if found := COPY.match(line):
                name = _unquoted(found[1].decode())
                self.rows[name] = 0
                for row in lines:
                    if row == END_OF_COPY:
                        break
                    self.rows[name] += 1
                    if name == self._watched:
                        self.watched.append(row.decode().rstrip("\n"))


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
