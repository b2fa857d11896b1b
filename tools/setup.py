#!/usr/bin/env python3
"""Set-up: all that demo and tests need goes to `.venv` and `.deps`, without root and without asking.

`.venv`: the packages of requirements.lock and the `gridmote` command. `.deps`: umqtt.simple, the type stubs of
requirements-stubs.lock, and the programs of PROGRAMS behind wrappers in `.deps/bin`, from PATH when recent enough,
else Debian packages.
Each is built in `build/setup` and renamed when whole, so that a broken download leaves nothing behind.
A later run only compares the stamps. Standard library only; Python 3.11.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from pathlib import Path

from debian import SetupError, fetch_packages, run

VERSION = 1  # count up when what goes to .deps changes
ROOT = Path(__file__).resolve().parent.parent
UMQTT_PROJECT, UMQTT_VERSION = "micropython-umqtt.simple", "1.3.4"
UMQTT_SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"

_WORD = ["-c", "import sys; print(*sys.implementation.version[:2], sys.maxsize > 1 << 32)"]
_RECENT = r"^(1 (2[4-9]|[3-9]\d)|[2-9] \d+) "
# wrapper -> (Debian architecture, package, path in it, arguments that ask for its version, a fitting answer)
PROGRAMS = {
    "micropython": ("amd64", "micropython", "usr/bin/micropython", _WORD, _RECENT + "True"),
    "micropython32": ("i386", "micropython", "usr/bin/micropython", _WORD, _RECENT + "False"),
    "mosquitto": ("amd64", "mosquitto", "usr/sbin/mosquitto", ["-h"], r"^mosquitto version ([2-9]|\d\d)\."),
    "tshark": ("amd64", "tshark", "usr/bin/tshark", ["--version"], r"^TShark"),
}
# Debian architecture -> (its loader, its libraries)
LOADERS = {
    "amd64": ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    "i386": ("usr/lib/ld-linux.so.2", "usr/lib/i386-linux-gnu"),
}
KEEP = ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share/wireshark")  # of a Debian tree


def say(text):
    print(f"set-up: {text}", flush=True)


# ---------------------------------------------------------------- stamps
def scripts(root):
    """{command: "module:function"} of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]


def venv_stamp(root):
    """Digest of all that `.venv` is made from; its scripts hold the path of the clone."""
    parts = [(root / "requirements.lock").read_text(), scripts(root), root, VERSION]
    return hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()


def venv_is_whole(root):
    stamp = root / ".venv" / "gridmote.stamp"
    return (
        stamp.is_file() and stamp.read_text() == venv_stamp(root) and (root / ".venv/bin/python").exists()
    )  # the interpreter it links to may be gone


def deps_are_whole(root):
    try:
        stamp = json.loads((root / ".deps/stamp.json").read_text())
        return stamp["version"] == VERSION and all((root / ".deps" / p).exists() for p in stamp["needs"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def put(new, place, scratch):
    """Rename the finished folder `new` to `place`; what was there goes away afterwards."""
    old = scratch / "old"
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


# ---------------------------------------------------------------- .venv
def make_venv(root, scratch):
    """Build the virtual environment in `scratch` and put it to `.venv`."""
    new, place = scratch / "venv", root / ".venv"
    python = new / "bin/python"
    argv = [sys.executable, "-m", "venv", str(new)]
    try:
        import ensurepip  # noqa: F401  (Debian splits it off into python3-venv)

        run("virtual environment", argv, timeout_s=120)
    except ImportError:
        run("virtual environment", argv + ["--without-pip"], timeout_s=120)
        tree = fetch_packages(["python3-pip-whl"], "amd64", scratch / "pip")
        wheel = next(tree.glob("usr/share/python-wheels/pip-*.whl"))
        run("pip", [str(python), f"{wheel}/pip", "install", "-q", "--no-index", "--no-deps", str(wheel)])
    done = subprocess.run(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--no-input",
            "--no-user",
            "--require-hashes",
            "--disable-pip-version-check",
            "--retries",
            "3",
            "-r",
            str(root / "requirements.lock"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    if done.returncode:
        raise SetupError(f"Python packages: {pip_complaint(done.stderr)}")
    site = next(new.glob("lib/python3*/site-packages"))
    (site / "gridmote.pth").write_text("".join(f"{root / part}\n" for part in ("lib", "tools", "")))
    for name, entry in scripts(root).items():
        write_script(new / "bin" / name, place / "bin/python", entry)
    for script in (new / "bin").iterdir():  # they name the interpreter by the folder they were built in
        if script.is_file() and not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(bytes(new), bytes(place)))
    (new / "gridmote.stamp").write_text(venv_stamp(root))
    put(new, place, scratch)


def write_script(path, python, entry):
    """A console script for `module:function`; runs through sh, as a `#!` line has no long or blank paths."""
    module, function = entry.split(":")
    path.write_text(
        f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"
        f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
    )
    path.chmod(0o755)


def pip_complaint(stderr):
    """One line out of what pip wrote: what is wrong and what to do."""
    if "DO NOT MATCH THE HASHES" in stderr:
        named = re.search(r"^ {4}(\S+)", stderr.split("DO NOT MATCH THE HASHES", 1)[1], re.M)
        what = named[1] if named else "a package"
        return (
            f"{what} is not the file that requirements.lock names by its hash; use another index or try again"
        )
    lines = stderr.splitlines() or ["?"]
    last = ([line for line in lines if line.startswith("ERROR:")] or lines)[-1].removeprefix("ERROR: ")[:200]
    return f"{last}; check the network and pip's configuration, then try again"


# ---------------------------------------------------------------- .deps
def make_deps(root, scratch):
    """Fetch umqtt.simple and the programs in `scratch`, try each, and put them to `.deps`."""
    new = scratch / "deps"
    (new / "bin").mkdir(parents=True)
    say("umqtt.simple")
    archive = new / "umqtt.tar.gz"
    run(
        "umqtt.simple",
        [str(root / ".venv/bin/python"), __file__, "fetch-umqtt", str(archive)],
        "check the network and the package index, then try again",
        timeout_s=300,
    )
    unpack_umqtt(archive, new / "umqtt")
    needs = ["umqtt/umqtt/simple.py"]
    missing = {}
    for name, (arch, package, inside, *_) in PROGRAMS.items():
        found = find_on_path(name)
        if found:
            say(f"{name}: {found}")
            write_wrapper(new / "bin" / name, f'exec "{found}" "$@"\n')
            needs.append(found)
        else:
            missing.setdefault(arch, {})[package] = None
            write_wrapper(new / "bin" / name, debian_call(arch, inside))
            needs.append(f"debian-{arch}/{inside}")
    for arch, packages in missing.items():
        say(f"Debian packages for {arch}: {', '.join(packages)}")
        tree = fetch_packages(list(packages), arch, scratch / f"apt-{arch}")
        for part in KEEP:
            if (tree / part).exists():
                (new / f"debian-{arch}" / part).parent.mkdir(parents=True, exist_ok=True)
                (tree / part).rename(new / f"debian-{arch}" / part)
    for name in PROGRAMS:
        if not answers(name, new / "bin" / name):
            raise SetupError(
                f"{name} does not run on this machine; install it so that it is on PATH, then try again"
            )
    (new / "stamp.json").write_text(json.dumps({"version": VERSION, "needs": needs}))
    put(new, root / ".deps", scratch)


def answers(name, path):
    """Whether the program at `path` runs and is what PROGRAMS asks for under `name`."""
    *_, arguments, pattern = PROGRAMS[name]
    try:
        done = subprocess.run(
            [str(path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.search(pattern, done.stdout, re.M) is not None


def find_on_path(name):
    """The first fitting program on PATH (and in sbin, where brokers live), else None."""
    places = os.environ.get("PATH", "").split(os.pathsep) + ["/usr/local/sbin", "/usr/sbin"]
    for plain in dict.fromkeys((name, PROGRAMS[name][1])):
        for place in places:
            path = shutil.which(plain, path=place)
            if path and answers(name, path):
                return os.path.abspath(path)
    return None


def write_wrapper(path, body):
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)


def debian_call(arch, inside):
    """The program of the Debian tree through the loader beside it; exec, so that a kill reaches it."""
    loader, libraries = LOADERS[arch]
    return (
        f'd="${{0%/*}}/../debian-{arch}"\n'
        'export WIRESHARK_DATA_DIR="$d/usr/share/wireshark"\n'
        f'exec "$d/{loader}" --library-path "$d/{libraries}" "$d/{inside}" "$@"\n'
    )


def fetch_umqtt(archive):
    """Download the pinned source archive; runs inside `.venv`, which has pypi_simple and pip."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    pip = {key.split(".")[-1]: value for key, value in re.findall(r"^(\S+)='(.*)'$", listed, re.M)}
    if "cert" in pip:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", pip["cert"])
    with PyPISimple(pip.get("index-url", PYPI_SIMPLE_ENDPOINT)) as client:
        for package in client.get_project_page(UMQTT_PROJECT).packages:
            if package.package_type == "sdist" and package.version == UMQTT_VERSION:
                client.download_package(
                    package, archive, verify=False
                )  # unpack_umqtt compares the pinned hash
                return
    raise SetupError(f"the package index has no {UMQTT_PROJECT} {UMQTT_VERSION}")


def unpack_umqtt(archive, folder):
    """Take umqtt/simple.py out of the archive; SetupError when it is not the pinned file."""
    data = archive.read_bytes()
    if hashlib.sha256(data).hexdigest() != UMQTT_SHA256:
        raise SetupError(
            f"{UMQTT_PROJECT} {UMQTT_VERSION} is not the file with the pinned sha256; "
            "use another index or try again"
        )
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = next(m for m in tar.getmembers() if m.name.endswith("/umqtt/simple.py"))
        (folder / "umqtt").mkdir(parents=True)
        (folder / "umqtt/simple.py").write_bytes(tar.extractfile(member).read())
    archive.unlink()


# ---------------------------------------------------------------- type stubs
def stubs_are_whole(root):
    stamp = root / ".deps/stubs/stamp"
    return stamp.is_file() and stamp.read_text() == (root / "requirements-stubs.lock").read_text()


def make_stubs(root, scratch):
    """Download the wheels of requirements-stubs.lock to `.deps/stubs`."""
    new = scratch / "stubs"
    argv = [str(root / ".venv/bin/python"), "-m", "pip", "download", "-q", "--no-input", "--no-deps",
            "--require-hashes", "--disable-pip-version-check", "--retries", "3", "-d", str(new),
            "-r", str(root / "requirements-stubs.lock")]  # fmt: skip
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SetupError(f"type stubs: {pip_complaint(done.stderr)}")
    (new / "stamp").write_text((root / "requirements-stubs.lock").read_text())
    put(new, root / ".deps/stubs", scratch)


# ---------------------------------------------------------------- main
def set_up(root):
    """Make what is missing; SetupError when that fails, with nothing half-installed."""
    scratch = root / "build/setup"
    for name, whole, make in (
        ("Python packages", venv_is_whole, make_venv),
        ("programs", deps_are_whole, make_deps),
        ("type stubs", stubs_are_whole, make_stubs),
    ):
        if whole(root):
            continue
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        say(f"{name} ...")
        started = time.monotonic()
        try:
            make(root, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        say(f"{name}: done in {time.monotonic() - started:.0f} s")


def main(argv):
    try:
        if argv[:1] == ["fetch-umqtt"]:
            fetch_umqtt(Path(argv[1]))
            return 0
        with open(__file__) as own:  # one set-up of a clone at a time
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(own, fcntl.LOCK_EX)
            set_up(ROOT)
    except (SetupError, OSError, subprocess.TimeoutExpired) as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
