"""A fleet as CSV: one row a node, dotted keys of the configuration as header. All mistakes, each with its place."""

import copy
import csv
import io
from pathlib import Path
from typing import NamedTuple

from gridmote.fault import Fault
from gridmote.provision.identity import Mistakes, plan
from gridmote.provision.layout import KEY_FILES, on_host
from gridmote.provision.values import known, parsed, put
from settings.schema import SECRETS


class Row(NamedTuple):
    line: int
    keys: tuple  # of the header
    cells: dict  # {key: (column from 1, text)}, those that are not empty


def read_rows(path):
    """([Row], [(line, column, mistake)]); Fault if there is nothing in it."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: not UTF-8 at byte {error.start}") from None
    head = text.split("\n", 1)[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",",
                       strict=True)
    header, rows, mistakes, line = None, [], [], 1
    try:
        for cells in table:
            start, line = line, table.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(start, cells, mistakes)
            elif len(cells) != header[1]:
                mistakes.append((start, min(len(cells), header[1]) + 1,
                                 f"{len(cells)} cells, but the header has {header[1]}"))
            else:
                rows.append(Row(start, tuple(header[0]), {key: (column, cells[column - 1].strip())
                                        for key, column in header[0].items() if cells[column - 1].strip()}))
    except csv.Error as error:
        mistakes.append((line, 1, str(error)))
    if not rows and not mistakes:
        raise Fault(f"{path}: no nodes in it; a header of keys and a row for each are needed")
    return rows, mistakes


def _header(line, cells, mistakes):
    """({key: column}, how many cells)."""
    columns = {}
    for column, key in enumerate((cell.strip() for cell in cells), 1):
        try:
            known(key)
        except ValueError as error:
            mistakes.append((line, column, str(error)))
            continue
        if key in columns:
            mistakes.append((line, column, f"{key}: also column {columns[key]}"))
        columns.setdefault(key, column)
    return columns, len(cells)


def plans(path, base, complete, ask):
    """[Plan] of every row. base: the nested configuration that all start from, with absolute names of files.
    complete(given): puts passwords in, once all is right. Fault with all mistakes of the table if there is one."""
    rows, mistakes = read_rows(path)
    told, found = [], []
    for row in rows:
        wrong = []
        given = _given(row, base, Path(path).parent, wrong)
        told.append((row, given))
        if not wrong:
            try:
                found.append((row, plan(given, {}, ask)))
            except Mistakes as error:
                wrong = error.found
        mistakes += _placed(row, wrong)
    mistakes += _twice(found)
    if not mistakes:
        return [_completed(path, row, given, complete, ask) for row, given in told]
    raise Fault(_told(path, mistakes))


def _completed(path, row, given, complete, ask):
    complete(given)
    try:
        return plan(given, {}, ask)
    except Mistakes as error:
        raise Fault(_told(path, _placed(row, error.found))) from None


def _placed(row, wrong):
    """[(line, column, mistake)]. In a table with passwords no cell is shown: it may be one in the wrong column."""
    for key, text in wrong:
        if any(secret in row.keys for secret in SECRETS):
            for _, cell in row.cells.values():
                text = text.replace(repr(cell), "as given")
        yield _at(row, key, f"{key}: {text}" if key else text)


def _told(path, mistakes):
    return "\n".join(f"{path}:{line}:{column}: {text}" for line, column, text in sorted(mistakes))


def _given(row, base, folder, wrong):
    """The configuration of a row. Mistakes are appended to wrong."""
    given = copy.deepcopy(base)
    for key, (_, text) in row.cells.items():
        try:
            put(given, key, parsed(key, text))
        except (ValueError, Fault) as error:
            wrong.append((key, str(error).removeprefix(f"{key}: ")))
    anchor(given, folder, [name for name in KEY_FILES if f"broker.{name}" in row.cells])
    return given


def anchor(given, folder, names=KEY_FILES):
    """Make the files of section broker absolute, which a configuration in `folder` names."""
    broker = given.get("broker")
    for name in names if isinstance(broker, dict) else ():
        path = broker.get(name)
        if isinstance(path, str) and path:
            broker[name] = str(on_host(path, folder).resolve())


def _at(row, key, text):
    """With line and column, that of the first cell where the key has none."""
    return row.line, row.cells[key][0] if key in row.cells else 1, text


_SINGLE = (  # what brokers and concentrators take for one node where two have it
    ("id", "id", lambda one: one.id),
    ("measurement.idcode", "measurement.idcode", lambda one: (one.full["measurement"] or {}).get("idcode")),
    ("topic.location_id", "topic", lambda one: "/".join(one.topic)),
    ("gossip.number", "gossip.number", lambda one: f"{one.number} in {'/'.join(one.topic[:3])}"),
)


def _twice(found):
    for key, what, value_of in _SINGLE:
        first = {}
        for row, one in found:
            value = value_of(one)
            if value is None:
                continue
            if value in first:
                yield _at(row, key, f"{what} {value}: also in line {first[value]}")
            first.setdefault(value, row.line)
