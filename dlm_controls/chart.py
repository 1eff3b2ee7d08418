"""The noise-aware head of `tree` and `span`: a chart over spans, and the words a tree asks for.

Chart: for every span (i, j) a locally normalised distribution over labels, "no constituent"
included (Kitaev and Klein 2018; the paper's App. D); a label is a unary chain, `S::VP`. It reads
the words softly, sum_w q_i(w) F[w], and is trained on the rounding distributions that the frozen
model gives at every t:

    log p(tree | x_t) = sum_{i <= j} log p_chart(label_ij | q, t) .

Words: a net that is shown a tree, or one span of it, and q learns from parsed texts what stands
there:

    p(w_i = w | tree, x_t)  ~  q_i(w) exp d_i(w | tree, q, t) ,

so that exp d_i(w) estimates p(tree | w_i = w, x_t) / p(tree | x_t), which is what `posterior`
guidance multiplies q by. Guidance tilts by both: the words know what such trees are made of while
x_t is still noise, the chart's gradient sees what does not parse as asked.

Shapes: B batch, L positions, V vocabulary, K labels, E wanted spans, S `SLOTS`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_controls.bracketing import ANY, ROOTS, Bracket, ParseTree
from dlm_controls.tree import HEAD
from dlm_core.bundle import write_weights
from dlm_core.data import LengthBatches, collate, layout
from dlm_core.denoiser import Transformer
from dlm_core.guidance import LOG_FLOOR, BuildContext, FunctionControl, Guard, State
from dlm_core.model import pick_words

if TYPE_CHECKING:
    from dlm_core.bundle import Model
    from dlm_core.vocab import Vocab

NOTHING = ""
"""The label of a span that is no constituent; index 0."""
SLOTS = 8
"""Innermost constituents around a word that the words net is shown."""
NEAR = 3
"""Distances from a constituent's ends are told apart up to this."""
MIN_COUNT = 5
"""Rarer chains are not labels of their own."""
TREE_CHART, SPAN_CHART = 1.0, 3.0
"""Weights of the chart's tilt."""
IGNORED = -100
FLOOR = -30.0
"""log p of a label is no lower, so that one hopeless span does not drown the others."""


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


class TreeWords(nn.Module):
    """d(w | tree, q, t): how much likelier a tree makes each word.

    Args:
        vocab_size: V.
        names: labels of single brackets.
        max_len: positions at most.
    """

    def __init__(
        self,
        vocab_size: int,
        names: Sequence[str],
        max_len: int,
        features: int = 64,
        hidden: int = 128,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.settings = {"features": features, "hidden": hidden, "layers": layers}
        self.words = nn.Parameter(torch.randn(vocab_size, features))
        self.labels = nn.Embedding(SLOTS * (len(names) + 1), hidden)
        self.places = nn.Embedding(SLOTS * ((NEAR + 1) ** 2 + 1), hidden)
        self.partial = nn.Parameter(torch.zeros(hidden))
        for table in (self.labels, self.places):
            nn.init.normal_(table.weight, std=0.3)
        self.trunk = Transformer(features + hidden, vocab_size, hidden, layers, 4, max_len)
        nn.init.zeros_(self.trunk.outputs.weight)  # at first a tree says nothing
        nn.init.zeros_(self.trunk.outputs.bias)

    def codes(self, brackets: Sequence[Bracket], length: int) -> Tensor:
        """The constituents around each word, innermost first: rows of the tables, (L, S, 2).

        Each has a label (0: none, or one that is unknown) and a place (0: none): how far the word
        is from its first and its last one.
        """
        ids = {name: k for k, name in enumerate(self.names, 1)}
        rows = [[[0, 0]] * SLOTS for _ in range(length)]
        for start, end, label in brackets:
            for i in range(start, min(end + 1, length)) if label not in ROOTS else ():
                place = 1 + (NEAR + 1) * min(i - start, NEAR) + min(end - i, NEAR)
                rows[i] = [[ids.get(label, 0), place], *rows[i][:-1]]
        sizes = torch.tensor([len(self.names) + 1, (NEAR + 1) ** 2 + 1])
        return torch.tensor(rows) + torch.arange(SLOTS)[:, None] * sizes

    def forward(
        self, q: Tensor, codes: Tensor, partial: Tensor, t: Tensor, lengths: Tensor
    ) -> Tensor:
        """d, (B, L, V), up to a constant a position.

        Args:
            q: (B, L, V), word probabilities.
            codes: (B, L, S, 2), of `codes`.
            partial: (B,), 1 where the brackets are not all of the tree's, else 0.
            t: (B,).
            lengths: (B,).
        """
        tree = (self.labels(codes[..., 0]) + self.places(codes[..., 1])).sum(-2)  # (B, L, H)
        tree = tree + partial[:, None, None] * self.partial
        return self.trunk(torch.cat([q @ self.words, tree], dim=-1), t, lengths)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Head:
    """What `dlm train control tree` trains."""

    chart: Chart
    words: TreeWords


def load_head(context: BuildContext) -> Head:
    """The head that `dlm train control tree` stored in the bundle, frozen."""
    folder, weights = context.head_weights(HEAD)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    head = _new_head(len(context.vocab), config["labels"], context.info.config.max_len)
    for name, module in (("chart.", head.chart), ("words.", head.words)):
        module.load_state_dict(
            {k.removeprefix(name): v for k, v in weights.items() if k.startswith(name)}
        )
        module.to(context.device).eval().requires_grad_(False)
    return head


def _new_head(vocab_size: int, labels: Sequence[str], max_len: int) -> Head:
    names = sorted({name for label in labels if label for name in label.split("::")})
    return Head(Chart(vocab_size, labels, max_len), TreeWords(vocab_size, names, max_len))


# -- controls ---------------------------------------------------------------------------------


def tree_control(head: Head, tree: ParseTree, vocab: Vocab) -> TreeControl | WordedTree:
    """All spans of a tree, all others no constituents, and the words it names."""
    n = len(tree.words)
    spans = {(i, j): [head.chart.labels.index(NOTHING)] for i in range(n) for j in range(i, n)}
    for place, chain in tree.chains().items():
        spans[place] = _with_chain(head.chart.labels, chain)
    control = TreeControl(head, spans, tree.brackets, False, TREE_CHART)
    if all(word == ANY for word in tree.words):
        return control
    return WordedTree(control, [-1 if word == ANY else vocab.id(word) for word in tree.words])


def span_control(head: Head, start: int, end: int, label: str) -> TreeControl:
    """One span: any chain with the label."""
    labels = [k for k, other in enumerate(head.chart.labels) if f"::{label}::" in f"::{other}::"]
    brackets = [Bracket(start, end, name) for name in label.split("::")]
    return TreeControl(head, {(start, end): labels}, brackets, True, SPAN_CHART)


def _with_chain(labels: Sequence[str], chain: tuple[str, ...]) -> list[int]:
    """This chain, or, where it is too rare to be a label, those that share most of it."""
    if "::".join(chain) in labels:
        return [labels.index("::".join(chain))]
    shared = [len(set(chain) & set(label.split("::"))) for label in labels]
    return [k for k, n in enumerate(shared) if n == max(shared) and n]


class TreeControl:
    """See the module docstring.

    Args:
        head: chart and words.
        spans: (i, j) -> labels it may have.
        brackets: what is asked, outermost first.
        partial: the text's tree has other brackets, too.
        chart_weight: of the chart's share of the tilt.
    """

    scope: ClassVar[str] = "position"

    def __init__(
        self,
        head: Head,
        spans: dict[tuple[int, int], list[int]],
        brackets: Sequence[Bracket],
        partial: bool,
        chart_weight: float,
    ) -> None:
        self.head = head
        self.brackets = tuple(brackets)
        self.partial = partial
        self.starts = torch.tensor([i for i, _ in spans])
        self.ends = torch.tensor([j for _, j in spans])
        self.labels = torch.zeros(len(spans), len(head.chart.labels), dtype=torch.bool)  # (E, K)
        for row, allowed in zip(self.labels, spans.values(), strict=True):
            row[allowed] = True
        self._chart = Guard(FunctionControl(self.log_prob), chart_weight, "the chart", "")

    def log_prob(self, state: State) -> Tensor:
        """Sum over the wanted spans of log p(label), (B,)."""
        q = state.token_log_probs.exp()
        starts, ends = self.starts.to(q.device), self.ends.to(q.device)
        log_p = self.head.chart(q, state.t, state.lengths, starts, ends)  # (B, E, K)
        wanted = log_p.masked_fill(~self.labels.to(log_p.device), -torch.inf)
        return wanted.logsumexp(-1).clamp(min=FLOOR).sum(-1)  # type: ignore[no-any-return]

    def tilt(self, state: State) -> Tensor:
        """Tilt by the words, then by the chart, to first order."""
        log_q = state.token_log_probs
        codes = self.head.words.codes(self.brackets, log_q.shape[1]).to(log_q.device)
        codes = codes.expand(len(log_q), *codes.shape)
        partial = torch.full_like(state.t, float(self.partial))
        delta = self.head.words(log_q.exp(), codes, partial, state.t, state.lengths)
        log_q = F.log_softmax(log_q + delta, dim=-1).clamp(min=LOG_FLOOR)
        return self._chart.tilt(state.with_log_probs(log_q))


@dataclass(frozen=True, eq=False)
class WordedTree:
    """A tree some of whose words are given: `words` are their ids, -1 where free."""

    tree: TreeControl
    words: Sequence[int]
    scope: ClassVar[str] = TreeControl.scope

    def log_prob(self, state: State) -> Tensor:
        """(B,), of the tree."""
        return self.tree.log_prob(state)

    def tilt(self, state: State) -> Tensor:
        """As the tree does."""
        return self.tree.tilt(state)

    def fixed(self, lengths: Tensor, width: int) -> Tensor:
        """Ids of the words the tree names, (B, width), -1 where free."""
        ids = torch.full((len(lengths), width), -1, device=lengths.device)
        ids[:, : len(self.words)] = torch.tensor(self.words, device=lengths.device)
        return ids


# -- training ---------------------------------------------------------------------------------


def train_head(
    model: Model,
    trees: Sequence[ParseTree],
    out: Path,
    *,
    steps: int = 1600,
    batch_tokens: int = 1024,
    lr: float = 2e-3,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train chart and words on parses and write `out`; the last 2% are held out.

    Every other step sees x_t after a step of the sampler, through words that q and the tree picked,
    so that the words net learns to put right what guidance has got wrong.

    Args:
        model: gives words, noise and the rounding distributions; it stays as it is.
        trees: parses of texts, in any order.
        out: folder for head.safetensors and config.json.
        on_step: called with step, steps and loss.

    Returns:
        held-out cross-entropy of the words (nats) by the denoiser alone and with their tree at
        t = 0.7, and F1 of the chart's likeliest labels at t = 0.05, 0.5 and 0.9.
    """
    torch.manual_seed(seed)
    labels = (NOTHING, *_common("::".join(c) for tree in trees for c in tree.chains().values()))
    head = _new_head(len(model.vocab), labels, model.info.config.max_len)
    chart, words = head.chart.to(model.device), head.words.to(model.device)
    parses = [_parse(tree, head, model.vocab) for tree in trees]
    held = max(1, len(trees) // 50)
    batches = LengthBatches(parses[:-held], batch_tokens, seed)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(
        [*chart.parameters(), *words.parameters()], lr=lr, betas=(0.9, 0.99), weight_decay=0.01
    )
    training = _Training(model, head, seed)
    for step in range(steps):
        if step % 2 == 0:
            batch: Any = batches[step // 2]
            seen = training.noised(batch)
            loss = training.words_loss(seen) + training.chart_loss(seen)
        else:
            seen = training.stepped(seen)
            loss = training.words_loss(seen)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for module in (chart, words):
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 100) * (1 - step / steps)
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, steps, loss.item())
    chart.eval()
    words.eval()
    figures = _figures(model, head, parses[-held:])
    out.mkdir(parents=True, exist_ok=True)
    weights = {f"chart.{k}": v for k, v in chart.state_dict().items()}
    weights |= {f"words.{k}": v for k, v in words.state_dict().items()}
    write_weights(out / "head.safetensors", weights)
    config = {"labels": labels, "figures": figures, "steps": steps, "seed": seed}
    text = json.dumps(config | {"trees": len(trees)}, ensure_ascii=False, indent=1)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")
    return figures


@dataclass(frozen=True, eq=False)
class _Parse:
    """A text: word ids, label ids of its constituents by place, its brackets and their codes."""

    words: list[int]
    labels: dict[tuple[int, int], int]
    brackets: list[Bracket]
    codes: Tensor

    def __len__(self) -> int:
        return len(self.words)


def _parse(tree: ParseTree, head: Head, vocab: Vocab) -> _Parse:
    ids = {label: k for k, label in enumerate(head.chart.labels)}
    return _Parse(
        [vocab.id(w) for w in tree.words],
        {place: ids.get("::".join(c), IGNORED) for place, c in tree.chains().items()},
        [b for b in tree.brackets if b.label not in ROOTS],
        head.words.codes(tree.brackets, len(tree.words)),
    )


def _common(values: Iterable[str]) -> list[str]:
    """Those that occur `MIN_COUNT` times, most frequent first; all if none does."""
    counts = Counter(values).most_common()
    return [v for v, n in counts if n >= MIN_COUNT] or [v for v, _ in counts]


class _Seen(NamedTuple):
    """A batch as the denoiser sees it.

    Attributes:
        canvas, canvas_lengths: ids with what frames the words (`layout`), and positions.
        words, lengths: ids of the words alone, IGNORED where there is none to learn.
        labels: of every span, (B, E).
        codes, partial: what `TreeWords` is shown.
        x_t, t: noise and its time.
        log_q: (B, L, V), of the words.
    """

    canvas: Tensor
    canvas_lengths: Tensor
    words: Tensor
    lengths: Tensor
    labels: Tensor
    codes: Tensor
    partial: Tensor
    x_t: Tensor
    t: Tensor
    log_q: Tensor


class _Training:
    """Draws and losses."""

    def __init__(self, model: Model, head: Head, seed: int, *, spans: float = 0.3) -> None:
        self.model, self.head, self.net = model, head, model.net
        self.spans = spans  # share of texts of whose tree one bracket is shown
        self.draws = torch.Generator().manual_seed(seed)
        self.random = random.Random(seed)
        self.offset = int(model.info.config.length_mode == "padded")

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.draws).to(self.model.device)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.draws).to(like)

    @torch.no_grad()
    def noised(self, batch: Sequence[_Parse], t: float | None = None) -> _Seen:
        """x_t ~ q(x_t | words), at one t or, more often than not, where there is much noise."""
        vocab, device = self.model.vocab, self.model.device
        frames = [layout(parse.words, self.model.info.config, vocab) or [] for parse in batch]
        canvas, canvas_lengths = collate(frames, vocab.pad)
        words, lengths = collate([parse.words for parse in batch], IGNORED)
        words[words == vocab.unk] = IGNORED
        width = words.shape[1]
        labels = torch.full((len(batch), width, width), IGNORED)
        codes = self.head.words.codes([], width).repeat(len(batch), 1, 1, 1)
        partial = torch.zeros(len(batch))
        for k, parse in enumerate(batch):
            n = len(parse)
            labels[k, :n, :n] = 0
            for (i, j), label in parse.labels.items():
                labels[k, i, j] = label
            if parse.brackets and self.random.random() < self.spans:
                one = [self.random.choice(parse.brackets)]
                codes[k, :n], partial[k] = self.head.words.codes(one, n), 1.0
            else:
                codes[k, :n] = parse.codes
        starts, ends = torch.triu_indices(width, width)
        labels = labels[:, starts, ends]
        canvas, canvas_lengths, words, lengths, labels, codes, partial = (
            part.to(device)
            for part in (canvas, canvas_lengths, words, lengths, labels, codes, partial)
        )
        times = self._uniform(len(batch)) ** 0.6 if t is None else torch.full((len(batch),), t)
        times = times.to(device)
        x_0 = self.net.embed(canvas)
        x_t = self.net.schedule.q_sample(x_0, times, self._normal(x_0))
        log_q = self._predict(x_t, times, canvas_lengths, None, width)
        return _Seen(
            canvas, canvas_lengths, words, lengths, labels, codes, partial, x_t, times, log_q
        )

    @torch.no_grad()
    def stepped(self, seen: _Seen) -> _Seen:
        """x_s after a step of the sampler from x_t, through words that q and the tree pick."""
        width = seen.words.shape[1]
        window = slice(self.offset, self.offset + width)
        guided = F.log_softmax(seen.log_q + self._delta(seen), dim=-1)
        picked = pick_words(guided, self._uniform(*seen.words.shape), 1.0)
        real = torch.arange(width, device=picked.device) < seen.lengths[:, None]
        canvas = seen.canvas.clone()
        canvas[:, window] = torch.where(real, picked, canvas[:, window])
        s = (seen.t - 0.3 * self._uniform(len(seen.t))).clamp(min=1e-3)
        t = torch.maximum(seen.t, s + 1e-3)
        mean, var = self.net.schedule.q_posterior(self.net.embed(canvas), seen.x_t, t, s)
        x_s = mean + var.clamp(min=0).sqrt() * self._normal(mean)
        previous = self.net.embed(canvas)
        sharp = F.softmax(guided / 0.7, dim=-1) @ self.net.embedding_matrix
        previous[:, window] = torch.where(real[..., None], sharp, previous[:, window])
        log_q = self._predict(x_s, s, seen.canvas_lengths, previous, width)
        return seen._replace(x_t=x_s, t=s, log_q=log_q)

    def _predict(
        self, x_t: Tensor, t: Tensor, lengths: Tensor, previous: Tensor | None, width: int
    ) -> Tensor:
        """log q of the words alone, (B, L, V), as a control sees it."""
        vocab = self.model.vocab
        log_q = self.net.predict(x_t, t, lengths, previous).token_log_probs.clone()
        log_q[..., [vocab.unk, vocab.start, vocab.end, vocab.pad]] = -torch.inf
        log_q = log_q[:, self.offset : self.offset + width]
        return F.log_softmax(log_q, dim=-1).clamp(min=LOG_FLOOR)

    def _delta(self, seen: _Seen) -> Tensor:
        q = seen.log_q.exp()
        return self.head.words(q, seen.codes, seen.partial, seen.t, seen.lengths)  # type: ignore[no-any-return]

    def words_loss(self, seen: _Seen, use_tree: bool = True) -> Tensor:
        """Cross-entropy of the words, of q alone or as the tree tilts it."""
        logits = seen.log_q + self._delta(seen) if use_tree else seen.log_q
        return F.cross_entropy(logits.flatten(0, 1), seen.words.flatten(), ignore_index=IGNORED)

    def chart_loss(self, seen: _Seen) -> Tensor:
        """Cross-entropy of the label of every span; their sum, a word."""
        # The words that guidance shows the chart are sharper than q: by how much is drawn.
        log_p = self._chart(seen, 1 + 2 * self._uniform(len(seen.t), 1, 1))
        flat = F.cross_entropy(
            log_p.flatten(0, 1), seen.labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return flat / seen.lengths.sum()

    def _chart(self, seen: _Seen, sharper: Tensor | float) -> Tensor:
        width = seen.words.shape[1]
        starts, ends = torch.triu_indices(width, width, device=seen.t.device)
        q = F.softmax(seen.log_q * sharper, dim=-1)
        return self.head.chart(q, seen.t, seen.lengths, starts, ends)  # type: ignore[no-any-return]

    def chart_hits(self, seen: _Seen) -> tuple[int, int, int]:
        """Labelled spans: right, found, in the trees."""
        best = self._chart(seen, 1.0).argmax(-1)
        right = (best == seen.labels) & (best > 0)
        found = (best > 0) & (seen.labels != IGNORED)
        return int(right.sum()), int(found.sum()), int((seen.labels > 0).sum())


@torch.no_grad()
def _figures(model: Model, head: Head, parses: Sequence[_Parse]) -> dict[str, float]:
    batches = [parses[k : k + 16] for k in range(0, len(parses), 16)]
    figures: dict[str, float] = {}
    for t in (0.05, 0.5, 0.9):
        training = _Training(model, head, 0, spans=0.0)
        hits = [training.chart_hits(training.noised(batch, t)) for batch in batches]
        right, found, wanted = (sum(column) for column in zip(*hits, strict=True))
        figures[f"chart t={t:g}"] = round(2 * right / max(1, found + wanted), 4)
    training = _Training(model, head, 0, spans=0.0)
    seen = [training.noised(batch, 0.7) for batch in batches]
    for name, use_tree in (("words t=0.7", False), ("words t=0.7, tree", True)):
        losses = [float(training.words_loss(batch, use_tree)) for batch in seen]
        figures[name] = round(sum(losses) / len(losses), 4)
    return figures
