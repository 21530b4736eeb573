"""The shapes that logs come in: what each gives, value by value, or the cause that it is refused for."""

import codecs
import io
import math
import zipfile
from dataclasses import dataclass, field

import numpy as np
import pytest

from rangym.envs.cell_association.drive_logs import import_logs
from rangym.envs.logs.table import Reading

NAN = math.nan
HEADER = ("time", "ue", "cell", "sinr_db")
ROWS = (("0", "a", "p", "1.5"), ("1", "a", "p", "2.25"), ("1", "a", "q", "-3"), ("2", "a", "q", "4"))
"""The log of nearly all shapes: one UE, two cells, three steps."""
TABLE = [[1.5, NAN], [2.25, -3], [NAN, 4]]
DEGREE_M = math.pi / 180 * 6_371_008.8


def text(separator=",", header=HEADER, rows=ROWS, end="\n", comma=False):
    """The log as text, with its numbers as spreadsheets of half of Europe write them on request."""
    lines = [header, *([x.replace(".", ",") for x in row] if comma else row for row in rows)]
    return "".join(separator.join(line) + end for line in lines)


def with_column(name, values, rows=ROWS):
    return {"header": (*HEADER, *name.split()), "rows": [(*r, *v.split()) for r, v in zip(rows, values, strict=True)]}


def placed(values):
    return text(**with_column("latitude longitude", values))


def at(times):
    return text(";", rows=[(t, *row[1:]) for t, row in zip(times, ROWS, strict=True)])


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


@dataclass
class Gives:
    """What becomes of a log: the whole table, cells, positions, step and account beside the files and rows."""

    sinr_db: list = field(default_factory=lambda: TABLE)
    cells: tuple = ("p", "q")
    position_m: list = field(default_factory=lambda: [[0, 0]] * 3)
    bandwidth_mhz: tuple = (20, 20)
    step_s: float = 1.0
    rows_read: int = 4
    rows: int = 4
    said: dict = field(default_factory=dict)


def form(said, **others):
    return Gives(said={f"files {said}": 1}, **others)


MISSING = ("", "-", "--", "?", r"\N", "NA", "n/a", "#N/A", "NaN", "nil", "None", "NULL", "unknown", "Unavailable")
ANDROID = ("2147483647", "2147483647.0", "9223372036854775807")
NO_SINR = [("1", "a", "p", word) for word in (*MISSING, *ANDROID)]
NO_CELL = [("2", "a", word, "3") for word in (*MISSING, "2147483647")]
ISO = ("2024-03-31T23:59:59", "2024-04-01T00:00:00", "2024-04-01T00:00:00", "2024-04-01T00:00:01")
ELSEWHERE = ("2024-03-31T23:59:59Z", "2024-04-01T02:00:00+02:00", "2024-03-31T19:00:00-05:00", "20240401T000001Z")
SPOILT = [("1", "a", "p", "1_0"), ("noon", "a", "p", "1"), ("3", "a"), ("4", "", "q", "1"), ("5", "-", "q", "2")]
DROPPED = "dropped: no cell or no SINR"
UNUSED = "files with a column not used: "

# name -> (file name, content, options of reading, what it gives)
SHAPES = {
    "commas": ("log.csv", text(), {}, Gives()),
    "no line end": ("log.csv", text().rstrip(), {}, Gives()),
    "semicolons": ("log.csv", text(";"), {}, form("separated by ';'")),
    "tabs": ("log.tsv", text("\t"), {}, form("separated by TAB")),
    "bars": ("log.TXT", text("|"), {}, form("separated by '|'")),
    "decimal commas": ("log.csv", text(";", comma=True), {}, form("separated by ';', decimal commas")),
    "decimal commas and tabs": ("log.txt", text("\t", comma=True), {}, form("separated by TAB, decimal commas")),
    "decimal commas in quotes": (
        "log.csv",
        text(rows=[[f'"{x}"' for x in row] for row in ROWS]).replace('.5"', ',5"').replace('.25"', ',25"'),
        {},
        form("decimal commas"),
    ),
    "three decimals after a comma": (
        "log.csv",
        text(";").replace("2.25", "2,250").replace("1.5", "15,00e-1"),
        {},
        form("separated by ';', decimal commas"),
    ),
    "windows line ends": ("log.csv", text(end="\r\n"), {}, Gives()),
    "old line ends": ("log.csv", text(end="\r"), {}, Gives()),
    "utf-8 with a mark": ("log.csv", codecs.BOM_UTF8 + text().encode(), {}, Gives()),
    "utf-16 of spreadsheets": ("log.txt", text("\t").encode("utf-16"), {}, form("utf-16, separated by TAB")),
    "utf-16 of the other order": ("log.csv", codecs.BOM_UTF16_BE + text().encode("utf-16-be"), {}, form("utf-16")),
    "utf-32": ("log.csv", text().encode("utf-32"), {}, form("utf-32")),
    "utf-16 without a mark": ("log.csv", text().encode("utf-16-le"), {"encoding": "UTF-16LE"}, form("utf-16-le")),
    "cp1252": (
        "log.csv",
        text().replace("p", "Zürich").encode("cp1252"),
        {"encoding": "cp1252"},
        form("cp1252", cells=("Zürich", "q")),
    ),
    "a mark against the encoding": ("log.csv", text().encode("utf-16"), {"encoding": "cp1252"}, form("utf-16")),
    "sep= above": ("log.csv", "sep=;\r\n" + text(";", end="\r\n"), {}, form("separated by ';'")),
    "quotes": (
        "log.csv",
        text(header=[f'"{c}"' for c in HEADER], rows=[[f'"{x}"' for x in r] for r in ROWS]),
        {},
        Gives(),
    ),
    "a separator in quotes": (
        "log.csv",
        text().replace("p", '"cell 1, north"'),
        {},
        Gives(cells=("cell 1, north", "q")),
    ),
    "spaces": ("log.csv", text(" , "), {}, Gives()),
    "header in capitals": ("log.csv", text(header=[c.upper() for c in HEADER]), {}, Gives()),
    "other order and columns": (
        "log.csv",
        "remark,SINR_dB,Cell,ue,TIME\n" + "".join(f"x,{s},{c},{u},{t}\n" for t, u, c, s in ROWS),
        {},
        Gives(said={UNUSED + "remark": 1}),
    ),
    "an index without a name": ("log.csv", "," + text().replace("\n", "\n7,").removesuffix("7,"), {}, Gives()),
    "separators at the end": ("log.csv", text(end=";;\n").replace(",", ";"), {}, form("separated by ';'")),
    "separators at the ends of rows": ("log.csv", text().replace("\n", ",\n").replace("db,", "db"), {}, Gives()),
    "blank lines": ("log.csv", "\n\n" + text(end="\n\n,,,\n"), {}, Gives()),
    "unicode minus": ("log.csv", text().replace("-", "\N{MINUS SIGN}"), {}, Gives()),
    "numbers of all forms": ("log.csv", text().replace("1.5", "+.15e1").replace("4\n", "4.\n"), {}, Gives()),
    "iso times": ("log.csv", at(ISO), {}, form("separated by ';'")),
    "iso times in zones": ("log.csv", at(ELSEWHERE), {}, form("separated by ';'")),
    "iso times with fractions": (
        "log.csv",
        at(["2024-01-01 00:00:00,5", "2024-01-01 00:00:00.750", "2024-01-01 00:00:00.75", "2024-01-01 00:00:01"]),
        {},
        form("separated by ';'", step_s=0.25),
    ),
    "times of a phone": (
        "log.csv",
        at(["2024.01.31_23.59.58", "2024.02.01_00.00.00", "2024.02.01_00.00.00", "2024.02.01_00.00.02"]),
        {},
        form("separated by ';'", step_s=2.0),
    ),
    "seconds since 1970": ("log.csv", at([f"17119295{n:02}.5" for n in (1, 2, 2, 3)]), {}, form("separated by ';'")),
    "missing values": (
        "log.csv",
        text(rows=[*ROWS, *NO_SINR, *NO_CELL]),
        {},
        Gives(rows_read=4 + 17 + 15, said={DROPPED: 32}),
    ),
    "no fix yet": (
        "log.csv",
        placed(["0 0.000", "0.0 0", "51.5 -0.1", "51.5 -0.1"]),
        {},
        Gives(said={"rows without a position": 2}),
    ),
    "latitude and longitude": (
        "log.csv",
        placed(["60.001 10.004", "60.000 10.002", "60.000 10.002", "60.001 10.000"]).replace("latitude", "Latitude"),
        {},
        Gives(
            position_m=[
                [0.004 * DEGREE_M * math.cos(math.radians(60.0005)), 0.001 * DEGREE_M],
                [0.002 * DEGREE_M * math.cos(math.radians(60.0005)), 0],
                [0, 0.001 * DEGREE_M],
            ]
        ),
    ),
    "on the equator": (
        "log.csv",
        placed(["0 10.003", "0 10.001", "0 10.001", "0 10"]),
        {},
        Gives(position_m=[[0.003 * DEGREE_M, 0], [0.001 * DEGREE_M, 0], [0, 0]]),
    ),
    "metres, some missing": (
        "log.csv",
        text(**with_column("y_m x_m bandwidth_mhz", ["0 0 5", "- NaN 5", "- null 10", "30 -40 10"])),
        {},
        Gives(
            position_m=[[40, 0], [20, 15], [0, 30]],
            bandwidth_mhz=(5, 10),
            said={"rows without a position": 2},
        ),
    ),
    "other names": (
        "log.csv",
        text(header=("When", "imsi", "ECI", "SS-SINR")),
        {"columns": {"time": "when", "ue": "IMSI", "cell": "eci", "sinr_db": "SS-SINR"}},
        Gives(),
    ),
    "another column than that of the name": (
        "log.csv",
        text(header=("time", "ue", "carrier", "sinr_db"), rows=[(*r[:2], *r[2:]) for r in ROWS]),
        {"columns": {"cell": "carrier"}},
        Gives(),
    ),
    "bad rows within the tolerance": (
        "log.csv",
        text(rows=[*ROWS, *SPOILT]),
        {"tolerance": 5 / 9},
        Gives(
            rows_read=9,
            said={
                "skipped: 4 columns wanted, as in the header": 1,
                "skipped: time: seconds or an ISO 8601 date and time wanted": 1,
                "skipped: ue: a name wanted": 2,
                "skipped: sinr_db: a number of at least -100 and of at most 100 dB or '-' wanted": 1,
            },
        ),
    ),
    "a text beside the logs": ("logs.zip", zipped(README_txt="Logs, of 2024", a_txt=text()), {}, Gives()),
    # --- What is refused, and why ---
    "doubled column": (
        "log.csv",
        text(**with_column("cell", "pqpq")),
        {},
        r"row 1: columns of different names wanted, got 'cell' twice",
    ),
    "doubled column in capitals": (
        "log.csv",
        text(**with_column("SINR_DB", "1234")),
        {},
        r"got 'sinr_db' twice, in any",
    ),
    "NUL bytes": ("log.csv", text().replace("2.25", "2.\0"), {}, r"row 3: text wanted, got a NUL byte"),
    "utf-16 unsaid": ("log.csv", text().encode("utf-16-le"), {}, r"row 1: .* NUL byte.*--encoding utf-16-le"),
    "cp1252 unsaid": (
        "log.csv",
        text().replace("q", "Köln").encode("cp1252"),
        {},
        r"row 4: text in utf-8 wanted, got the byte 0xf6 .*--encoding\), such as cp1252",
    ),
    "underscore": ("log.csv", text().replace("-3", "1_0"), {}, r"row 4, column sinr_db: a number .* wanted, got '1_0'"),
    "infinity": ("log.csv", text().replace("-3", "-inf"), {}, r"row 4, column sinr_db: .* got '-inf'"),
    "digits of another script": ("log.csv", text().replace("-3", "３"), {}, r"row 4, column sinr_db: .* got '３'"),
    "thousands": (
        "log.csv",
        text(**with_column("x_m y_m", ['"1,234" 1'] * 4)),
        {},
        r"row 2, column x_m: .* 1234 or 1.234",
    ),
    "thousands and spaces": (
        "log.csv",
        text(**with_column("x_m y_m", ['"1,234" 1'] * 4)).replace("1,234", " 1,234 "),
        {},
        r"row 2, column x_m: .* got '1,234', which may be 1234 or 1.234",
    ),
    "thousands by points": (
        "log.csv",
        text(";", **with_column("x_m y_m", ["1.234 1,5"] * 4)),
        {},
        r"row 2, column x_m: .* got '1.234', which may be 1234 or 1.234",
    ),
    "points and commas": (
        "log.csv",
        text(";").replace("2.25", "2,25"),
        {},
        r"row 2, column sinr_db: .* with decimals after ','",
    ),
    "x without y": ("log.csv", text(**with_column("x_m", "1234")), {}, r"row 1: column y_m missing.*two coordinates"),
    "a latitude alone": (
        "log.csv",
        placed(["60 10", "60 -", "60 10", "60 10"]),
        {},
        r"row 3, column longitude: a number, since there is one in latitude, wanted, got '-'",
    ),
    "milliseconds since 1970": (
        "log.csv",
        at(["1711929501000"] * 4),
        {},
        r"row 2, column time: seconds, not milliseconds,",
    ),
    "milliseconds": (
        "log.csv",
        at(["0", "1000", "1000", "2000"]),
        {},
        r"less than 100 s apart wanted, got 1000 s .*milliseconds",
    ),
    "zones in some rows": (
        "log.csv",
        at([*ISO[:3], ELSEWHERE[3]]),
        {},
        r"row 5, column time: a time without a zone, like those before, wanted, got '20240401T000001Z'",
    ),
    "day or month first": (
        "log.csv",
        at(["03/04/2024 10:00"] * 4),
        {},
        r"column time: .*ISO 8601.* got '03/04/2024 10:00'",
    ),
    "spaces between columns": (
        "log.txt",
        text(" "),
        {},
        r"row 1: columns separated by one of ',', ';', TAB, '\|' wanted",
    ),
    "no header": (
        "log.csv",
        text().partition("\n")[2].replace("a,p", "7,8"),
        {},
        r"row 1: a header .* wanted, got '0, 7, 8, 1.5'",
    ),
    "unknown columns": (
        "log.csv",
        text(";").replace("sinr_db", "sinr"),
        {},
        r"row 1: column sinr_db missing; did you mean 'sinr'\?; a general log has time, ue, cell, sinr_db",
    ),
    "a cut row": ("log.csv", text()[:-3], {}, r"row 5: 4 columns wanted, as in the header, got 3"),
    "an open quote": (
        "log.csv",
        text().replace("q,4", '"q,4'),
        {},
        r"row 5: columns, quoted or not, wanted, got unexpected end",
    ),
    "too many bad rows": (
        "log.csv",
        text(rows=[*ROWS, ("1", "a", "p", "x")]),
        {"tolerance": 0.19},
        r"row 6, column sinr_db: .* got 'x'; 1 bad rows, more than the share of 0.19 of 5",
    ),
    "a column that is not there": (
        "log.csv",
        text(),
        {"columns": {"cell": "ec"}},
        r"column ec missing.*wanted for cell",
    ),
    "a name of ours that is none": (
        "log.csv",
        text(),
        {"columns": {"sinr": "x"}},
        r"columns: .* got 'sinr'; did you mean 'sinr_db'",
    ),
    "one column for two": (
        "log.csv",
        text(),
        {"columns": {"ue": "ue", "cell": "UE"}},
        r"columns: another column .* got 'ue' twice",
    ),
    "loud noise": (
        "log.csv",
        text().replace("-3", "101"),
        {},
        r"row 4, column sinr_db: .* at most 100 dB or '-' wanted, got '101'",
    ),
    "nothing measured": (
        "log.csv",
        text(rows=[(*r[:3], "-") for r in ROWS]),
        {},
        r"a row with a cell and its SINR wanted, got none",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_shape_gives(shape, tmp_path):
    name, content, options, expected = SHAPES[shape]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected) as caught:
            import_logs(tmp_path / name, reading=Reading(**options))
        where = str(caught.value).removeprefix(f"{tmp_path / name}: ")
        assert where.startswith(("row ", "a row ", "recording: ", "columns: "))
        return
    found = import_logs(tmp_path / name, reading=Reading(**options))
    np.testing.assert_array_equal(found.sinr_db, np.array(expected.sinr_db, np.float32))
    assert tuple(found.cell_name) == expected.cells
    assert tuple(found.bandwidth_mhz) == expected.bandwidth_mhz
    assert (found.step_s, found.track_start.tolist()) == (expected.step_s, [0, len(expected.sinr_db)])
    np.testing.assert_allclose(found.track_position_m, expected.position_m, atol=1e-3)
    counts = {"files": 1, "rows read": expected.rows_read, "rows": expected.rows, "ues": 1}
    assert dict(found.account) == counts | expected.said


def test_there_are_enough_shapes():
    assert len(SHAPES) >= 40
