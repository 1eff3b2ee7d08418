"""Compose controls in Python: a fact, a length, and verdicts for both.

Run: python examples/compose.py
"""

from __future__ import annotations

import dlm_core as dlm
from dlm_controls import Length, Semantic


def main() -> None:
    model = dlm.load("e2e")
    controls = Semantic(food="Japanese") + Length(10, 14)
    sampling = dlm.SamplingConfig(steps=20)
    for result in dlm.generate(model, controls, n=4, seed=7, sampling=sampling):
        print(f"seed {result.seed}: {result.text}")
        for spec, satisfied in result.verdicts.items():
            print(f"  {'yes' if satisfied else 'no '} {spec}")


if __name__ == "__main__":
    main()
