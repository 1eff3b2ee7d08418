"""The noise-aware head of `tree` and `span`: a chart over spans, and brackets word by word.

Chart: for every span (i, j) a locally normalised distribution over labels, "no constituent"
included (Kitaev and Klein 2018; the paper's App. D); a label is a unary chain, `S::VP`. It reads
the words softly, sum_w q_i(w) F[w], so its gradient says which words make a tree likelier, and it
is trained on the rounding distributions that the frozen model gives at every t.

Brackets: a tree is a sequence, too. The signature of a word is what opens before it, how many close
after it (of both the innermost `DEPTH`), and the innermost constituent it stands in. A `WordTagger`
gives p(signature | w, context), so that under `posterior` guidance words are chosen exactly, as
they are for tags.

    log p(tree | x_t) = sum_i log sum_w q_i(w) p(signature_i | w, context_i)
                      + sum_{i <= j} log p_chart(label_ij | q, t)

Shapes: B batch, L positions, D word-vector width, V vocabulary, K labels, S signatures, E wanted
spans.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_controls.bracketing import ANY, ROOTS, ParseTree
from dlm_controls.tagger import CANDIDATES, WordTagger, train_tagger
from dlm_controls.tree import HEAD
from dlm_core.bundle import read_weights, write_weights
from dlm_core.data import LengthBatches, collate, layout
from dlm_core.denoiser import Transformer
from dlm_core.guidance import LOG_FLOOR, BuildContext, FunctionControl, Guard, State

if TYPE_CHECKING:
    from dlm_core.bundle import Model
    from dlm_core.vocab import Vocab

NOTHING = ""
"""The label of a span that is no constituent; index 0."""
DEPTH = 4
"""Brackets a signature names on either side of a word."""
MIN_COUNT = 5
"""Rarer chains and signatures are not labels of their own."""
CHART_WEIGHT = 1.0
IGNORED = -100
FLOOR = -30.0
"""log p of a label is no lower, so that one hopeless span does not drown the others."""

Signature = tuple[tuple[str, ...], int, str]
"""Labels that open before a word (outermost first), how many close after it, and its parent's."""


def signatures(tree: ParseTree) -> list[Signature]:
    """The signature of each word, the root left out."""
    opened: list[list[str]] = [[] for _ in tree.words]
    closed = [0] * len(tree.words)
    parent = [NOTHING] * len(tree.words)
    for start, end, label in tree.brackets:
        if label not in ROOTS:
            opened[start].append(label)
            closed[end] += 1
            parent[start : end + 1] = [label] * (end + 1 - start)  # inner ones come later
    return [
        (tuple(o[-DEPTH:]), min(c, DEPTH), p)
        for o, c, p in zip(opened, closed, parent, strict=True)
    ]


class Chart(nn.Module):
    """p(label of span | soft words, t).

    Args:
        vocab_size: V.
        labels: the K labels, `NOTHING` first.
        max_len: positions at most.
    """

    def __init__(
        self,
        vocab_size: int,
        labels: Sequence[str],
        max_len: int,
        features: int = 64,
        hidden: int = 128,
        layers: int = 2,
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.settings = {"features": features, "hidden": hidden, "layers": layers}
        self.words = nn.Parameter(torch.randn(vocab_size, features))
        self.trunk = Transformer(features, 2 * hidden, hidden, layers, 4, max_len)
        self.up = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, len(labels))

    def forward(
        self, q: Tensor, t: Tensor, lengths: Tensor, starts: Tensor, ends: Tensor
    ) -> Tensor:
        """log p(label of the words starts[e]..ends[e], both included), (B, E, K).

        Args:
            q: (B, L, V), word probabilities.
            t: (B,).
            lengths: (B,); what a span beyond a text gets is undefined.
            starts, ends: (E,).
        """
        h = self.trunk(q @ self.words, t, lengths)  # (B, L, 2 H)
        left, right = h.chunk(2, dim=-1)
        # A fencepost is the words on either side of it; a span the difference of two.
        before = F.pad(left, (0, 0, 1, 0))  # (B, L + 1, H)
        after = F.pad(right, (0, 0, 0, 1))
        posts = torch.cat([before, after], dim=-1)  # (B, L + 1, 2 H)
        span = posts[:, ends + 1] - posts[:, starts]  # (B, E, 2 H)
        logits = self.out(F.gelu(self.up(F.layer_norm(span, span.shape[-1:]))))
        return F.log_softmax(logits, dim=-1)


@dataclass(frozen=True, eq=False)
class Head:
    """Chart, tagger, and what the labels of both mean."""

    chart: Chart
    tagger: WordTagger
    signatures: tuple[Signature, ...]


def load_head(context: BuildContext) -> Head:
    """The head that `dlm train control tree` stored in the bundle, frozen."""
    folder, weights = context.head_weights(HEAD)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    info = context.info
    chart = Chart(len(info.vocab), config["labels"], info.config.max_len, **config["chart"])
    found = tuple((tuple(opens), closes, parent) for opens, closes, parent in config["signatures"])
    tagger = WordTagger(
        info.config.embedding_dim, len(info.vocab), [str(s) for s in found], **config["tagger"]
    )
    for name, module in (("chart.", chart), ("tagger.", tagger)):
        module.load_state_dict(
            {k.removeprefix(name): v for k, v in weights.items() if k.startswith(name)}
        )
        module.to(context.device).eval().requires_grad_(False)
    return Head(chart, tagger, found)


# -- controls ---------------------------------------------------------------------------------


def tree_control(head: Head, tree: ParseTree, vocab: Vocab) -> TreeControl:
    """All spans of a tree, all others no constituents, and the words it names."""
    n = len(tree.words)
    spans = {(i, j): [head.chart.labels.index(NOTHING)] for i in range(n) for j in range(i, n)}
    for place, chain in tree.chains().items():
        spans[place] = _with_chain(head.chart.labels, chain)
    words = [-1 if word == ANY else vocab.id(word) for word in tree.words]
    allowed = {i: _like(head.signatures, s) for i, s in enumerate(signatures(tree))}
    return TreeControl(head, spans, allowed, tuple(words))


def span_control(head: Head, start: int, end: int, label: str) -> TreeControl:
    """One span: any chain with the label; its words' brackets must allow it."""
    chain = tuple(label.split("::"))
    labels = [k for k, other in enumerate(head.chart.labels) if f"::{label}::" in f"::{other}::"]
    allowed: dict[int, list[int]] = {}
    for k, (opens, closes, _) in enumerate(head.signatures):
        # brackets of the span and those inside it, if this word opens it
        inner = next(
            (len(opens) - p for p in range(len(opens)) if opens[p : p + len(chain)] == chain), None
        )
        if start == end:
            if inner is not None and closes >= len(chain):
                allowed.setdefault(start, []).append(k)
            continue
        if inner is not None and closes <= inner - len(chain):
            allowed.setdefault(start, []).append(k)
        if closes >= 1:
            allowed.setdefault(end, []).append(k)
    return TreeControl(head, {(start, end): labels}, allowed)


def _with_chain(labels: Sequence[str], chain: tuple[str, ...]) -> list[int]:
    """This chain, or, where it is too rare to be a label, those that share most of it."""
    if "::".join(chain) in labels:
        return [labels.index("::".join(chain))]
    shared = [len(set(chain) & set(label.split("::"))) for label in labels]
    return [k for k, n in enumerate(shared) if n == max(shared) and n]


def _like(known: Sequence[Signature], wanted: Signature) -> list[int]:
    """This signature, or, where it is too rare to be a label, those that look like it."""
    opens, closes, parent = wanted
    for alike in (
        lambda s: s == wanted,
        lambda s: s == (opens, s[1], parent) and bool(s[1]) == bool(closes),
        lambda s: s == (s[0], closes, parent) and bool(s[0]) == bool(opens),
        lambda s: s[2] == parent and bool(s[1]) == bool(closes),
    ):
        if found := [k for k, s in enumerate(known) if alike(s)]:
            return found
    return list(range(len(known)))


class TreeControl:
    """See the module docstring.

    Args:
        head: chart and tagger.
        spans: (i, j) -> labels it may have.
        allowed: word -> signatures it may have.
        words: ids of words that must stand, -1 where free.
    """

    scope: ClassVar[str] = "position"

    def __init__(
        self,
        head: Head,
        spans: dict[tuple[int, int], list[int]],
        allowed: dict[int, list[int]],
        words: tuple[int, ...] = (),
    ) -> None:
        self.head = head
        self.words = words
        self.starts = torch.tensor([i for i, _ in spans])
        self.ends = torch.tensor([j for _, j in spans])
        self.labels = _rows(spans.values(), len(head.chart.labels))  # (E, K)
        self.places = torch.tensor(list(allowed), dtype=torch.long)
        self.signatures = _rows(allowed.values(), len(head.signatures))  # (places, S)

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """Ids of the words the tree names, (B, width), -1 where free."""
        ids = torch.full((len(lengths), width), -1, device=lengths.device)
        ids[:, : len(self.words)] = torch.tensor(self.words, dtype=torch.long)
        return ids

    def log_prob(self, state: State) -> Tensor:
        """(B,)."""
        return self.brackets(state) + self.chart(state)

    def chart(self, state: State) -> Tensor:
        """Sum over the wanted spans of log p(label), (B,)."""
        q = state.token_log_probs.exp()
        starts, ends = self.starts.to(q.device), self.ends.to(q.device)
        log_p = self.head.chart(q, state.t, state.lengths, starts, ends)  # (B, E, K)
        wanted = log_p.masked_fill(~self.labels.to(log_p.device), -torch.inf)
        return wanted.logsumexp(-1).clamp(min=FLOOR).sum(-1)

    def brackets(self, state: State) -> Tensor:
        """Sum over words of log sum_w q_i(w) p(signature_i | w, context_i), (B,)."""
        log_q = state.token_log_probs
        joint = log_q + self._word_log_probs(state, log_q.detach())
        return joint.logsumexp(-1)[:, self.places].clamp(min=-50.0).sum(-1)

    def tilt(self, state: State) -> Tensor:
        """Choose words by their brackets, exactly; then by the chart, to first order."""
        log_q = state.token_log_probs
        log_q = F.log_softmax(log_q + self._word_log_probs(state, log_q), dim=-1)
        guard = Guard(FunctionControl(self.chart), CHART_WEIGHT, "the chart", "")
        return guard.tilt(state.with_log_probs(log_q.clamp(min=LOG_FLOOR)))

    def _word_log_probs(self, state: State, log_q: Tensor) -> Tensor:
        """log p(allowed signatures | w, context_i), (B, L, V); 0 where all are."""
        tagger = self.head.tagger
        out = torch.zeros_like(log_q)
        places = self.places.to(log_q.device)
        ruled_out = ~self.signatures.to(log_q.device)  # (places, S)
        lexicon = tagger.lexicon_log_probs()[:, None].masked_fill(ruled_out, -torch.inf)
        scores = lexicon.logsumexp(-1).T.expand(len(log_q), -1, -1)  # (B, places, V)
        top = (log_q[:, places] + scores).topk(min(CANDIDATES, scores.shape[-1]), dim=-1).indices
        context = tagger.context(state.x_t, state.t, state.lengths)[:, places]
        log_p = F.log_softmax(tagger.logits(context, top), dim=-1)  # (B, places, C, S)
        log_p = log_p.masked_fill(ruled_out[:, None], -torch.inf).logsumexp(-1)
        out[:, places] = scores.scatter(-1, top, log_p)
        return out


def _rows(sets: Iterable[Sequence[int]], width: int) -> Tensor:
    """Sets of ids as bool (sets, width)."""
    sets = list(sets)
    out = torch.zeros(len(sets), width, dtype=torch.bool)
    for row, ids in zip(out, sets, strict=True):
        row[list(ids)] = True
    return out


# -- training ---------------------------------------------------------------------------------


def train_head(
    model: Model,
    trees: Sequence[ParseTree],
    out: Path,
    *,
    steps: int = 2500,
    batch_tokens: int = 1024,
    lr: float = 1e-3,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train tagger and chart on parses and write `out`; the last 2% are held out.

    Args:
        model: gives words, noise and the rounding distributions; it stays as it is.
        trees: parses of texts, in any order.
        out: folder for head.safetensors and config.json.
        steps: of the chart; the tagger takes as many of its own.
        batch_tokens, lr: of the chart.
        seed: of both.
        on_step: called with step, steps and loss.

    Returns:
        held-out figures of the tagger, and F1 of the chart's likeliest labels at t = 0.05, 0.5 and
        0.9, from the words the model sees then.
    """
    words = [[model.vocab.id(w) for w in tree.words] for tree in trees]
    rows = [signatures(tree) for tree in trees]
    known = _common(s for row in rows for s in row)
    index = {s: k for k, s in enumerate(known)}
    tags = [[index.get(s, -1) for s in row] for row in rows]
    tags = [
        [k if k >= 0 else _like(known, s)[0] for k, s in zip(row, own, strict=True)]
        for row, own in zip(tags, rows, strict=True)
    ]
    labels = (NOTHING, *_common("::".join(c) for tree in trees for c in tree.chains().values()))

    with TemporaryDirectory() as folder:
        figures = train_tagger(
            model,
            words,
            tags,
            [str(s) for s in known],
            Path(folder),
            steps=steps,
            seed=seed,
            on_step=lambda step, _, loss: on_step(step, 2 * steps, loss) if on_step else None,
        )
        weights = read_weights(Path(folder) / "head.safetensors")
        settings = json.loads((Path(folder) / "config.json").read_text("utf-8"))["settings"]

    torch.manual_seed(seed)
    chart = Chart(len(model.vocab), labels, model.info.config.max_len).to(model.device)
    parses = [_Parse(w, _label_ids(tree, labels)) for w, tree in zip(words, trees, strict=True)]
    held = max(1, len(trees) // 50)
    batches = LengthBatches(parses[:-held], batch_tokens, seed)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(chart.parameters(), lr=lr, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        batch: Any = batches[step]
        log_p, target = _scored(model, chart, batch, None, generator)
        loss = F.cross_entropy(log_p.flatten(0, 1), target.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(chart.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 100) * (1 - step / steps)
        optimizer.step()
        if on_step is not None:
            on_step(steps + step + 1, 2 * steps, loss.item())
    chart.eval()
    figures = {f"brackets {k}": v for k, v in figures.items()}
    figures |= {f"chart t={t}": _f1(model, chart, parses[-held:], t) for t in (0.05, 0.5, 0.9)}

    out.mkdir(parents=True, exist_ok=True)
    weights = {f"tagger.{k}": v for k, v in weights.items()}
    weights |= {f"chart.{k}": v for k, v in chart.state_dict().items()}
    write_weights(out / "head.safetensors", weights)
    config = {
        "labels": labels,
        "signatures": known,
        "chart": chart.settings,
        "tagger": settings,
        "figures": figures,
        "steps": steps,
        "seed": seed,
        "trees": len(trees),
    }
    text = json.dumps(config, ensure_ascii=False)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")
    return figures


@dataclass(frozen=True)
class _Parse:
    """Word ids, and label ids of the constituents by place."""

    words: list[int]
    labels: dict[tuple[int, int], int]

    def __len__(self) -> int:
        return len(self.words)


def _common(values: Iterable[Any]) -> list[Any]:
    """Those that occur `MIN_COUNT` times, most frequent first; all if none does."""
    counts = Counter(values).most_common()
    return [v for v, n in counts if n >= MIN_COUNT] or [v for v, _ in counts]


def _label_ids(tree: ParseTree, labels: Sequence[str]) -> dict[tuple[int, int], int]:
    ids = {label: k for k, label in enumerate(labels)}
    return {place: ids.get("::".join(c), IGNORED) for place, c in tree.chains().items()}


def _scored(
    model: Model, chart: Chart, batch: Sequence[_Parse], t: float | None, draws: torch.Generator
) -> tuple[Tensor, Tensor]:
    """log p of every span (B, E, K), from what the model sees of the words at t; labels (B, E)."""
    config = model.info.config
    lengths = torch.tensor([len(parse) for parse in batch])
    canvas, canvas_lengths = collate(  # the words alone, or with what frames them
        [layout(parse.words, config, model.vocab) or [] for parse in batch], model.vocab.pad
    )
    width, offset = int(lengths.max()), int(config.length_mode == "padded")
    starts, ends = torch.triu_indices(width, width)
    target = torch.full((len(batch), width, width), IGNORED)
    for row, parse in zip(target, batch, strict=True):
        row[: len(parse), : len(parse)] = 0
        for (i, j), label in parse.labels.items():
            row[i, j] = label
    device = model.device
    canvas, canvas_lengths, lengths, starts, ends = (
        v.to(device) for v in (canvas, canvas_lengths, lengths, starts, ends)
    )
    times = torch.rand(len(batch), generator=draws) if t is None else torch.full((len(batch),), t)
    # Guidance sharpens the words it shows the chart: by how much is drawn, too.
    sharper = 1.0 if t is not None else 1 + 2 * torch.rand(len(batch), 1, 1, generator=draws)
    times = times.to(device)
    with torch.no_grad():
        noise = torch.randn(*canvas.shape, config.embedding_dim, generator=draws)
        x_t = model.net.schedule.q_sample(model.net.embed(canvas), times, noise.to(device))
        log_q = model.net.predict(x_t, times, canvas_lengths).token_log_probs
        log_q = log_q[:, offset : offset + width]
        q = F.softmax(log_q * torch.as_tensor(sharper, device=device), dim=-1)
    log_p = chart(q, times, lengths, starts, ends)
    return log_p, target.to(device)[:, starts, ends]


@torch.no_grad()
def _f1(model: Model, chart: Chart, parses: Sequence[_Parse], t: float) -> float:
    generator = torch.Generator().manual_seed(0)
    hits = found = wanted = 0
    for k in range(0, len(parses), 16):
        log_p, target = _scored(model, chart, parses[k : k + 16], t, generator)
        best = log_p.argmax(-1)
        hits += int(((best == target) & (best > 0)).sum())
        found += int(((best > 0) & (target != IGNORED)).sum())
        wanted += int((target > 0).sum())
    return round(2 * hits / max(1, found + wanted), 4)
