"""Parquet: the table of CSV with types, compressed, in row groups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from vidseg.errors import VidsegError
from vidseg.exporters.source import Source
from vidseg.exporters.table import COLUMNS, rows

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:
    raise VidsegError('parquet needs the parquet extra: pip install "vidseg[parquet]"') from error

TYPES = dict(
    zip(
        COLUMNS,
        (
            pa.int64(),
            pa.float64(),
            pa.int64(),
            pa.string(),
            pa.float32(),
            *[pa.int32()] * 4,
            pa.int64(),
            pa.int32(),
            pa.int32(),
            pa.string(),
        ),
    )
)
GROUP = 8192  # rows in memory at a time


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the table."""
    (source,) = sources
    schema = pa.schema(TYPES.items())
    found = rows(source)
    with parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        while group := list(itertools.islice(found, GROUP)):
            columns = [pa.array(column, kind) for column, kind in zip(zip(*group), TYPES.values())]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
