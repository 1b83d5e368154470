"""The model: a signed file of safety rules, loaded once per pod. Whatever is wrong with it, it is not loaded."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from aegis_flows.lab.aegis import settings


class LoadError(Exception):
    """`reason` is one of metrics.SIGNATURE_REASONS, or `model_unreadable` for a file that holds no rules."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}"


@dataclass(frozen=True)
class Judgement:
    reason: str | None
    pii: bool

    @property
    def flagged(self) -> bool:
        return self.reason is not None


@dataclass(frozen=True)
class Rule:
    reason: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Model:
    version: str
    rules: tuple[Rule, ...]

    def judge(self, prompt: str) -> Judgement:
        """The first rule that matches names the reason; personal data is noted beside it."""
        reasons = [rule.reason for rule in self.rules if rule.pattern.search(prompt)]
        return Judgement(reason=reasons[0] if reasons else None, pii="pii" in reasons)


def load(wanted: settings.Model) -> Model:
    """Reads `<registry>/<version>/model.bin`, after its signature holds where one is required; raises LoadError."""
    folder = wanted.registry / wanted.version
    if not (folder / "model.bin").is_file():
        raise LoadError("model_missing", f"the registry has no {wanted.version}/model.bin")
    if wanted.signing_required:
        _verify(folder, wanted.public_key)
    return _parse(wanted.version, folder / "model.bin")


def _verify(folder: Path, public_key: Path | None) -> None:
    if public_key is None or not public_key.is_file():
        raise LoadError("missing_key", "signatures are required and MODEL_SIGNING_PUBLIC_KEY names no file")
    if not (folder / "model.sig").is_file():
        raise LoadError("missing_signature", f"the registry has no {folder.name}/model.sig")
    from model_signing import verifying

    try:
        config = verifying.Config()  # type: ignore[no-untyped-call]  # model-signing leaves it untyped
        verifier = config.use_elliptic_key_verifier(public_key=public_key)
    except Exception as error:  # model-signing has no common error class
        raise LoadError("wrong_key", "MODEL_SIGNING_PUBLIC_KEY is not a public key on a supported curve") from error
    try:
        verifier.verify(folder, folder / "model.sig")
    except Exception as error:  # a ValueError, an InvalidSignature, a KeyError and more
        if str(error).startswith("Key mismatch"):
            raise LoadError("wrong_key", f"{folder.name} was signed with another key") from error
        raise LoadError("signature_mismatch", f"{folder.name} is not what was signed") from error


def _parse(version: str, path: Path) -> Model:
    try:
        rules = json.loads(path.read_bytes())["rules"]
        return Model(version, tuple(Rule(rule["reason"], re.compile(rule["pattern"], re.IGNORECASE)) for rule in rules))
    except (OSError, ValueError, KeyError, TypeError, re.error) as error:
        raise LoadError("model_unreadable", f"{version}/model.bin holds no rules ({type(error).__name__})") from error
