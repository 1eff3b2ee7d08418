"""A denoiser that is shown codes: what it must not depend on, and what it is without them."""

from __future__ import annotations

import pytest
import torch

from dlm_core.bundle import Model
from dlm_core.control.codes import collate_shown
from dlm_core.control.shown import Code, Shown
from dlm_core.diffusion.denoisers.shown import MOST_WORDS, NONE, ShownDenoiser, ShownIds
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.vocab import Vocab

IDS = {"food=French": 1, "name": 2, "keyword": 3, "pos:NOUN": 4}


@pytest.fixture
def writer(tiny_model: Model) -> DiffusionLM:
    """The tiny model's denoiser, with codes that all say something."""
    torch.manual_seed(0)
    net = DiffusionLM(tiny_model.info.config, codes=len(IDS) + 1)
    state = {k: v for k, v in tiny_model.net.state_dict().items() if "denoiser" not in k}
    net.load_state_dict(state, strict=False)
    assert isinstance(net.denoiser, ShownDenoiser)
    net.denoiser.start_from(tiny_model.net.denoiser)
    with torch.no_grad():
        for table in (net.denoiser.placed, net.denoiser.given):
            table.weight[1:].normal_()
        net.denoiser.placed.weight[NONE] = 0
    return net.eval()


def seen(model: Model, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    config = model.info.config
    x_t = torch.randn(len(lengths), max(lengths), config.embedding_dim)
    return x_t, torch.rand(len(lengths)), torch.tensor(lengths)


def shown(model: Model, *rows: Shown, width: int = 6) -> ShownIds:
    return collate_shown([([row], []) for row in rows], IDS, model.vocab, width)


MILL = Code("name", ("The", "Mill"))
FRENCH = Code("food=French")


def test_shown_nothing_it_is_the_denoiser_it_began_as(
    tiny_model: Model, writer: DiffusionLM
) -> None:
    x_t, t, lengths = seen(tiny_model, [6, 6, 4])
    expected = tiny_model.net.predict(x_t, t, lengths).token_log_probs
    nothing = shown(tiny_model, Shown(), Shown(), Shown())
    for found in (writer.predict(x_t, t, lengths), writer.predict(x_t, t, lengths, None, nothing)):
        for row, n in enumerate(lengths.tolist()):
            torch.testing.assert_close(found.token_log_probs[row, :n], expected[row, :n])


def test_codes_are_a_set_and_padding_says_nothing(tiny_model: Model, writer: DiffusionLM) -> None:
    x_t, t, lengths = seen(tiny_model, [6])
    keyword = Code("keyword", ("pub",))
    one = shown(tiny_model, Shown((MILL, FRENCH, keyword)))
    other = shown(tiny_model, Shown((keyword, MILL, FRENCH)))
    first = writer.predict(x_t, t, lengths, None, one).token_log_probs
    torch.testing.assert_close(writer.predict(x_t, t, lengths, None, other).token_log_probs, first)
    x_t, t, lengths = x_t.repeat(2, 1, 1), t.repeat(2), lengths.repeat(2)
    beside = shown(tiny_model, Shown((MILL, FRENCH, keyword)), Shown((FRENCH,)))
    padded = writer.predict(x_t, t, lengths, None, beside).token_log_probs
    torch.testing.assert_close(padded[:1], first)
    assert not torch.allclose(padded[1], padded[0], atol=1e-3)


def test_the_order_of_a_name_and_the_places_of_tags_count(
    tiny_model: Model, writer: DiffusionLM
) -> None:
    x_t, t, lengths = seen(tiny_model, [6])

    def says(row: Shown) -> torch.Tensor:
        return writer.predict(x_t, t, lengths, None, shown(tiny_model, row)).token_log_probs

    turned = Code("name", ("Mill", "The"))
    assert not torch.allclose(says(Shown((MILL,))), says(Shown((turned,))), atol=1e-4)
    first, second = Shown(places=("pos:NOUN", None)), Shown(places=(None, "pos:NOUN"))
    assert not torch.allclose(says(first), says(second), atol=1e-4)


def test_a_text_does_not_depend_on_those_beside_it(tiny_model: Model, writer: DiffusionLM) -> None:
    sizes = [3, 9, 5, 12, 7] * 4  # more than are denoised together
    x_t, t, lengths = seen(tiny_model, sizes)
    rows = [Shown((MILL,) if k % 2 else (FRENCH,)) for k in range(len(sizes))]
    together = shown(tiny_model, *rows, width=12)
    found = writer.predict(x_t, t, lengths, None, together).token_log_probs
    for k in (0, 3, 17):
        n, at = sizes[k], slice(k, k + 1)
        alone = writer.predict(x_t[at, :n], t[at], lengths[at], None, together.rows(at, n))
        torch.testing.assert_close(alone.token_log_probs[0], found[k, :n], rtol=1e-3, atol=1e-4)


def test_ids_of_codes(tiny_model: Model) -> None:
    vocab = tiny_model.vocab
    row = Shown((MILL, Code("never trained"), FRENCH), ("pos:NOUN", None, "pos:X"))
    ids = collate_shown([([row], [-1, 7]), ([], [])], IDS, vocab, 4, offset=1)
    assert ids.codes.tolist() == [[2, 2, 1], [0, 0, 0]]
    assert ids.words[0].tolist() == [vocab.id("The"), vocab.id("Mill"), -1]
    assert ids.order[0].tolist() == [0, 1, 0]
    assert ids.places[..., 0].tolist() == [[0, 4, 0, 0], [0, 0, 0, 0]]
    assert ids.given.tolist() == [[-1, -1, 7, -1], [-1, -1, -1, -1]]


def test_words_of_a_code_are_copied_piece_by_piece(texts: tuple[str, ...]) -> None:
    vocab = Vocab.build(texts, min_count=3, pieces=60)
    row = Shown((Code(MILL.name, ("The", "riverside", "Mill")),))
    ids = collate_shown([([row], [])], IDS, vocab, 2)
    spelled = vocab.encode("The riverside Mill")
    assert len(spelled) > 3
    assert ids.words[0].tolist() == spelled[:MOST_WORDS]
    assert ids.order[0].tolist() == list(range(len(spelled)))[:MOST_WORDS]


def test_lengths_are_a_distribution_that_sees_how_much_is_asked(
    tiny_model: Model, writer: DiffusionLM
) -> None:
    denoiser = writer.denoiser
    assert isinstance(denoiser, ShownDenoiser)
    rows = shown(tiny_model, Shown((FRENCH,)), Shown((FRENCH, MILL)), Shown())
    log_p = denoiser.length_log_probs(rows, writer.embedding_matrix)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(3))
    assert not torch.allclose(log_p[0], log_p[1], atol=1e-4)
    alone = shown(tiny_model, Shown((FRENCH,)))
    torch.testing.assert_close(denoiser.length_log_probs(alone, writer.embedding_matrix), log_p[:1])
