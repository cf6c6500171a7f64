"""The programs that are measured beside cado-ops, each in an environment of its own below .cache/bench."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Peer:
    """A program of the package index, at the versions that are compared with."""

    name: str
    packages: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return ROOT / ".cache" / "bench" / self.name

    @property
    def built(self) -> bool:
        return (self.folder / "built").exists()

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def build(self, say: Callable[[str], None]) -> None:
        """Makes the environment where it is not there yet. Raises CalledProcessError."""
        if self.built and (self.folder / "built").read_text() == " ".join(self.packages):
            return
        say(f"Making the environment of {self.name}. This happens once.")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder)], check=True)
        pip = [str(self.program("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.packages], check=True)
        (self.folder / "built").write_text(" ".join(self.packages))

    def versions(self) -> dict[str, str]:
        """What is in it that matters for speed; empty where it is not built."""
        if not self.built:
            return {}
        pip = [str(self.program("python")), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
        listed = json.loads(subprocess.run(pip, check=True, capture_output=True, text=True).stdout)
        wanted = {"c7n", "c7n-org", "awscli", "botocore"}
        return {each["name"]: each["version"] for each in listed if each["name"].replace("_", "-") in wanted}


C7N = Peer("c7n", ("c7n==0.9.53", "c7n-org==0.6.52"))
AWSCLI = Peer("awscli", ("awscli==1.46.3",))


def bundle_and_server_certificate(folder: Path) -> tuple[str, tuple[str, str]]:
    """A CA bundle of real size, botocore's and one CA more, and that CA's certificate and key for localhost."""
    import botocore
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def signed(subject: str, public: rsa.RSAPublicKey, extension: x509.ExtensionType) -> bytes:
        certificate = (
            x509.CertificateBuilder(name("bench"), name(subject), public, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=7))
            .add_extension(extension, critical=False)
            .sign(authority, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    authority, server = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    own = signed("bench", authority.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    bundle = folder / "bundle.pem"
    bundle.write_bytes(Path(botocore.__file__).with_name("cacert.pem").read_bytes() + b"\n" + own)
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(
        signed("localhost", server.public_key(), x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    )
    key.write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(bundle), (str(certificate), str(key))
