"""Which commands there are, and where each lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command, or a group of them: `module` holds it as `command` or `app`."""

    name: str
    summary: str
    group: bool
    panel: str
    file: str = ""

    @property
    def module(self) -> str:
        """Where it is."""
        return f"dlm_cli.{self.file or self.name}"


COMMANDS = (
    Command("generate", "Generate texts under controls.", False, "Use", "generate.command"),
    Command("serve", "Serve texts over HTTP.", False, "Use", "serve.command"),
    Command("select", "Choose among texts of a JSONL file.", False, "Use"),
    Command("evaluate", "Measure texts, compare two systems.", False, "Use", "evaluate.command"),
    Command("verify", "Judge a text by controls.", False, "Use"),
    Command("score", "Nats a token of texts, by a teacher.", False, "Use", "evaluate.score"),
    Command("nll", "Bound a model's likelihood of texts.", False, "Use", "evaluate.nll"),
    Command("controls", "List, show and check controls.", True, "Use"),
    Command("selectors", "List selectors.", True, "Use"),
    Command("models", "List, show, copy and share models.", True, "Use"),
    Command(
        "train",
        "Train a Diffusion-LM, its writer, a control's head, or a teacher.",
        True,
        "Extend",
        "train.commands",
    ),
    Command("data", "Check a corpus before training on it.", True, "Extend"),
    Command("plugins", "List, show, start and check plugins.", True, "Extend", "plugins.commands"),
    Command("env", "Show versions, device and settings, for a bug report.", False, "Extend"),
)
