"""What OpenAI's client gets: the texts of `generate`, in its own form."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

import dlm_core as dlm
from dlm_cli.requests.objects import ControlObject
from dlm_core.bundle import Model

from .conftest import SAMPLING, STEPS, Running, Serve

PLUGINS = dlm.load_plugins(chosen=())
MIXED: list[list[str]] = [
    [],
    ["length:8"],
    ["semantic:food=Japanese", "length:9"],
    ["infill:left=The Mill is,right=near Burger King ."],
    ["keyword:cheap"],
    ["not semantic:area=riverside@0.5"],
]


def made(model: Model, controls: Any, n: int, seed: int, **sampling: Any) -> list[dlm.Result]:
    return dlm.generate(
        model, controls, n, seed,
        sampling={**SAMPLING, **sampling}, deterministic=True, plugins=PLUGINS,
    )  # fmt: skip


def test_texts_verdicts_and_signatures_are_those_of_generate(
    server: Running, embedded_model: Model
) -> None:
    answer = server.ask("semantic:food=Japanese", "length:9", n=2, seed=7)
    results = made(embedded_model, ["semantic:food=Japanese", "length:9"], 2, 7)
    assert [choice.text for choice in answer.choices] == [result.text for result in results]
    assert [choice.dlm for choice in answer.choices] == [r.model_dump(mode="json") for r in results]
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage.completion_tokens == answer.usage.total_tokens == 18
    assert answer.choices[0].finish_reason == "stop" and answer.model == "e2e"


def test_the_client_of_the_page_is_answered(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/serve.md").read_text("utf-8")
    (code,) = re.findall(r"^```python client\n(.*?)^```", page, re.S | re.M)
    exec(code.replace("http://127.0.0.1:8000/v1", f"{server.url}/v1"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("'text': 'The Mill is " in line and "'satisfied': True" in line for line in lines)


def test_a_seed_that_was_drawn_gives_the_text_again(server: Running) -> None:
    first, other = server.ask("length:8"), server.ask("length:8")
    assert first.choices[0].dlm["seed"] != other.choices[0].dlm["seed"]
    again = server.ask("length:8", seed=first.choices[0].dlm["seed"])
    assert again.choices[0].dlm == first.choices[0].dlm


@pytest.mark.parametrize(
    ("prompt", "suffix"),
    [
        ("The Mill is", " near Burger King."),
        ("The Mill is ", "near Burger King."),
        ("The Mill", None),
        ("", " near Burger King ."),
    ],
)
def test_prompt_text_and_suffix_are_one_text(
    server: Running, prompt: str, suffix: str | None
) -> None:
    answer = server.ask(prompt=prompt, suffix=suffix, seed=3, max_tokens=6, n=2)
    ends = suffix or ""
    for choice in answer.choices:
        whole = (prompt + choice.text + ends).replace(" .", ".").strip()
        assert whole == choice.dlm["text"] and choice.dlm["satisfied"]
    assert 2 <= answer.usage.completion_tokens <= 12
    echoed = server.ask(prompt=prompt, suffix=suffix, seed=3, max_tokens=6, n=2, echo=True)
    assert [c.text for c in echoed.choices] == [c.dlm["text"] for c in answer.choices]


@pytest.mark.parametrize("most", [1, 5, 12])
def test_max_tokens_bounds_the_words_of_a_whole_text(server: Running, most: int) -> None:
    answer = server.ask(max_tokens=most, n=4, seed=0)
    assert all(1 <= len(choice.dlm["tokens"]) <= most for choice in answer.choices)
    wide = server.ask(max_tokens=4096, seed=5)
    assert wide.choices[0].dlm["controls"] == []  # no bound where none is needed


def test_temperature_is_that_of_the_words(server: Running, embedded_model: Model) -> None:
    (choice,) = server.ask("length:8", seed=1, temperature=0).choices
    assert choice.text == made(embedded_model, "length:8", 1, 1, temperature=0)[0].text


def test_an_object_asks_what_the_spec_does(server: Running) -> None:
    thing = {"kind": "semantic", "fields": {"food": "Japanese"}, "weight": 0.5, "negated": True}
    (choice,) = server.ask(thing, seed=2).choices
    (same,) = server.ask("not semantic:food=Japanese@0.5", seed=2).choices
    assert choice.text == same.text
    assert choice.dlm["signature"] == same.dlm["signature"]


@pytest.mark.parametrize("kind", sorted(PLUGINS.controls))
def test_the_fields_of_every_schema_make_an_object(kind: str) -> None:
    for example in PLUGINS.controls[kind].examples:
        term = dlm.parse_spec(example, PLUGINS.controls)
        fields = term.spec.model_dump(mode="json", exclude_none=True)
        assert set(fields) <= set(type(term.spec).model_json_schema()["properties"])
        spec = ControlObject(kind=kind, fields=fields).spec()
        assert dlm.parse_spec(spec, PLUGINS.controls).spec == term.spec


def test_a_selector_keeps_the_best(server: Running) -> None:
    answer = server.ask("keyword:cheap", n=4, seed=0, extra={"select": "mbr:bleu", "keep": 2})
    assert [choice.dlm["rank"] for choice in answer.choices] == [1, 2]
    scores = [choice.dlm["score"] for choice in answer.choices]
    assert scores == sorted(scores, reverse=True)


def test_a_stream_shows_each_step_and_ends_with_the_text(server: Running) -> None:
    whole = server.ask("length:8", n=2, seed=4)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *drafts, last, usage = server.ask("length:8", n=2, seed=4, **options)
    steps = [(c.index, c.dlm["step"]) for chunk in drafts for c in chunk.choices]
    assert steps == [(index, k) for index in (0, 1) for k in range(1, STEPS + 1)]
    assert all(c.text == "" and c.dlm["draft"] for chunk in drafts for c in chunk.choices)
    assert drafts[0].choices[0].dlm["draft"] != last.choices[0].text
    for index, choice in enumerate(whole.choices):  # what a client joins is the text
        chunks = [c for chunk in (*drafts, last) for c in chunk.choices if c.index == index]
        assert "".join(c.text for c in chunks) == choice.text
    assert [c.dlm for c in last.choices] == [c.dlm for c in whole.choices]
    assert usage.choices == [] and usage.usage == whole.usage


def test_a_draft_is_sent_at_once(server: Running) -> None:
    with socket.create_connection(server.bound.getsockname()) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
        assert client.recv(1)
        (mine,) = [
            state.transport
            for state in server.server.server_state.connections
            if state.transport.get_extra_info("peername") == client.getsockname()
        ]
        assert mine.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_drafts_of_a_shared_batch_reach_their_own_client(serve: Serve) -> None:
    """The last step's draft of a plain length control is the text itself."""
    there = serve(plugin=True, batch_size=8)
    texts: dict[int, list[str]] = {}

    def stream(words: int) -> None:
        *drafts, last = there.ask(f"length:{words}", n=2, seed=words, stream=True)
        final = [c.dlm["draft"] for c in drafts[-1].choices]
        texts[words] = [*final, *(c.text for c in last.choices)]

    with ThreadPoolExecutor() as pool:
        held = pool.submit(there.ask, "hold")
        there.plugin["begun"].wait(60)
        streams = [pool.submit(stream, words) for words in (5, 8, 11)]
        there.until(lambda: there.service.batcher.texts_waiting == 6)
        there.plugin["go_on"].set()
        for one in (held, *streams):
            one.result()
    assert all(final[:2] == final[2:] for final in texts.values())
    assert there.counted("dlm_batch_texts_count") == 2  # the one that held, and one of six


def test_many_at_once_get_the_texts_of_generate(server: Running, embedded_model: Model) -> None:
    def one(k: int) -> tuple[str, str]:
        controls = MIXED[k % len(MIXED)]
        if k % 5 == 4:
            with pytest.raises(openai.BadRequestError):
                server.ask(*controls, "lenth:3")
        (choice,) = server.ask(*controls, seed=k).choices
        return choice.text, made(embedded_model, controls, 1, k)[0].text

    with ThreadPoolExecutor(12) as pool:
        pairs = list(pool.map(one, range(15)))
    assert [served for served, _ in pairs] == [text for _, text in pairs]


def test_a_request_larger_than_a_batch_has_all_its_seeds(serve: Serve) -> None:
    there = serve(batch_size=3)
    answer = there.ask("length:5", n=8, seed=10)
    assert [choice.dlm["seed"] for choice in answer.choices] == list(range(10, 18))
    assert there.counted('dlm_batch_texts_bucket{le="4.0"}') == 3


def test_lists_tell_what_can_be_asked(server: Running) -> None:
    models = server.client.models
    (model,) = models.list().data
    assert model.id == "e2e" and models.retrieve("e2e").model_extra == model.model_extra
    with pytest.raises(openai.NotFoundError, match="no model 'gpt'"):
        models.retrieve("gpt")
    listed = httpx.get(f"{server.url}/v1/controls").json()["data"]
    assert {one["kind"] for one in listed} == set(server.service.job.plugins.controls)
    length = next(one for one in listed if one["kind"] == "length")
    assert length["schema"]["properties"]["words"]["minimum"] == 1 and not length["negatable"]
    assert httpx.get(f"{server.url}/health").json()["status"] == "ok"
    assert "/v1/completions" in httpx.get(server.url).text


def test_metrics_count_texts_and_verdicts(serve: Serve) -> None:
    there = serve()
    there.ask("length:5", n=3)
    page = httpx.get(f"{there.url}/metrics").text
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["dlm_texts_total",] == 3 and samples["dlm_words_total",] == 15
    assert samples["dlm_verdicts_total", "length", "holds"] == 3
    assert samples["dlm_answers_total", "200"] == 1
