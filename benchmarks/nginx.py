"""nginx as pass-through: the limit, for it translates nothing. Installed, or taken from Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UNPACKED = Path(sys.prefix) / "nginx"
"""Where the package's files go: in the virtual environment. Nothing on the machine is changed or started."""

_MISSING = (
    "nginx is left out: it is not installed, and Debian's package could not be had ({why}). "
    "`apt-get install nginx` mends that."
)


class NoNginx(Exception):
    """Why there is none, in one sentence."""


def find() -> str:
    """The program: the machine's own, or else one unpacked from Debian's package.

    Raises:
        NoNginx: If there is neither.
    """
    unpacked = UNPACKED / "usr/sbin/nginx"
    if program := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return program
    if not unpacked.exists():
        _unpack()
    _run([str(unpacked), "-v"])
    return str(unpacked)


def version(program: str) -> str:
    """Like `1.22.1`."""
    said = subprocess.run([program, "-v"], check=True, capture_output=True, text=True).stderr
    return said.strip().rpartition("/")[2]


def _unpack() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NoNginx(_MISSING.format(why="this is no Debian"))
    with tempfile.TemporaryDirectory() as directory:
        download = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "nginx"]
        try:
            _run(download, directory)
        except NoNginx:
            if os.geteuid():
                raise
            _run(["apt-get", "update", "-qq"])
            _run(download, directory)
        (package,) = Path(directory).glob("nginx_*.deb")
        _run(["dpkg-deb", "-x", str(package), str(UNPACKED)])


def _run(command: list[str], directory: str | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoNginx(_MISSING.format(why=error)) from error
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2] or f"{command[0]} ended with {done.returncode}"
        raise NoNginx(_MISSING.format(why=said))


def configuration(directory: Path, port: int, upstream: int) -> str:
    """One process that passes everything on at once, over connections that stay open.

    Args:
        directory: Takes what nginx writes.
        port: Where it listens, on 127.0.0.1.
        upstream: Dify's port.
    """
    temporary = "\n".join(
        f"  {kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
{temporary}
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  upstream dify {{
    server 127.0.0.1:{upstream};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://dify;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 120s;
    }}
  }}
}}
"""
