"""A node's configuration on the host: read, checked with the node's own schema, prepared, explained."""

import hashlib
import json
import os
import string
from pathlib import Path

from gridmote.fault import Fault
from gridmote.processes import BUILD
from settings.schema import REQUIRED, SCHEMA, ConfigError, check
from waveform.gmr import RecordingError, read_head
from waveform.grid import settings

EXAMPLE = {
    "id": "765",
    "topic": {"area": "south-italy-113", "location_type": "secondary-station", "location_id": "1156"},
    "broker": {"host": "127.0.0.1", "port": 1883},
    "measurement": {"station": "My first PMU", "idcode": 765, "f0_hz": 50, "rate": 50},
    "source": {"kind": "synthetic", "grid": {"voltage_v": 230.0, "frequency_offset_hz": 0.1}},
}


def read(path):
    """(configuration as given, the same with all defaults); Fault with a line for each mistake."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        given = json.loads(text, object_pairs_hook=_once)
        config = check(given)
    except json.JSONDecodeError as error:
        raise Fault(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise Fault(f"{path}: not JSON that can be read: nested too deeply") from error
    except (ConfigError, _Twice) as error:
        raise Fault("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
    try:
        _check_source(config, Path(path).parent)
    except (ValueError, TypeError, OSError) as error:
        raise Fault(f"{path}: {error}") from error
    return given, config


class _Twice(ValueError):
    pass


def _once(pairs):
    """An object of JSON; of a key that comes twice one value would be ignored in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice("%s: given twice" % next(key for key in keys if keys.count(key) > 1))
    return found


def _check_source(config, folder):
    """What the node would find out only when it opens its source."""
    source = config["source"]
    if config["broker"]["ca"] and not (folder / config["broker"]["ca"]).is_file():
        raise ValueError(f"broker.ca: no file {config['broker']['ca']}")
    if source["kind"] == "synthetic":
        try:
            settings(source["grid"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"source.grid: {error}") from error
        return
    if source["kind"] == "adc":
        return
    if not source["file"]:
        raise ValueError("source.file: missing (the recording to replay: COMTRADE .cfg or .cff, or .gmr)")
    if not (folder / source["file"]).is_file():
        raise ValueError(f"source.file: no file {source['file']}")


def prepare(given, config, folder, convert):
    """`given` as the node shall read it: file names made absolute, a COMTRADE recording converted.
    Without outbox.folder the node's flash is the folder `ID.outbox` beside the configuration.

    config: the same with all defaults. folder: that of the configuration file, which file names relate to.
    convert(path, out_path, repeat=, f0_hz=): recording.convert, only called when there is no earlier result.
    """
    prepared = json.loads(json.dumps(given))
    if config["broker"]["ca"]:
        prepared["broker"]["ca"] = str((folder / config["broker"]["ca"]).resolve())
    outbox = prepared.setdefault("outbox", {})
    if outbox.setdefault("folder", config["id"] + ".outbox"):
        outbox["folder"] = str((folder / outbox["folder"]).resolve())
    source = config["source"]
    if source["kind"] == "replay":
        path = (folder / source["file"]).resolve()
        try:
            if path.suffix.lower() != ".gmr":
                path = _converted(path, config, convert)
            with path.open("rb") as file:
                head, _ = read_head(str(path), file)
            _check_rate(head, config)
        except (RecordingError, OSError) as error:
            raise Fault(f"source.file: {error}") from error
        prepared["source"]["file"] = str(path)
    return prepared


def _check_rate(head, config):
    f0_hz = config["measurement"]["f0_hz"]
    if head["fs_hz"] < 16 * f0_hz:
        raise RecordingError("%d samples/s, but at least %d are needed (16 a cycle)" % (head["fs_hz"], 16 * f0_hz))


def _converted(path, config, convert):
    """The .gmr of a COMTRADE recording in build/recordings; made anew when recording or wishes changed."""
    repeat, f0_hz = config["source"]["repeat"], config["measurement"]["f0_hz"]
    wishes = f"{path} {repeat} {f0_hz}".encode()
    state = b"".join(b"%d %d " % (other.stat().st_size, other.stat().st_mtime_ns)
                     for other in sorted(path.parent.glob(glob_escape(path.stem) + ".*")))
    digest = hashlib.sha256(wishes + state).hexdigest()[:12]
    out = BUILD / "recordings" / f"{path.stem}-{digest}.gmr"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = out.with_suffix(f".{os.getpid()}")
        try:
            convert(path, fresh, repeat=repeat, f0_hz=f0_hz)
            fresh.replace(out)
        finally:
            fresh.unlink(missing_ok=True)
    return out


def glob_escape(text):
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _short(allowed):
    for letters in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        allowed = allowed.replace(letters, f"{letters[0]}-{letters[-1]} ")
    return allowed


def schema_rows(schema=SCHEMA, path=""):
    """[{key, default, allowed, meaning}] of every key; default None where one must be given."""
    rows = []
    for key, (rule, default, meaning) in schema.items():
        where = f"{path}.{key}" if path else key
        if isinstance(rule, dict):
            rows.append({"key": where, "default": default, "allowed": "an object of:", "meaning": meaning})
            rows += schema_rows(rule, where)
        else:
            must = default is REQUIRED
            rows.append({"key": where, "default": None if must else default, "allowed": _short(rule(object())),
                         "meaning": meaning})
    return rows
