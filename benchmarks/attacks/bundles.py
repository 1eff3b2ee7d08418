"""Row `bundles`: a damaged or hostile bundle is refused by name; nothing is run, written, taken."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .common import GIB, ROOT, Done, Row, dlm, tiny_bundle, trouble

SECONDS, MEGABYTES = 30.0, 1_500.0
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m"
Damage = Callable[[Path], None]


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def config(**changes: Any) -> Damage:
    """Other values in the table `model` of config.json."""

    def damage(bundle: Path) -> None:
        path = bundle / "config.json"
        data = json.loads(path.read_text())
        data["model"] |= changes
        path.write_text(json.dumps(data))

    return damage


def tensors(change: Callable[[Any], Any]) -> Damage:
    """Every float of the weights, changed."""

    def damage(bundle: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        path = bundle / "model.safetensors"
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata()
        save_file({k: change(v) for k, v in load_file(path).items()}, path, metadata)

    return damage


def put(name: str, content: bytes) -> Damage:
    """A file of the bundle, written anew."""

    def damage(bundle: Path) -> None:
        path = bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    return damage


def link(name: str, target: str) -> Damage:
    """A file of the bundle, replaced by a link."""

    def damage(bundle: Path) -> None:
        (bundle / name).unlink()
        (bundle / name).symlink_to(target)

    return damage


def truncated(bundle: Path) -> None:
    path = bundle / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1_000])


def pickled(name: str) -> Damage:
    def damage(bundle: Path) -> None:
        put(name, pickle.dumps(Bomb(bundle.parent / "pwned")))(bundle)

    return damage


def empty(bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.mkdir()


def pipe(bundle: Path) -> None:
    (bundle / "config.json").unlink()
    os.mkfifo(bundle / "config.json")


def foreign_head(bundle: Path) -> None:
    shutil.copytree(ROOT / "dlm_core/models/e2e/controls/pos", bundle / "controls/pos")


def pickled_head(bundle: Path) -> None:
    foreign_head(bundle)
    pickled("controls/pos/head.safetensors")(bundle)


def bpe(bundle: Path) -> None:
    from tokenizers import Tokenizer, models

    (bundle / "tokenizer.json").unlink()
    Tokenizer(models.BPE()).save(str(bundle / "tokenizer.json"))


def one_id(bundle: Path) -> None:
    path = bundle / "tokenizer.json"
    data = json.loads(path.read_text())
    words = data["model"]["vocab"]
    words[max(words, key=words.__getitem__)] = 4
    path.write_text(json.dumps(data))


def steering_words(bundle: Path) -> None:
    path = bundle / "tokenizer.json"
    path.write_text(path.read_text().replace('"The"', json.dumps("\x1b[31mThe")))


def unreadable(bundle: Path) -> None:
    (bundle / "model.safetensors").chmod(0)


HEADER = json.dumps({"a": {"dtype": "F16", "shape": [10**12], "data_offsets": [0, 2 * 10**12]}})
REFUSED: dict[str, Damage] = {
    "weights cut short": truncated,
    "header longer than the file": put("model.safetensors", struct.pack("<Q", 2**60) + b"{}"),
    "header that promises 2 TB": put(
        "model.safetensors", struct.pack("<Q", len(HEADER)) + HEADER.encode()
    ),
    "pickle named safetensors": pickled("model.safetensors"),
    "NaN weights": tensors(lambda v: v * float("nan")),
    "infinite weights": tensors(lambda v: v + float("inf")),
    "weights of integers": tensors(lambda v: v.int()),
    "vocabulary of another size": config(vocab_size=300),
    "config.json is no JSON": put("config.json", b"\x80\x04model"),
    "config.json nested 100,000 deep": put("config.json", b"[" * 100_000),
    "config.json of a later format": put("config.json", b'{"format": "dlm-bundle-9"}'),
    "hidden = 10^9": config(hidden=10**9),
    "layers = 10^6": config(layers=10**6),
    "max_len = 10^10": config(max_len=10**10),
    "embedding_dim = 10^30": config(embedding_dim=10**30),
    "sigma_0 = NaN": config(sigma_0=float("nan")),
    "train_steps = 10^18": config(train_steps=10**18),
    "another noise schedule": config(noise_schedule="cosine"),
    "empty folder": empty,
    "tokenizer of another kind": bpe,
    "two words of one id": one_id,
    "head of another model": foreign_head,
    "head that is a pickle": pickled_head,
    "config.json is a pipe": pipe,
    "weights are an endless file": link("model.safetensors", "/dev/zero"),
    "vocabulary is an endless file": link("tokenizer.json", "/dev/zero"),
    "weights that may not be read": unreadable,
}
NEEDS_HEAD = ("head of another model", "head that is a pickle")
SPEAKING: dict[str, Damage] = {
    "escape codes in the card": put("README.md", f"# A {ESCAPES} model\n".encode()),
    "escape codes in a head's name": put(f"controls/{ESCAPES[:4]}/config.json", b"{}"),
    "escape codes in words": steering_words,
    "escape codes in config.json": put("config.json", f'{{"format": "{ESCAPES[5:12]}"}}'.encode()),
}
"""Shown, listed and generated with: whatever they say, the terminal is not steered."""
GENERATE = ("generate", "-n", 4, "--steps", 2, "--device", "cpu", "--no-verify", "-m")


def run(names: list[str] | None = None) -> Row:
    """Each damage on a bundle of its own."""
    names = names or [*REFUSED, *SPEAKING]
    row = Row("bundles", f"{len(names)} damaged or hostile bundles refused", len(names))
    most = 0.0
    with tempfile.TemporaryDirectory() as folder:
        sound = tiny_bundle(Path(folder) / "sound")
        for name in names:
            bundle = Path(shutil.copytree(sound, Path(folder) / "mine"))
            if name == "weights that may not be read" and os.geteuid() == 0:
                row.notes.append(f"'{name}' skipped: root may read everything")
            elif name in REFUSED:
                REFUSED[name](bundle)
                most = max(most, refused(row, name, bundle))
            else:
                SPEAKING[name](bundle)
                for words in (("models", "show"), ("models", "list"), GENERATE):
                    done = dlm(*words, bundle, timeout=60, memory=12 * GIB)
                    wrong = trouble(done, (0, 2, 3)) or speaks(done)
                    row.check(wrong is None, name, f"{words[:2]}: {wrong}")
            shutil.rmtree(bundle)
    row.notes.append(f"at most {most:,.0f} MB")
    return row


def refused(row: Row, name: str, bundle: Path) -> float:
    """Try to generate with it; returns the peak memory, MB."""
    before = dict(snapshot(bundle))
    control = ("-c", "pos:DET ...") if name in NEEDS_HEAD else ()
    words = ("--steps", 2, "-n", 1, "--device", "cpu", *control)
    done = dlm("generate", "-m", bundle, *words, timeout=60, memory=12 * GIB)
    wrong = trouble(done, (2, 3)) or speaks(done)
    row.check(wrong is None, name, wrong)
    row.check(str(bundle) in done.err, name, "the bundle is not named")
    row.check(not done.out, name, f"wrote {done.out[:40]!r} all the same")
    row.check(done.seconds <= SECONDS, name, f"took {done.seconds:.0f} s")
    row.check(done.peak_mb <= MEGABYTES, name, f"took {done.peak_mb:,.0f} MB")
    row.check(dict(snapshot(bundle)) == before, name, "the bundle was changed")
    row.check(not (bundle.parent / "pwned").exists(), name, "its code was run")
    return done.peak_mb


def speaks(done: Done) -> str | None:
    """Control characters on their way to a terminal."""
    found = {
        c for c in done.out + done.err if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160
    }
    return f"control characters {sorted(found)} reach the terminal" if found else None


def snapshot(bundle: Path) -> Iterator[tuple[str, str]]:
    """Names and digests of a bundle's files."""
    for path in sorted(bundle.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        yield str(path), hashlib.sha256(content).hexdigest()
