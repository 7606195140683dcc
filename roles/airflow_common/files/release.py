# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a release, a virtualenv of what a lock file names, or takes one over from a host that has made it.

    release.py make LOCKS LOCK RELEASE MANIFEST [LINK]
    release.py offer RELEASE ADDRESS PORT
    release.py take URL SHA256 RELEASE MANIFEST [LINK]

LOCKS: folder that holds uv.txt and the lock file LOCK; uv goes into a folder beside it.
RELEASE: folder of the virtualenv. It lies at the same path on every host, as its scripts name it.
MANIFEST: text that is written into the release's file `manifest` when it is complete.
LINK: symbolic link to the release in use, which is then led to this one.

What is offered is release.tar, by HTTP; its SHA-256 is printed. Not compressed: hosts of one cluster are near
each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

BLOCK = 1 << 20
CONNECT_TIMEOUT = 10
# A unit, and the folder of its state.
OFFER = "airflow-release"
OFFER_SECONDS = 1800


def install_uv(locks: Path, target: Path) -> None:
    """With the pip that the distribution keeps for venv: one of its own would cost thrice the CPU time."""
    wheels = sorted(Path(str(sysconfig.get_config_var("WHEEL_PKG_DIR"))).glob("pip-*.whl"))
    if not wheels:
        sys.exit("The distribution's pip for virtual environments is missing: install python3-venv.")
    command = [sys.executable, wheels[0] / "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-cache-dir", "--no-compile", "--require-hashes", "--upgrade", "--target", target]
    subprocess.run([*command, "--requirement", locks / "uv.txt"], check=True)


def keep_uv(uv: Path, release: Path) -> None:
    """For tasks that make virtualenvs. One that the lock file names stays."""
    if any(release.glob("lib/python*/site-packages/uv-*.dist-info")):
        return
    beside = release / "bin/uv.partial"
    shutil.copyfile(uv, beside)
    beside.chmod(0o755)
    beside.replace(release / "bin/uv")


@contextmanager
def own_tmp(folder: Path) -> Iterator[None]:
    """For pip and uv, which unpack hundreds of MiB, where /tmp may be small, in memory, or noexec.

    A TMPDIR that was given is used.
    """
    if os.environ.get("TMPDIR"):
        yield
        return
    # One of a run that was cut off.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        shutil.rmtree(folder, ignore_errors=True)


def make(locks: Path, lock: str, release: Path) -> None:
    """Also repairs a release that was left half made."""
    install_uv(locks, locks.parent / "uv")
    uv = locks.parent / "uv/bin/uv"
    python = f"--python={sys.executable}"
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", python, release], check=True)
    # Services cannot write into it: uncompiled, it would be compiled at every start.
    command = [uv, "pip", "sync", "--quiet", "--no-cache", "--require-hashes", "--compile-bytecode"]
    # The host's own CA certificates count, a site's CA among them.
    environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
    subprocess.run([*command, f"--python={release}/bin/python", locks / lock], check=True, env=environment)
    keep_uv(uv, release)


def copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copies to the end; returns the SHA-256."""
    digest = hashlib.sha256()
    while block := source.read(BLOCK):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()


def pack(release: Path, archive: Path) -> str:
    """Returns the SHA-256 of the archive."""
    archive.parent.mkdir(mode=0o755, exist_ok=True)
    tar = ["tar", "--create", "--owner=0", "--group=0", f"--directory={release}", "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as process, archive.open("wb") as target:
        assert process.stdout is not None
        digest = copy(process.stdout, target)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, tar)
    archive.chmod(0o644)
    return digest


def offer(release: Path, address: str, port: str) -> None:
    """Until the unit is stopped, or its time is up. It takes the archive with it."""
    # One of a run that was cut off: usually there is none.
    subprocess.run(["systemctl", "stop", f"{OFFER}.service"], check=False, stderr=subprocess.DEVNULL)
    # Where systemd looks for the state of a unit with a user of its own, which may then remove it.
    private = Path("/var/lib/private")
    private.mkdir(mode=0o700, exist_ok=True)
    digest = pack(release, private / OFFER / "release.tar")
    command = ["systemd-run", "--quiet", "--collect", f"--unit={OFFER}", f"--property=StateDirectory={OFFER}"]
    command += ["--property=DynamicUser=yes", f"--property=RuntimeMaxSec={OFFER_SECONDS}"]
    command += [f"--property=ExecStopPost=/usr/bin/rm -f /var/lib/{OFFER}/release.tar"]
    server = [sys.executable, "-m", "http.server", f"--bind={address}", f"--directory=/var/lib/{OFFER}", port]
    subprocess.run([*command, *server], check=True)
    print(digest)


def complete(release: Path, manifest: str, link: Path | None = None) -> None:
    """The manifest last: a release without one is not used, and made again."""
    partial = release / "manifest.partial"
    partial.write_text(manifest)
    partial.chmod(0o644)
    partial.rename(release / "manifest")
    if link:
        beside = link.with_name(f"{link.name}.partial")
        beside.unlink(missing_ok=True)
        beside.symlink_to(release)
        beside.rename(link)


def take(url: str, sha256: str, release: Path) -> None:
    """In its place only when it is whole and what the other host packed."""
    if release.exists():
        # Services may run from it.
        sys.exit(f"{release} exists: it is to be repaired in place.")
    beside = release.with_name(f"{release.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    # No proxy: it comes from a neighbour.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        tar = ["tar", "--extract", "--same-permissions", f"--directory={beside}"]
        source = opener.open(url, timeout=CONNECT_TIMEOUT)
        with source, subprocess.Popen(tar, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            digest = copy(source, process.stdin)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, tar)
        if digest != sha256:
            sys.exit(f"What {url} gave is not what was packed there: SHA-256 {digest} instead of {sha256}.")
        beside.rename(release)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def main(action: str, *arguments: str) -> None:
    # Services read it as a user of their own, however strict the umask of root's logins.
    os.umask(0o022)
    if action == "offer":
        release, address, port = arguments
        offer(Path(release), address, port)
        return
    source, name, folder, manifest, *link = arguments
    if action == "make":
        with own_tmp(Path(source).parent / "tmp"):
            make(Path(source), name, Path(folder))
    elif action == "take":
        take(source, name, Path(folder))
    else:
        sys.exit(__doc__)
    complete(Path(folder), manifest, *map(Path, link))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        # What the tool said stands above.
        sys.exit(f"{error.cmd[0]} ended with {error.returncode}.")
    except OSError as error:
        sys.exit(str(error))
