"""Certificates for tests, made by the `openssl` command: nothing secret lies in the repository."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files. Self-signed, for 127.0.0.1 and localhost, so that it is its own authority."""

    cert: Path
    key: Path


def a_certificate(folder: Path, name: str = "brain", *, password: str = "") -> Certificate:
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    protected = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-days", "2", "-subj", "/CN=robot-brain", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert, *protected],
        check=True, capture_output=True,
    )  # fmt: skip
    return Certificate(cert, key)
