"""The content of a log file as a table: encoding, separator and quotes of text files, the columns of Parquet files.

A further file format is a function from (name, content, reading) to `Table` in `FORMATS`.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable
from datetime import datetime

from rangym.envs.errors import MissingExtra, WrongValue
from rangym.envs.logs.table import SEPARATORS, Reading, Table

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAID_SEPARATOR = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The line that spreadsheets write above the header."""


def parse_text(name: str, content: bytes, reading: Reading) -> Table:
    """A text file whose columns are separated by ``,``, ``;``, TAB or ``|``, quoted or not."""
    text, encoding = _decoded(name, content, reading.encoding)
    said = SAID_SEPARATOR.match(text)
    separator = said[1] if said and said[1] in SEPARATORS else _separator(name, text)
    header: list[str] = []
    header_line, line, rows, uneven = 1, [], [], {}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        for row in reader:
            if not any(map(str.strip, row)) or (said and reader.line_num == 1):
                continue  # a blank line, or a spreadsheet's row of separators
            if not header:
                header, header_line = [column.strip() for column in row], reader.line_num
                continue
            while len(row) > len(header) and not row[-1].strip():
                row.pop()  # a separator at the end
            if len(row) == len(header):
                line.append(reader.line_num)
                rows.append(row)
            else:
                uneven[reader.line_num] = len(row)
    except csv.Error as error:
        raise WrongValue(f"{name}: row {reader.line_num}: columns, quoted or not, wanted, got {error}") from error
    return Table(name, header, line, rows, reading, header_line, separator, encoding, uneven)


def _decoded(name: str, content: bytes, encoding: str | None) -> tuple[str, str]:
    """The text without its byte order mark, and the encoding, which a mark decides."""
    marked = next((found for mark, found in BYTE_ORDER_MARKS if content.startswith(mark)), None)
    used = marked or encoding or "utf-8"
    try:
        text = content.decode(used).removeprefix("\ufeff")
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        got = f"the byte 0x{content[at]:02x} ({error.reason})" if isinstance(error, UnicodeDecodeError) else str(error)
        advice = "" if marked or encoding else "; say its encoding (--encoding), such as cp1252 or utf-16-le"
        row = content[:at].count(b"\n") + 1
        raise WrongValue(f"{name}: row {row}: text in {used} wanted, got {got}{advice}") from error
    if (at := text.find("\0")) >= 0:
        raise WrongValue(
            f"{name}: row {text.count(chr(10), 0, at) + 1}: text wanted, got a NUL byte; a torn or binary file, or one "
            "in UTF-16 without a byte order mark (--encoding utf-16-le)"
        )
    return text, codecs.lookup(used).name


def _separator(name: str, text: str) -> str:
    """What separates the columns: the mark that the header has most of outside quotes."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    plain = re.sub(r'"[^"]*"', "", header)
    found = max(SEPARATORS, key=plain.count)
    if header and not plain.count(found):
        raise WrongValue(
            f"{name}: row 1: columns separated by one of {', '.join(SEPARATORS.values())} wanted, got {header[:60]!r}"
        )
    return found


def parse_parquet(name: str, content: bytes, reading: Reading) -> Table:
    """An Apache Parquet file, its values as text, so that they are read as strictly as those of a text file."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(f"{name}: Parquet files need pyarrow: pip install 'rangym[logs]'") from error
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise WrongValue(f"{name}: not a Parquet file ({error})") from error
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    rows = list(zip(*columns, strict=True))
    header = [str(column).strip() for column in table.column_names]
    return Table(name, header, range(2, len(rows) + 2), rows, reading, separator="", encoding="")


def _text(value: object) -> str:
    """A value of a typed file as a text file would hold it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime) else str(value)


TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
FORMATS: dict[str, Callable[[str, bytes, Reading], Table]] = {
    **dict.fromkeys(TEXT_SUFFIXES, parse_text),
    ".parquet": parse_parquet,
}
