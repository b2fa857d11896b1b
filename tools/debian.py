"""Debian packages without root: fetched by apt-get with state of its own, unpacked, never installed.

The mirror is the one that the machine's own apt sources name; the signature of the Debian archive is checked.
"""

import os
import shutil
import subprocess
from pathlib import Path

SUITE = "trixie"  # Debian 13, the first with MicroPython 1.25
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)
_SUITES = {
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "sid",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
}
ADVICE = (
    "install MicroPython 1.24 or later (64-bit as micropython, 32-bit x86 as micropython32), "
    "mosquitto 2.0 or later and tshark so that they are on PATH"
)


class SetupError(Exception):
    """One line: what failed, and what to do."""


def run(what, argv, advice="", timeout_s=600):
    """Run a program without a terminal; SetupError with its last words when it fails."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"{what}: no end after {timeout_s} s; try again") from None
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        lines = [line for line in lines if line.startswith(("E:", "set-up:"))] or lines or ["?"]
        words = lines[0].removeprefix("E: ").removeprefix("set-up: ")[:240]
        raise SetupError(f"{what}: {words}" + (f"; {advice}" if advice else ""))
    return done.stdout


def fetch_packages(names, arch, work):
    """Download `names` and all they depend on for `arch`, unpack them, and return the folder of the tree."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise SetupError(f"this machine has no apt-get to fetch {', '.join(names)} with; {ADVICE}")
    keyring = next((path for path in KEYRINGS if os.path.exists(path)), None)
    if keyring is None:
        raise SetupError(
            "the keys of the Debian archive are missing; install debian-archive-keyring, or " + ADVICE
        )
    mirrors = debian_mirrors(Path("/etc/apt"))
    if not mirrors:
        raise SetupError(f"no mirror of Debian among this machine's apt sources; {ADVICE}")
    for number, mirror in enumerate(mirrors[:3], 1):
        try:
            return _fetch_from(mirror, keyring, names, arch, work)
        except SetupError:
            shutil.rmtree(work, ignore_errors=True)
            if number == min(3, len(mirrors)):
                raise


def _fetch_from(mirror, keyring, names, arch, work):
    for part in ("lists/partial", "cache/archives/partial", "tree"):
        (work / part).mkdir(parents=True)
    (work / "status").touch()  # empty: every dependency is fetched, whatever the machine has
    (work / "sources.list").write_text(f"deb [signed-by={keyring}] {mirror} {SUITE} main\n")
    options = {
        "Dir::State": work,
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::CNF::DefaultEnabled": "false",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
        "Debug::NoLocking": "1",
    }
    if os.geteuid() == 0:
        options["APT::Sandbox::User"] = "root"  # apt's own user may not be let into the clone
    apt = ["apt-get", "-q"] + [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    advice = "check the network and the mirror in this machine's apt sources, then try again"
    run(f"Debian's list of packages ({arch})", apt + ["update"], advice)
    run(
        f"Debian packages ({arch})",
        apt + ["-y", "--download-only", "--no-install-recommends", "install", *names],
        advice,
    )
    for deb in sorted((work / "cache/archives").glob("*.deb")):
        run(deb.name, ["dpkg", "-x", str(deb), str(work / "tree")], "try again")
    return work / "tree"


def debian_mirrors(etc_apt):
    """Addresses of Debian's own archive in the apt sources under `etc_apt`, the likeliest first."""
    found = {}
    for path in [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]:
        parse = {".list": list_entries, ".sources": deb822_entries}.get(path.suffix)
        if parse is None or not path.is_file():
            continue
        for uris, suites, components, signed_by in parse(path.read_text(errors="replace")):
            for uri in uris:
                address = uri.rstrip("/")
                if (
                    "main" not in components
                    or "security" in address
                    or uri.startswith("cdrom:")
                    or not any(suite.split("-")[0] in _SUITES and "security" not in suite for suite in suites)
                ):
                    continue
                # other vendors use Debian's suites too; their archives carry other keys or another name
                score = 2 * ("debian-archive" in signed_by) + address.endswith("/debian")
                found[address] = max(score, found.get(address, 0))
    return sorted(found, key=found.get, reverse=True)


def list_entries(text):
    """(uris, suites, components, signed-by) of each line of a sources.list."""
    for line in text.splitlines():
        words = line.split("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if words[:1] != ["deb"]:
            continue
        options = []
        if "[" in words and "]" in words:
            options = words[words.index("[") + 1 : words.index("]")]
            words = words[: words.index("[")] + words[words.index("]") + 1 :]
        signed_by = "".join(o.partition("=")[2] for o in options if o.lower().startswith("signed-by="))
        if len(words) > 3:
            yield [words[1]], [words[2]], words[3:], signed_by


def deb822_entries(text):
    """(uris, suites, components, signed-by) of each stanza of a .sources file."""
    stanza, key = {}, ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if line[:1].isspace() and line.strip():
            stanza[key] = f"{stanza.get(key, '')} {line.strip()}"
        elif line.strip():
            key, _, value = line.partition(":")
            key = key.strip().lower()
            stanza[key] = value.strip()
        else:
            if "deb" in stanza.get("types", "").split() and stanza.get("enabled", "yes").lower() != "no":
                yield (
                    *(stanza.get(k, "").split() for k in ("uris", "suites", "components")),
                    stanza.get("signed-by", ""),
                )
            stanza = {}
