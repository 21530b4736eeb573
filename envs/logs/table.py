"""A log as a table of texts, read column by column; every value that is refused is named by file, row and column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue, printable, shown
from rangym.envs.logs.values import NUMBER, THOUSANDS, TIME_UNITS, Kind, Refused
from rangym.envs.params import check, nearest, ranged

SEPARATORS = {",": "','", ";": "';'", "\t": "TAB", "|": "'|'"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How logs are read.

    Attributes
    ----------
    columns : our name -> theirs, for columns that are called differently there.
    encoding : of text files without a byte order mark; None: UTF-8.
    tolerance : share of a file's rows that may be bad; they are left out, each counted by its reason.
    time_unit : of times that are numbers; None: seconds, where nothing speaks against it.
    """

    columns: Mapping[str, str] | None = None
    encoding: str | None = None
    tolerance: float = ranged(0.0, low=0, below=1)
    time_unit: str | None = ranged(None, kind=str, words=tuple(TIME_UNITS), optional=True)

    def __post_init__(self) -> None:
        check(self)
        if self.encoding is not None:
            try:
                "a".encode(self.encoding)
            except (LookupError, TypeError, ValueError) as error:
                raise WrongValue(
                    f"encoding: the name of one, such as 'utf-16' or 'cp1252', wanted, got {shown(self.encoding)} "
                    f"({error})"
                ) from None

    def require_known(self, names: Collection[str]) -> None:
        """Refuse a renamed column that is none of ours, or two of ours that are one of theirs."""
        theirs = Counter(column.casefold() for column in (self.columns or {}).values())
        for name, column in (self.columns or {}).items():
            if name not in names:
                close = nearest(name, names)
                raise WrongValue(f"columns: one of {', '.join(names)} wanted, got {shown(name)}{close}")
            if theirs[column.casefold()] > 1:
                raise WrongValue(
                    f"columns: another column of theirs for each of ours wanted, got {shown(column)} twice"
                )


@dataclass(eq=False)
class Table:
    """A log file as text.

    Attributes
    ----------
    header : their names of the columns.
    line : the file's line of each row (n,).
    rows : the texts (n, columns).
    reading : how it is read.
    header_line : the header's own line.
    separator : what stands between columns; empty where the file has typed columns.
    encoding : the text's.
    uneven : line -> number of texts, of the rows that have not as many as the header.
    bad : line -> why its row is left out.
    account : rows that were of no use, and what else is to be said of the file, as counts by name.
    """

    name: str
    header: Sequence[str]
    line: Sequence[int]
    rows: Sequence[Sequence[str]]
    reading: Reading = field(default_factory=Reading)
    header_line: int = 1
    separator: str = ","
    encoding: str = "utf-8"
    uneven: Mapping[int, int] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    account: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if not any(self.header):
            raise WrongValue(f"{self.name}: the file is empty")
        self.place = {column.casefold(): k for k, column in enumerate(self.header)}
        count = Counter(column.casefold() for column in self.header if column)
        if twice := [column for column in self.header if count[column.casefold()] > 1]:
            wanted = "columns of different names wanted"
            raise WrongValue(f"{self._above}: {wanted}, got {twice[0]!r} twice, in any case of letters")
        if sum(NUMBER.fullmatch(column) is not None for column in self.header) > len(self.header) / 2:
            header = ", ".join(self.header)
            raise WrongValue(f"{self._above}: a header with the columns' names wanted, got {shown(header)}")
        for line, columns in self.uneven.items():
            wanted = f"{len(self.header)} columns wanted, as in the header"
            self.skip(line, wanted, f": {wanted}, got {columns}")
        if not self.rows:
            raise WrongValue(f"{self.name}: no rows below the header")

    @property
    def _above(self) -> str:
        """Where the header is, for errors."""
        return f"{self.name}: row {self.header_line}"

    def has(self, column: str) -> bool:
        """Whether there is a column of that name, in any case of letters."""
        return bool(column) and column.casefold() in self.place

    def require(self, columns: Collection[str], wanted: str) -> None:
        """Refuse a table without one of the ``columns``; ``wanted`` says which ones a log has."""
        if missing := [column for column in columns if not self.has(column)]:
            free = [name for name in self.header if name.casefold() not in {c.casefold() for c in columns}]
            lacks = f"column {', '.join(missing)} missing{nearest(missing[0], free)}"
            have = f"it has {', '.join(map(printable, self.header))}"
            raise WrongValue(f"{self._above}: {lacks}; {wanted}; other names by columns (--columns); {have}")

    def texts(self, column: str) -> list[str]:
        """The column's texts."""
        k = self.place[column.casefold()]
        return [row[k].strip() for row in self.rows]

    def read(self, kinds: Mapping[str, Kind], columns: Mapping[str, str] | None = None) -> Rows:
        """The rows whose values are all of their column's kind; ``columns``: our name -> theirs, where it differs."""
        columns = {name: (columns or {}).get(name, name) for name in kinds}
        values = {name: self._values(columns[name], kind) for name, kind in kinds.items()}
        rows = Rows(self, columns, np.arange(len(self.rows)), values)
        return rows.where(~np.isin(self.line, list(self.bad)))

    def _values(self, column: str, kind: Kind) -> NDArray:
        texts = self.texts(column)
        read = kind.reader(self._mark(column, texts) if kind.has_decimals else ".")
        values = []
        for row, text in enumerate(texts):
            try:
                values.append(read(text))
            except Refused as refused:
                self.refuse(row, column, str(refused))
                values.append(kind.filler)
        return np.array(values)

    def refuse(self, row: int, column: str, wanted: str) -> None:
        """The row is bad, since its column is not what was wanted."""
        got = self.rows[row][self.place[column.casefold()]]
        self.skip(self.line[row], f"{column}: {wanted} wanted", f", column {column}: {wanted} wanted, got {shown(got)}")

    def skip(self, line: int, reason: str, error: str) -> None:
        """Leave out the row of a line for a reason, or refuse the file where more are bad than is tolerated."""
        self.bad.setdefault(line, reason)
        share = self.reading.tolerance
        if len(self.bad) > share * self.total:
            so_far = f"; {len(self.bad)} bad rows, more than the share of {share:g} of {self.total}" if share else ""
            raise WrongValue(f"{self.name}: row {line}{error}{so_far}")

    @property
    def total(self) -> int:
        """Rows of the file."""
        return len(self.rows) + len(self.uneven)

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether commas in numbers part decimals: with ``;`` between columns, or where one cannot part thousands."""
        texts = [text.strip() for row in self.rows for text in row if "," in text]
        found = [text for text in texts if NUMBER.fullmatch(text)]
        return bool(found) and (self.separator == ";" or not all(map(THOUSANDS.fullmatch, found)))

    def _mark(self, column: str, texts: Sequence[str]) -> str:
        """The column's decimal mark; one that may part thousands as well is refused."""
        commas = [text for text in texts if "," in text and NUMBER.fullmatch(text)]
        doubtful = commas if not self.decimal_comma else []
        if self.decimal_comma and not commas:
            points = [text for text in texts if "." in text and NUMBER.fullmatch(text)]
            doubtful = points if all(map(THOUSANDS.fullmatch, points)) else []
        if doubtful:
            line = self.line[texts.index(doubtful[0])]
            digits = doubtful[0].replace(",", "").replace(".", "")
            raise WrongValue(
                f"{self.name}: row {line}, column {column}: a number without marks between thousands wanted, got "
                f"{doubtful[0]!r}, which may be {digits} or {doubtful[0].replace(',', '.')}"
            )
        return "," if commas else "."

    def counts(self) -> Counter[str]:
        """What became of the file and its rows so far, by name."""
        found = Counter({"files": 1, "rows read": self.total})
        found.update([f"files {self.form}"] if self.form else [])
        found.update(f"skipped: {reason}" for reason in self.bad.values())
        found.update(self.account)
        return found

    @property
    def form(self) -> str:
        """How the file is written, where it is not the plainest way."""
        said = [] if self.encoding in ("utf-8", "") else [self.encoding]
        said += [f"separated by {SEPARATORS[self.separator]}"] if self.separator not in (",", "") else []
        said += ["decimal commas"] if self.decimal_comma else []
        return ", ".join(said)


@dataclass(eq=False)
class Rows:
    """Good rows of a table, n of them.

    Attributes
    ----------
    columns : our name -> theirs.
    row : index of each in the table (n,).
    values : our name -> (n,).
    """

    table: Table
    columns: Mapping[str, str]
    row: NDArray
    values: dict[str, NDArray]

    def __len__(self) -> int:
        return len(self.row)

    def where(self, keep: NDArray) -> Rows:
        """The rows where ``keep`` holds."""
        values = {name: values[keep] for name, values in self.values.items()}
        return Rows(self.table, self.columns, self.row[keep], values)

    def drop(self, reason: str, keep: NDArray) -> Rows:
        """The rows where ``keep`` holds, the others counted under the reason: they are fine, but of no use."""
        self.table.account[f"dropped: {reason}"] += int((~keep).sum())
        return self.where(keep)

    def refuse(self, name: str, fine: NDArray, wanted: str) -> Rows:
        """The rows that are ``fine``; the others are bad."""
        for row in self.row[~fine].tolist():
            self.table.refuse(row, self.columns[name], wanted)
        return self.where(fine)

    def coordinates(self, *pair: str, unset: bool) -> Rows:
        """The rows with both coordinates or neither; with ``unset`` 0, 0 is none, as before a receiver's first fix."""
        first, second = (self.values[name] for name in pair)
        if unset:
            none = (first == 0) & (second == 0)
            for name in pair:
                self.values[name] = np.where(none, np.nan, self.values[name])
        rows = self
        for name, other in (pair, pair[::-1]):
            alone = np.isnan(rows.values[name]) & ~np.isnan(rows.values[other])
            rows = rows.refuse(name, ~alone, f"a number, since there is one in {self.columns[other]},")
        return rows
