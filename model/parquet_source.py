"""Reads a Parquet file as the lines of a CSV file, a batch at a time.

pyarrow reads it, which is an extra: a data frame that somebody has saved is a convenience, and the
library is larger than the rest of the container. Every rule for cells is then that of a CSV file.

Source: https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model.cells import quote
from model.csv_source import CsvSource
from model.errors import DatasetError
from model.table import MAX_CELLS, csv_line

MARK = b"PAR1"
# Of a file and of a row group, whose columns are unpacked at once.
MAX_BYTES, MAX_GROUP_BYTES = 8 * 1024**3, 1024**3
_BATCH_ROWS = 20_000
# What pandas calls an index without a name.
_INDEX = "__index_level_0__"


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as a Parquet file does; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def open_parquet(path: Path, drop: Sequence[str]) -> CsvSource:
    """Return a source of a Parquet file's rows.

    Args:
        path: the file.
        drop: columns that will be left out, which may hold anything.

    Raises:
        DatasetError: pyarrow is not installed, the file is damaged or too large, or a column holds
            lists, records or bytes.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise DatasetError(
            f"{path} is a Parquet file, and reading one needs pyarrow: pip install pyarrow, or "
            "'mlops-lab[parquet]'"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (OSError, arrow.ArrowException) as error:
        raise _damaged(path, error) from None
    columns = [name for name in schema.names if name != _INDEX]
    _check_size(path, metadata, len(columns))
    for name in columns:
        kind = schema.field(name).type
        nested = arrow.types.is_nested(kind) or arrow.types.is_binary(kind)
        if name not in drop and (nested or arrow.types.is_large_binary(kind)):
            raise DatasetError(
                f"{path}: column {quote(name)} holds values of the type {str(kind)[:80]}; a cell "
                f"must be a number or a text: --drop {name}"
            )
    source = CsvSource(lambda: _lines(path, columns, drop), str(path), ",")
    source.notes.append(f"a Parquet file of {metadata.num_rows} rows")
    if _INDEX in schema.names:
        source.notes.append("the index that pandas has stored is left out")
    return source


def _check_size(path: Path, metadata: Any, columns: int) -> None:
    cells = metadata.num_rows * columns
    if cells > MAX_CELLS:
        raise DatasetError(
            f"{path} has {cells:,} cells (rows times columns); at most {MAX_CELLS:,} are allowed: "
            "use fewer rows"
        )
    sizes = [
        metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)
    ]
    if max(sizes, default=0) > MAX_GROUP_BYTES or sum(sizes) > MAX_BYTES:
        raise DatasetError(
            f"{path} unpacks to {sum(sizes):,} bytes, {max(sizes):,} of them in one row group; at "
            f"most {MAX_BYTES:,} and {MAX_GROUP_BYTES:,} are allowed: write it with smaller row "
            "groups, or use fewer rows"
        )


def _lines(path: Path, columns: list[str], drop: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the header and of the rows."""
    import pyarrow as arrow
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as parquet

    kept = [name for name in columns if name not in drop]
    try:
        with parquet.ParquetFile(path) as file:
            header = True
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=kept):
                rows = batch.num_rows
                arrays = {
                    name: arrow.nulls(rows, arrow.string())
                    if name in drop
                    else _plain(batch.column(name))
                    for name in columns
                }
                buffer = io.BytesIO()
                options = arrow_csv.WriteOptions(include_header=header)
                arrow_csv.write_csv(arrow.table(arrays), buffer, options)
                header = False
                yield from io.StringIO(buffer.getvalue().decode("utf-8"), newline="")
            if header:
                yield csv_line(columns)
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None


def _plain(column: Any) -> Any:
    """Return a column as CSV can hold it: a dictionary of categories becomes its values."""
    import pyarrow as arrow

    return column.dictionary_decode() if arrow.types.is_dictionary(column.type) else column


def _damaged(path: Path, error: Exception) -> DatasetError:
    text = " ".join(str(error).split())[:200]
    return DatasetError(f"cannot read {path} as Parquet: {text}")
