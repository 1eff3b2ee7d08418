"""`dlm train`: train a language model or a control's head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train a Diffusion-LM, or the head of a control.")


@app.command("lm")
def train_lm(
    corpus: Annotated[
        str, typer.Option(metavar="READER:PATH", help="Training texts, e2e:train.csv.gz say.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, curves and the bundle.")],
    valid: Annotated[
        str | None,
        typer.Option(metavar="READER:PATH", help="Validation texts; held out of --corpus if omitted."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML of training settings; defaults are the embedded model's.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue exactly from DIR.")] = False,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Overrides the config's.")] = None,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="Leave a checkpoint and stop at this step.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Compile the denoiser.")] = False,
) -> None:
    """Train a Diffusion-LM on a corpus and write a bundle."""
    from dlm_cli.output import pick_device, progress_bar, stderr
    from dlm_core.config import TrainConfig, load_toml
    from dlm_core.corpora import read_corpus
    from dlm_core.training import Callbacks, Trainer
    from dlm_core.vocab import Vocab

    data = load_toml(config) if config else {}
    if max_steps is not None:
        data["max_steps"] = max_steps
    texts = [e.text for e in read_corpus(corpus)]
    if valid is not None:
        valid_texts = [e.text for e in read_corpus(valid)]
    else:
        every = max(2, len(texts) // 1000)
        valid_texts = texts[::every]
        texts = [t for i, t in enumerate(texts) if i % every]
    settings = TrainConfig.read(data, str(config or "defaults"))
    vocab = Vocab.build(texts, settings.min_count)
    model = settings.model.model_copy(update={"vocab_size": len(vocab)})
    settings = settings.model_copy(update={"model": model})
    trainer = Trainer(
        settings, vocab, texts, valid_texts, out, device=pick_device(device), compile=compile
    )
    if resume:
        trainer.resume()
    goal = min(stop_after or settings.max_steps, settings.max_steps)
    with progress_bar("training", goal) as bar:
        bar.update(trainer.step)

        def on_step(step: int, metrics: dict[str, float]) -> None:
            bar.update(1)
            if step % 20 == 0:
                bar.set_postfix(loss=f"{metrics['loss']:.3f}", ce=f"{metrics['anchor']:.3f}")

        def on_eval(step: int, metrics: dict[str, float], samples: list[str]) -> None:
            stderr(f"step {step}: validation cross-entropy {metrics['valid_anchor']:.3f}")
            for text in samples:
                stderr(f"  | {text}")

        result = trainer.run(Callbacks(on_step, on_eval), stop_after)
    if result.finished:
        stderr(f"wrote the bundle {out}")
    else:
        stderr(f"stopped at step {result.step}; continue with --resume")
