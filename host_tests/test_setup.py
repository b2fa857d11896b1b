"""tools/setup.py and tools/debian.py without the network: sources, stamps, hashes, and clean failures."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile

import debian
import pytest
import setup

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def etc_apt(tmp_path, **files):
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        path = (
            tmp_path / "sources.list"
            if name == "sources"
            else tmp_path / "sources.list.d" / name.replace("_", ".")
        )
        path.write_text(text)
    return debian.debian_mirrors(tmp_path)


def test_mirror_from_deb822(tmp_path):
    assert etc_apt(
        tmp_path,
        debian_sources=f"""\
# a comment
Types: deb deb-src
URIs: http://mirror.test/debian/
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: {KEY}

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEY}

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
""",
    ) == ["http://mirror.test/debian"]


def test_mirror_from_one_line_format(tmp_path):
    assert etc_apt(
        tmp_path,
        sources=f"""\
# deb http://off.test/debian bookworm main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb-src http://source.test/debian bookworm main
deb http://security.test/debian-security bookworm-security main
deb [arch=amd64 signed-by={KEY}] https://mirror.test/debian bookworm main non-free # near
""",
    ) == ["https://mirror.test/debian"]


def test_mirror_of_other_vendors_comes_last_or_not_at_all(tmp_path):
    assert etc_apt(
        tmp_path,
        a_list="deb [signed-by=/usr/share/keyrings/vendor.gpg] https://vendor.test/apt bookworm main\n"
        "deb https://docker.test/linux/debian bookworm stable\n"
        "deb https://ubuntu.test/ubuntu noble main\n",
        b_sources=f"Types: deb\nURIs: https://odd.test/p\nSuites: sid\nComponents: main\nSigned-By: {KEY}\n",
        c_sources_disabled="Types: deb\nURIs: https://off.test/debian\nSuites: stable\nComponents: main\n",
    ) == ["https://odd.test/p", "https://vendor.test/apt"]


@pytest.mark.parametrize(
    "problem, named",
    [
        ("no apt-get", "no apt-get"),
        ("no keys", "debian-archive-keyring"),
        ("no mirror", "no mirror of Debian"),
    ],
)
def test_machine_that_is_not_debian_gets_one_line(tmp_path, monkeypatch, problem, named):
    if problem == "no apt-get":
        monkeypatch.setattr(debian.shutil, "which", lambda *a, **k: None)
    else:
        monkeypatch.setattr(debian.shutil, "which", lambda name, *a, **k: name)
        monkeypatch.setattr(debian, "KEYRINGS", () if problem == "no keys" else (__file__,))
        monkeypatch.setattr(debian, "debian_mirrors", lambda etc: [])
    with pytest.raises(debian.SetupError) as refused:
        debian.fetch_packages(["tshark"], "amd64", tmp_path / "work")
    message = str(refused.value)
    assert named in message and "micropython32" in message and "\n" not in message
    assert not (tmp_path / "work").exists()


def test_pip_complaints_are_one_line():
    mismatch = (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you\n"
        "    rich==15.0.0 from file:///x (from -r requirements.lock (line 3)):\n        Expected sha256 00\n"
    )
    assert setup.pip_complaint(mismatch).startswith("rich==15.0.0 is not the file")
    gone = "WARNING: Retrying\nERROR: No version\nERROR: No matching distribution found for rich==15\n"
    assert setup.pip_complaint(gone).startswith(
        "No matching distribution found for rich==15; check the network"
    )
    assert "\n" not in setup.pip_complaint(gone) and setup.pip_complaint("")


def umqtt_archive(path, text=b"class MQTTClient: pass\n"):
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("micropython-umqtt.simple-1.3.4/umqtt/simple.py")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_umqtt_with_another_hash_is_refused(tmp_path, monkeypatch):
    archive = tmp_path / "umqtt.tar.gz"
    digest = umqtt_archive(archive)
    with pytest.raises(debian.SetupError, match="pinned sha256"):
        setup.unpack_umqtt(archive, tmp_path / "umqtt")
    assert not (tmp_path / "umqtt").exists()
    monkeypatch.setattr(setup, "UMQTT_SHA256", digest)
    setup.unpack_umqtt(archive, tmp_path / "umqtt")
    assert (tmp_path / "umqtt/umqtt/simple.py").read_text() == "class MQTTClient: pass\n"


@pytest.fixture
def clone(tmp_path):
    """A clone whose .venv and .deps are whole, as far as the stamps tell."""
    (tmp_path / "requirements.lock").write_text("rich==15.0.0 --hash=sha256:00\n")
    (tmp_path / "pyproject.toml").write_text('[project.scripts]\ngridmote = "gridmote.cli:app"\n')
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / ".venv/gridmote.stamp").write_text(setup.venv_stamp(tmp_path))
    (tmp_path / ".deps/bin").mkdir(parents=True)
    (tmp_path / ".deps/stamp.json").write_text(json.dumps({"version": setup.VERSION, "needs": ["bin"]}))
    (tmp_path / "requirements-stubs.lock").write_text("rp2==1.25.0 --hash=sha256:00\n")
    (tmp_path / ".deps/stubs").mkdir()
    (tmp_path / ".deps/stubs/stamp").write_text("rp2==1.25.0 --hash=sha256:00\n")
    return tmp_path


def test_second_run_does_nothing(clone, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", None)
    setup.set_up(clone)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "lost", [".venv/bin/python", ".venv/gridmote.stamp", ".deps/stamp.json", ".deps/bin", ".deps/stubs/stamp"]
)
def test_what_is_lost_is_made_again(clone, monkeypatch, lost):
    made = []
    monkeypatch.setattr(setup, "make_venv", lambda root, scratch: made.append(".venv"))
    monkeypatch.setattr(setup, "make_deps", lambda root, scratch: made.append(".deps"))
    monkeypatch.setattr(setup, "make_stubs", lambda root, scratch: made.append(".deps/stubs"))
    path = clone / lost
    path.rmdir() if path.is_dir() else path.unlink()
    setup.set_up(clone)
    assert made == [lost.split("/")[0] if "stubs" not in lost else ".deps/stubs"]


def test_lock_file_or_scripts_changed(clone):
    assert setup.venv_is_whole(clone) and setup.deps_are_whole(clone)
    (clone / "requirements.lock").write_text("rich==15.0.1 --hash=sha256:00\n")
    assert not setup.venv_is_whole(clone)


def test_failure_leaves_what_was_there(clone, monkeypatch):
    (clone / "requirements.lock").write_text("changed")

    def broken(root, scratch):
        (scratch / "venv").mkdir()
        raise debian.SetupError("Python packages: the download broke off")

    monkeypatch.setattr(setup, "make_venv", broken)
    before = sorted(clone.rglob("*"))
    with pytest.raises(debian.SetupError):
        setup.set_up(clone)
    assert [path for path in sorted(clone.rglob("*")) if path != clone / "build"] == before


def program(path, text):
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    "name, said, fits",
    [
        ("micropython", "1 25 True", True),
        ("micropython", "1 23 True", False),
        ("micropython", "1 25 False", False),
        ("micropython32", "1 24 False", True),
        ("micropython32", "1 25 True", False),
        ("micropython", "2 0 True", True),
        ("mosquitto", "mosquitto version 2.0.11", True),
        ("mosquitto", "mosquitto version 1.6.9", False),
        ("tshark", "TShark (Wireshark) 4.0.1", True),
        ("tshark", "not found", False),
    ],
)
def test_program_on_path_is_taken_when_recent_enough(tmp_path, monkeypatch, name, said, fits):
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    program(tmp_path / name, said)
    found = setup.find_on_path(name)
    assert (found == str(tmp_path / name)) == fits


def test_32_bit_micropython_may_have_the_plain_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path / "micropython", "1 26 False")
    assert setup.find_on_path("micropython32") == str(tmp_path / "micropython")
    assert setup.find_on_path("micropython") is None


def test_console_script_in_a_folder_with_blanks(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    setup.write_script(folder / "tool", folder / "python", "platform:python_version")
    done = subprocess.run([str(folder / "tool")], capture_output=True, text=True, timeout=20)
    assert "%d.%d" % sys.version_info[:2] in done.stderr  # sys.exit() prints what the function returned
