"""DiffusionLM: word vectors, noise schedule, denoiser, rounding, and the objectives that train it.

Shapes: B batch, L positions, D word-vector width, V vocabulary.
Sequences: in `prior` mode the L positions hold words; in `padded` mode START, words, END, PAD...
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.config import LossWeights, ModelConfig, Objective
from dlm_core.diffusion.denoisers.make import make_denoiser
from dlm_core.diffusion.denoisers.shown import ShownDenoiser, ShownIds
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.rollout import SHARPNESS, Rollout
from dlm_core.diffusion.rounding import pick_words
from dlm_core.diffusion.schedule import NoiseSchedule

LENGTH_WEIGHT = 0.1
"""Of -log p(n | shown); it shares no parameter with the rest."""


@dataclass(frozen=True, eq=False)
class Losses:
    """Named terms of the objective, each (B,): a mean over positions (and over D)."""

    mse: Tensor
    """c_t |x_0_hat - x_0|^2; at the least noisy step |x_0_hat - EMB(w)|^2 (the t0 term)."""
    prior: Tensor
    """|sqrt(alpha_bar(1)) x_0|^2, the distance of q(x_T | x_0) from pure noise."""
    rounding: Tensor
    """-log p(w | x_0)."""
    anchor: Tensor
    """-log p(w | x_0_hat), the cross-entropy of the words from the denoiser's estimate."""

    def total(self, weights: LossWeights) -> Tensor:
        """The weighted sum, (B,)."""
        terms = (getattr(weights, f.name) * getattr(self, f.name) for f in fields(self))
        return sum(terms, torch.zeros_like(self.mse))


class DiffusionLM(nn.Module):
    """A Diffusion-LM (Li et al. 2022).

    Args:
        config: the shape.
        pad, unk: ids of PAD and UNK; neither is ever produced where words are asked for.
        codes: how many codes its denoiser can be shown (`ShownDenoiser`); 0 for a plain one.
    """

    length_counts: Tensor
    """(max_len + 1,), how many training texts have each number of words."""

    def __init__(self, config: ModelConfig, pad: int = 3, unk: int = 2, codes: int = 0) -> None:
        super().__init__()
        self.config = config
        self.pad = pad
        self.unk = unk
        self.schedule = NoiseSchedule(config.noise_schedule, config.train_steps)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.embedding.weight.requires_grad_(config.learned_embedding)
        self.rounding_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.denoiser = make_denoiser(config, codes)
        self.register_buffer("length_counts", torch.zeros(config.max_len + 1))

    def take_words(self, other: DiffusionLM) -> None:
        """Become as another of the same shape in all but the denoiser."""
        state = other.state_dict().items()
        rest = {name: value for name, value in state if not name.startswith("denoiser.")}
        self.load_state_dict(rest, strict=False)

    @property
    def embedding_matrix(self) -> Tensor:
        """Word vectors EMB, (V, D); of norm sqrt(D) for `embedding="unit"`."""
        weight = self.embedding.weight
        if self.config.embedding == "unit":
            return F.normalize(weight, dim=-1) * math.sqrt(self.config.embedding_dim)
        return weight

    def embed(self, tokens: Tensor) -> Tensor:
        """Ids (B, L) -> word vectors (B, L, D)."""
        return F.embedding(tokens, self.embedding_matrix)

    def rounding_logits(self, x_0: Tensor) -> Tensor:
        """Logits of p(w | x_0), (B, L, D) -> (B, L, V): tied dot product and bias, as released."""
        return x_0 @ self.embedding_matrix.T + self.rounding_bias

    def nearest_word(self, x_0: Tensor) -> Tensor:
        """Ids of the nearest word vectors, (B, L, D) -> (B, L): the clamp's Euclidean rule."""
        emb = self.embedding_matrix
        # argmin |x - e|^2 = argmax x.e - |e|^2 / 2
        return (x_0 @ emb.T - 0.5 * emb.square().sum(-1)).argmax(-1)

    def predict(
        self,
        x_t: Tensor,
        t: Tensor,
        lengths: Tensor,
        x_0_prev: Tensor | None = None,
        shown: ShownIds | None = None,
        evidence: float = 1.0,
    ) -> Prediction:
        """Ask the denoiser for x_0.

        Args:
            x_t: (B, L, D).
            t: (B,) in [0, 1].
            lengths: (B,), positions that exist.
            x_0_prev: (B, L, D), the previous estimate (self-conditioning), or None.
            shown: what is asked for, of a model whose denoiser can be shown it.
            evidence: weight of what x_t says of its own word, where the model counts it.
        """
        if isinstance(self.denoiser, ShownDenoiser):
            words = self.embedding_matrix
            out = self.denoiser.denoise(x_t, t, lengths, x_0_prev, shown, words).float()
        else:
            out = self.denoiser.denoise(x_t, t, lengths, x_0_prev).float()
        if self.config.readout == "words":
            if self.config.evidence:
                out = out + evidence * self._evidence(x_t, t)
            log_probs = F.log_softmax(out, dim=-1)
            return Prediction(log_probs.exp() @ self.embedding_matrix, log_probs)
        x_0_hat = self._to_x_0(out, x_t, t)
        return Prediction(x_0_hat, F.log_softmax(self.rounding_logits(x_0_hat), dim=-1))

    def _evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """log q(x_t,i | w) of each word, up to what all words share, (B, L, V).

        q(x_t | w) = N(sqrt(alpha_bar) EMB(w), (1 - alpha_bar + alpha_bar sigma_0^2) I): eq. 1, 2.
        """
        words, alpha_bar = self.embedding_matrix, self.schedule.alpha_bar(t)[:, None, None]
        variance = 1 - alpha_bar + alpha_bar * self.config.sigma_0**2
        with torch.autocast(x_t.device.type, enabled=False):  # bf16 could not tell near words apart
            nearness = alpha_bar.sqrt() * (x_t.float() @ words.float().T)
        return (nearness - alpha_bar * words.square().sum(-1) / 2) / variance

    def _to_x_0(self, out: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Convert the network's output to x_0 (§4.2, App. E)."""
        if self.config.parametrisation == "x_0":
            return out
        if self.config.parametrisation == "eps":
            alpha_bar = self.schedule.alpha_bar(t)[:, None, None]
            return (x_t - (1 - alpha_bar).sqrt() * out) / alpha_bar.sqrt()
        a, b, _ = self.schedule.posterior_coefficients(t, self._previous(t))
        return (out - b[:, None, None] * x_t) / a[:, None, None]

    def _previous(self, t: Tensor) -> Tensor:
        return (t - 1.0 / self.config.train_steps).clamp(min=0.0)

    def step_weight(self, objective: Objective, t: Tensor) -> Tensor:
        """c_t: the objective's weight of |x_0_hat - x_0|^2 at t, (B,).

        All three objectives are weightings of this one error, since
        mu_theta - mu_hat = A_t (x_0_hat - x_0) (App. E):
        `x0_simple` 1; `simple` A_t^2; `vlb` T A_t^2 / (2 var_t) (eq. 3, summed over the T steps).
        """
        if objective == "x0_simple":
            return torch.ones_like(t)
        a, _, var = self.schedule.posterior_coefficients(t, self._previous(t))
        if objective == "simple":
            return a.square()
        return self.config.train_steps * a.square() / (2 * var.clamp(min=1e-8))

    def losses(
        self,
        tokens: Tensor,
        lengths: Tensor,
        t: Tensor,
        noise: tuple[Tensor, Tensor],
        objective: Objective = "x0_simple",
        self_condition: bool = False,
        rollout: Rollout | None = None,
        shown: ShownIds | None = None,
    ) -> Losses:
        """The terms of L^e2e (eq. 2) at times t.

        Args:
            tokens: (B, L) ids.
            lengths: (B,), positions that exist; the rest are left out of every mean.
            t: (B,), multiples of 1/T in (0, 1].
            noise: two (B, L, D) standard normals, for q(x_0 | w) and q(x_t | x_0).
            objective: which weighting of the squared error.
            self_condition: first estimate x_0 without gradient and feed it back.
            rollout: take x_t, and what is fed back, from a sampler's step instead.
            shown: what the texts meet, of a model that can be shown it.
        """
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]  # (B, L)
        mask = mask.float() / lengths[:, None]  # weights of a mean over existing positions
        words = self.embed(tokens)  # (B, L, D)
        x_0 = words + self.config.sigma_0 * noise[0]
        x_t = self.schedule.q_sample(x_0, t, noise[1])
        x_0_prev = None
        if self_condition and rollout is not None:
            x_t, x_0_prev = self._roll_out(x_0, tokens, t, lengths, noise[1], rollout, shown)
        elif self_condition:
            with torch.no_grad():
                x_0_prev = self.predict(x_t, t, lengths, None, shown).x_0_hat
        predicted = self.predict(x_t, t, lengths, x_0_prev, shown)

        first = (t < 1.5 / self.config.train_steps)[:, None, None]
        target = torch.where(first, words, x_0)
        mse = ((predicted.x_0_hat - target).square().mean(-1) * mask).sum(-1)
        weight = torch.where(first[:, 0, 0], 1.0, self.step_weight(objective, t))
        alpha_bar_1 = self.schedule.alpha_bar(torch.ones_like(t))
        prior = alpha_bar_1 * (x_0.square().mean(-1) * mask).sum(-1)
        rounding = -_pick(F.log_softmax(self.rounding_logits(x_0).float(), -1), tokens)
        anchor = -_pick(predicted.token_log_probs, tokens)
        return Losses(weight * mse, prior, (rounding * mask).sum(-1), (anchor * mask).sum(-1))

    @torch.no_grad()
    def _roll_out(
        self,
        x_0: Tensor,
        tokens: Tensor,
        t: Tensor,
        lengths: Tensor,
        noise: Tensor,
        rollout: Rollout,
        shown: ShownIds | None = None,
    ) -> tuple[Tensor, Tensor]:
        """x_t after one sampler step from t + gap, and what the step feeds back; (B, L, D) each."""
        earlier = (t + rollout.gap).clamp(max=1.0)
        x = self.schedule.q_sample(x_0, earlier, noise)
        seen = self.predict(x, earlier, lengths, None, shown).token_log_probs
        log_q = rollout.hint(seen, tokens)
        words = pick_words(log_q, rollout.uniform, rollout.temperature)
        # Where t = 1 there is no earlier time: the step is empty and its variance 0.
        mean, var = self.schedule.q_posterior(self.embed(words), x, earlier, t)
        fed_back = F.softmax(SHARPNESS * log_q, dim=-1) @ self.embedding_matrix
        return mean + var.clamp(min=0).sqrt() * rollout.noise, fed_back

    def forward(
        self,
        tokens: Tensor,
        lengths: Tensor,
        t: Tensor,
        noise: tuple[Tensor, Tensor],
        objective: Objective,
        weights: LossWeights,
        self_condition: bool,
        rollout: Rollout | None = None,
        shown: ShownIds | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Training entry: the total loss a sample (B,), and each term's (detached)."""
        losses = self.losses(tokens, lengths, t, noise, objective, self_condition, rollout, shown)
        terms = {f.name: getattr(losses, f.name).detach() for f in fields(losses)}
        total = losses.total(weights)
        if shown is not None and isinstance(self.denoiser, ShownDenoiser):
            log_p = self.denoiser.length_log_probs(shown, self.embedding_matrix)
            terms["length"] = -log_p.gather(-1, lengths[:, None])[:, 0]
            total = total + LENGTH_WEIGHT * terms["length"]
            terms["length"] = terms["length"].detach()
        return total, terms


def _pick(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """log_probs (B, L, V) at tokens (B, L) -> (B, L)."""
    return log_probs.gather(-1, tokens[..., None]).squeeze(-1)
