"""What a client sends: OpenAI's completions, with controls."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from dlm_cli.requests.recipes import Controls, Integer
from dlm_core.config import Settings


def _one_prompt(value: Any) -> Any:
    """OpenAI's list of prompts, of which one is answered at a time."""
    if isinstance(value, list):
        if len(value) != 1 or not isinstance(value[0], str):
            raise ValueError("must be one string: send a request for each prompt")
        return value[0]
    return value


class StreamOptions(Settings):
    """What a stream has beside its texts."""

    include_usage: bool = False
    include_obfuscation: bool = False
    """Has no effect: nothing is padded."""


class Completion(Settings):
    """The keys of `POST /v1/completions`."""

    model: str | None = None
    prompt: Annotated[str | None, BeforeValidator(_one_prompt)] = None
    suffix: str | None = None
    controls: Controls = ()
    n: Integer = Field(default=1, ge=1)
    seed: Integer | None = Field(default=None, ge=-(2**63), lt=2**63)
    """Of the first text; drawn, and told in the answer, if omitted."""
    max_tokens: Integer | None = Field(default=None, ge=1)
    """Words written at most: a control on the length, so texts end by themselves."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    select: str | None = None
    keep: Integer | None = Field(default=None, ge=1)
    echo: bool | None = None
    """The texts with prompt and suffix around them."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    trace: bool | None = None
    """Drafts come with the certainty of each word, the texts with every step and a command."""
    user: str | None = None
    """The caller's own; not read."""

    # what OpenAI's has besides: taken where it asks for nothing
    best_of: Integer | None = Field(default=None, ge=1, le=1)
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    top_p: float | None = Field(default=None, ge=1, le=1)
    logprobs: None = None
    logit_bias: dict[str, float] | None = Field(default=None, max_length=0)
    stop: Annotated[list[str] | None, Field(max_length=0)] = None
