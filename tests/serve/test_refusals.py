"""Bad requests, bad clients, too much of anything: told, refused or dropped, and nothing hangs."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from dlm_cli.__main__ import main
from dlm_core.bundle import EMBEDDED

from .conftest import Running, Serve

OUTSIDE = EMBEDDED / "e2e" / "controls" / ".." / ".." / "other"


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("lenth:12", {"span": [0, 5]}),
        ("length:0", {"field": "words", "span": [7, 8]}),
        ("length:12,until=3", {}),
        ("semantic:food=Klingon", {"field": "value", "span": [14, 21]}),
        ("keyword:xyzzy", {"source": "xyzzy", "span": [0, 5]}),
        ("length:500", {}),
        ("not length:5", {}),
    ],
)
def test_a_bad_control_is_400_in_the_words_of_the_command_line(
    server: Running, capsys: pytest.CaptureFixture[str], spec: str, place: dict[str, Any]
) -> None:
    capsys.readouterr()
    assert main(["controls", "check", spec]) in (2, 4)
    told = capsys.readouterr().err
    with pytest.raises(openai.BadRequestError) as caught:
        server.ask("length:5", spec)
    error: Any = caught.value.body
    assert told == f"error: {error['message']}\nhint: {error['hint']}\n"
    assert error["type"] == "invalid_request_error"
    if error["code"] == "invalid_control":
        assert error["param"] == "controls.1"
    assert place.items() <= error.items()


def test_objects_that_contradict_are_told_as_specs(server: Running) -> None:
    asked = [{"kind": "length", "fields": {"words": words}} for words in (5, 9)]
    with pytest.raises(openai.BadRequestError) as caught:
        server.ask(*asked)
    error: Any = caught.value.body
    assert "'length:5'" in error["message"] and "'length:9'" in error["message"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"n": 0}, 400, "invalid_request", "n"),
        ({"n": 65}, 400, "limit_exceeded", "n"),
        ({"controls": ["length:5"] * 1000}, 400, "limit_exceeded", "controls"),
        ({"controls": [5]}, 400, "invalid_request", "controls.0"),
        ({"controls": [{"kind": "length", "field": {}}]}, 400, "invalid_request", "controls.0"),
        ({"control": []}, 400, "invalid_request", "control"),
        ({"prompt": ["a", "b"]}, 400, "invalid_request", "prompt"),
        ({"top_p": 0.5}, 400, "invalid_request", "top_p"),
        ({"stop": ["."]}, 400, "invalid_request", "stop"),
        ({"model": "gpt-4"}, 404, "model_not_found", "model"),
        ({"seed": 2**63}, 400, "invalid_request", "seed"),
        ({"keep": 2}, 400, "invalid_request", None),
        ({"select": "mbr:blue"}, 400, "invalid_control", None),
        ({"select": "lm:/etc"}, 400, "invalid_request", "select"),
        ({"controls": ["classify:/etc/x=yes"]}, 400, "invalid_request", "controls.0"),
        ({"controls": [f"classify:{OUTSIDE}=yes"]}, 400, "invalid_request", "controls.0"),
        ({"controls": ["classify:friendly=yes"]}, 400, "missing", "controls.0"),
        ({"controls": ["length:5", "length:6"]}, 400, "unsatisfiable", None),
        ([], 400, "invalid_request", None),
    ],
)
def test_what_cannot_be_is_told_with_its_key(
    server: Running, body: Any, status: int, code: str, param: str | None
) -> None:
    answer = server.post(json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"] and len(error["message"]) < 2000


def test_neutral_values_of_openai_are_taken(server: Running) -> None:
    body = {
        "top_p": 1,
        "stop": None,
        "logprobs": None,
        "best_of": 1,
        "user": "me",
        "logit_bias": {},
    }
    assert server.post(json={**body, "controls": "length:5"}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"n": 1, "n": 2}', b"[" * 100_000])
def test_what_is_no_json_is_told(server: Running, body: bytes) -> None:
    answer = server.post(content=body)
    assert answer.status_code == 400 and "the body" in answer.json()["error"]["message"]


def test_ten_megabytes_are_413_however_they_come(server: Running) -> None:
    body = json.dumps({"prompt": "a " * 5_000_000}).encode()
    told = server.post(content=body)
    pieces = server.post(content=(body[k : k + 65536] for k in range(0, len(body), 65536)))
    for answer in (told, pieces):
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "body_too_large"
    assert server.ask("length:5").choices[0].text


def test_other_paths_and_methods_are_told_alike(server: Running) -> None:
    assert httpx.get(f"{server.url}/v1/chat").json()["error"]["code"] == "not_found"
    wrong = httpx.get(f"{server.url}/v1/completions")
    assert wrong.status_code == 405 and wrong.json()["error"]["code"] == "method_not_allowed"


def test_without_the_key_nothing_is_made(serve: Serve) -> None:
    there = serve(key="sesame")
    for wrong in ("x", "sesam", "sésame"):
        answer = there.post(json={}, headers={"Authorization": f"Bearer {wrong}".encode()})
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    with pytest.raises(openai.AuthenticationError), there.client_with("other") as client:
        client.models.list()
    with there.client_with("sesame") as client:
        assert client.completions.create(model="e2e", prompt="", max_tokens=5).choices[0].text
    assert httpx.get(f"{there.url}/v1/controls").status_code == 401
    assert httpx.get(f"{there.url}/health").status_code == 200


def test_a_plugins_fault_is_500_with_its_name_and_nobody_elses(serve: Serve) -> None:
    there = serve(plugin=True)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(there.ask, "hold")
        there.plugin["begun"].wait(60)
        good = [pool.submit(there.ask, "length:5", seed=k) for k in range(3)]
        bad = pool.submit(there.ask, "faulty")
        there.until(lambda: there.service.batcher.texts_waiting == 4)
        there.plugin["go_on"].set()
        assert held.result() and all(one.result().choices[0].text for one in good)
        with pytest.raises(openai.InternalServerError) as caught:
            bad.result()
    error: Any = caught.value.body
    assert error["code"] == "plugin_failed" and "plugin_of_the_test.py" in error["message"]
    assert "control 'faulty'" in error["message"] and "out of order" in error["message"]
    with pytest.raises(openai.APIError, match="out of order"):
        list(there.ask("faulty", stream=True))


def test_more_than_may_wait_is_429_and_says_when_to_come_again(serve: Serve) -> None:
    there = serve(plugin=True, max_queue=4, max_n=4)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(there.ask, "hold")
        there.plugin["begun"].wait(60)
        waiting = pool.submit(there.ask, "length:5", n=3)
        there.until(lambda: there.service.batcher.texts_waiting == 3)
        with pytest.raises(openai.RateLimitError) as caught:
            there.ask("length:5", n=2)
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
        fits = pool.submit(there.ask, "length:5")
        there.plugin["go_on"].set()
        assert [len(one.result().choices) for one in (held, waiting, fits)] == [1, 3, 1]


def test_a_client_that_leaves_takes_its_work_along(serve: Serve) -> None:
    """In mid-stream, and while it waits: nobody's texts are judged, nobody's work goes on."""
    there = serve(plugin=True, steps=400)
    stream = there.ask("noted", "length:5", stream=True)
    assert next(iter(stream)).choices[0].dlm["step"] == 1
    with pytest.raises(httpx.ReadTimeout):  # it waits behind the stream, and not long
        httpx.post(f"{there.url}/v1/completions", json={"controls": "noted"}, timeout=0.2)
    stream.close()
    there.until(lambda: there.counted('dlm_answers_total{status="499"}') == 2)
    there.until(lambda: there.counted("dlm_batch_texts_count") == 1)
    assert there.service.batcher.texts_waiting == 0 and not there.plugin["judged"]


def test_a_slow_client_is_left_and_holds_up_nobody(serve: Serve) -> None:
    there = serve(patience=0.3)
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", there.port)) as slow:
        slow.sendall(head)
        assert there.ask("length:5").choices[0].text
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
    body = json.dumps({"controls": ["length:20"], "n": 64, "stream": True}).encode()
    with socket.socket() as deaf:  # never takes what is sent
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", there.port))
        deaf.sendall(head[:-1].replace(b"100", str(len(body)).encode()) + body)
        there.until(lambda: there.service.inside == 1)
        assert there.ask("length:5").choices[0].text
        there.until(lambda: there.counted('dlm_answers_total{status="499"}') == 1)
    assert there.service.inside == 0
