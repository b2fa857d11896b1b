"""A node's configuration on the host: read, checked with the node's own schema, prepared, explained."""

import hashlib
import json
import os
import string
from pathlib import Path

from gridmote.fault import Fault
from gridmote.processes import BUILD
from gridmote.provision import install, layout
from gridmote.provision.folder import FolderPlace
from settings.schema import OPTIONAL, REQUIRED, SCHEMA, ConfigError, check, keys_of
from settings.segment import APPLIANCE, APPLIANCES
from waveform.gmr import RecordingError, read_head
from waveform.grid import settings

EXAMPLE = {
    "id": "765",
    "topic": {"area": "south-italy-113", "location_type": "secondary-station", "location_id": "1156"},
    "broker": {"host": "127.0.0.1", "port": 1883},
    "measurement": {"station": "My first PMU", "idcode": 765, "f0_hz": 50, "rate": 50},
    "source": {"kind": "synthetic", "grid": {"voltage_v": 230.0, "frequency_offset_hz": 0.1}},
}


def folder_of(path):
    """The folder of a configuration, which its file names relate to; `path` may be that folder itself."""
    path = Path(path)
    return path if path.is_dir() else path.parent


def read(path):
    """(configuration as given, the same with all defaults); Fault with a line for each mistake.

    path: a file, or a folder that `gridmote provision` made. Secrets beside a config.json are laid over it.
    """
    given = _given(Path(path))
    try:
        config = check(given)
        _check_files(config, folder_of(path))
    except (ConfigError, ValueError, TypeError, OSError) as error:
        raise Fault("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
    return given, config


def interrupted(path):
    """What a run of `gridmote provision` left undone in the folder of this configuration, in words, or ""."""
    path = Path(path)
    return install.interrupted(FolderPlace(folder_of(path))) if path.is_dir() or path.name == layout.CONFIG else ""


def _given(path):
    try:
        if not path.is_dir() and path.name != layout.CONFIG:
            return layout.decode(path.read_bytes(), path)
        node_set = layout.read_set(FolderPlace(folder_of(path)))
    except OSError as error:
        raise Fault(f"{path}: {error.strerror or error}") from error
    if node_set is None:
        raise Fault(f"{path}: no {layout.CONFIG} there" if path.is_dir() else f"{path}: No such file or directory")
    try:
        return node_set.merged
    except ConfigError as error:
        raise Fault("\n".join(f"{folder_of(path) / layout.SECRETS}: {line}" for line in str(error).splitlines())
                    ) from None


def _check_files(config, folder):
    """What the node would find out only when it opens them."""
    for name in layout.KEY_FILES:
        path = config["broker"][name]
        if path and not layout.on_host(path, folder).is_file():
            shown = "of that name" if name == "key" else path  # it may be the key itself
            raise ValueError(f"broker.{name}: no file {shown}")
    source = config["source"]
    check_grid(source)
    if not source or source["kind"] != "replay":
        return
    if not source["file"]:
        raise ValueError("source.file: missing (the recording to replay: COMTRADE .cfg or .cff, or .gmr)")
    if not (folder / source["file"]).is_file():
        raise ValueError(f"source.file: no file {source['file']}")


def check_grid(source):
    """ValueError for a synthetic source with what no grid is; None is no source."""
    if source and source["kind"] == "synthetic":
        try:
            settings(source["grid"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"source.grid: {error}") from error


def prepare(given, config, folder, convert):
    """`given` as the node shall read it: file names made absolute, a COMTRADE recording converted.
    Without outbox.folder the node's flash is the folder `ID.outbox` beside the configuration.

    config: the same with all defaults. folder: that of the configuration file, which file names relate to.
    convert(path, out_path, repeat=, f0_hz=): recording.convert, only called when there is no earlier result.
    """
    prepared = json.loads(json.dumps(given))
    for name in layout.KEY_FILES:
        if config["broker"][name]:
            prepared["broker"][name] = str(layout.on_host(config["broker"][name], folder).resolve())
    outbox = prepared.setdefault("outbox", {})
    if outbox.setdefault("folder", config["id"] + ".outbox"):
        outbox["folder"] = str((folder / outbox["folder"]).resolve())
    source = config["source"]
    if source and source["kind"] == "replay":
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
        rule = keys_of(rule)
        if default is OPTIONAL:
            default = {}
        if isinstance(rule, dict):
            rows.append({"key": where, "default": default, "allowed": "an object of:", "meaning": meaning})
            rows += schema_rows(rule, where)
        else:
            must = default is REQUIRED
            rows.append({"key": where, "default": None if must else default, "allowed": _short(rule(object())),
                         "meaning": meaning})
        if where == "appliances":
            rows += schema_rows(APPLIANCE, "appliances[]")
            for kind, keys in APPLIANCES.items():
                rows += [{**row, "meaning": f"{kind}: {row['meaning']}"}
                         for row in schema_rows(keys, "appliances[]")]
    return rows
