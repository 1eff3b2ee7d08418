"""What TAB offers, in bash, which splits words at `:` and `=`, and in other shells."""

from __future__ import annotations

import pytest


@pytest.fixture
def tab(run_cli, monkeypatch):
    """The answers of bash to a line with TAB at its end."""

    def run(line):
        pieces = line.split(" ")
        monkeypatch.setenv("_DLM_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(pieces) - 1))
        return run_cli().lines

    return run


def test_bash(tab, tmp_path, monkeypatch):
    assert tab("dlm generate -c sem") == ["semantic:"]
    assert "food=" in tab("dlm generate -c semantic :")
    assert tab("dlm generate -c semantic : fo") == ["food="]
    assert tab("dlm generate -c semantic : food = J") == ["Japanese"]
    assert len(tab("dlm generate -c semantic : food =")) > 5
    assert tab("dlm generate --not avoi") == ["avoid:"]
    assert tab("dlm generate -s mb") == ["mbr:"]
    assert tab("dlm select x -s mbr : uti") == ["utility="]
    assert tab("dlm controls show se") == ["semantic"]
    assert tab("dlm controls check leng") == ["length:"]
    assert tab("dlm train lm --corpus e2") == ["e2e:"]
    (tmp_path / "e2e-mine").mkdir()
    (tmp_path / "corpus.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert tab("dlm generate -m e2") == ["e2e", "e2e-mine/"]
    assert tab("dlm train lm --corpus text : co") == ["corpus.txt"]
    (tmp_path / "corpus.toml").touch()
    assert tab("dlm generate -r co") == ["corpus.toml"]
    assert tab("dlm --log-level w") == ["warning"]
    assert tab("dlm generate --guidance p") == ["posterior", "paper"]


def test_zsh_gets_whole_words(run_cli, monkeypatch):
    monkeypatch.setenv("_DLM_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "dlm generate -c semantic:food=J")
    assert '"semantic\\\\:food=Japanese"' in run_cli().out


def test_a_broken_plugin_says_nothing_into_the_line(tab, broken_plugin, monkeypatch):
    monkeypatch.setenv("DLM_PLUGINS", str(broken_plugin))
    assert tab("dlm generate -c leng") == ["length:"]


def test_models_of_the_hub_that_are_in_the_cache(tab, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, text in (("them--theirs", '{"format": "dlm-bundle-1"}'), ("them--other", "{}")):
        folder = tmp_path / f"models--{name}/snapshots/0"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(text)
    assert tab("dlm generate -m th") == ["them/theirs"]
    assert tab("dlm models pull th") == ["them/theirs"]
