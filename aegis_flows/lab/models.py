"""The lab's model registry: two small signed versions of the safety model, and keys for drills."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing

RULES = {
    "self_harm": r"\b(hurt|kill|harm)(ing)? (myself|yourself)\b",
    "jailbreak": r"\b(ignore|forget) (all |your |the )*(previous |prior )*(instructions|rules)\b|\bdeveloper mode\b",
    "pii": r"[\w.+-]+@[\w-]+\.\w+|\b\d{3}-\d{2}-\d{4}\b",
}
VERSIONS: Mapping[str, Mapping[str, str]] = {
    "v1": RULES,
    "v2": {**RULES, "pii": RULES["pii"] + r"|\b(?:\d{4}[ -]){3}\d{4}\b"},  # v2 knows card numbers too
}


@dataclass(frozen=True)
class SignedModels:
    registry: Path
    public_key: Path
    unrelated_public_key: Path


def sign_models(folder: Path) -> SignedModels:
    """Writes `<folder>/registry/<version>/model.{bin,sig}` and PEM keys under `<folder>/keys`."""
    keys = folder / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    private_key = _make_keys(keys, "model")
    _make_keys(keys, "unrelated")
    for version, rules in VERSIONS.items():
        _write_model(folder / "registry" / version, version, rules)
        sign(folder / "registry" / version, private_key)
    return SignedModels(folder / "registry", keys / "model.pub.pem", keys / "unrelated.pub.pem")


def sign(version_folder: Path, private_key: Path) -> None:
    """Signs every file in the folder but `model.sig`, which it writes."""
    signature = version_folder / "model.sig"
    hashed = hashing.Config()  # type: ignore[no-untyped-call]  # model-signing leaves both untyped
    signer = signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=private_key)
    signer.set_hashing_config(hashed.set_ignored_paths(paths=[signature], ignore_git_paths=False))
    signer.sign(version_folder, signature)


def _write_model(folder: Path, version: str, rules: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = {"version": version, "rules": [{"reason": reason, "pattern": rules[reason]} for reason in rules]}
    (folder / "model.bin").write_text(json.dumps(model, indent=1))


def _make_keys(folder: Path, name: str) -> Path:
    """The private key's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.key.pem", folder / f"{name}.pub.pem"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private
