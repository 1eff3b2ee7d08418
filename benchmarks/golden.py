"""The same texts before and after a change: 208 of them, every control, both modes.

    python benchmarks/golden.py write golden.json
    python benchmarks/golden.py compare golden.json

Written with one thread, so that sums are taken in one order. What is compared is the words, and
log p of each control to six digits; of a text that differs, both are shown. Speaks to the public
API alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

import dlm_core as dlm

TREE = 'tree:"(TOP (S (NP The *) (VP * (NP * * *)) *))"'
REQUESTS: tuple[tuple[str, ...], ...] = (
    (),
    ("semantic:food=Japanese",),
    ("semantic:near=Burger King",),
    ("semantic:family friendly=yes",),
    ("not semantic:family friendly=yes", "semantic:area=riverside"),
    ('pos:"PROPN AUX ..."',),
    ('pos:"DET NOUN AUX DET ADJ NOUN PUNCT"',),
    (TREE,),
    ("span:3,5,PP",),
    ("span:0,1,NP", "length:10"),
    ('pattern:"The * serves (Indian|Italian) food ..."',),
    ('keyword:"family",pub', "avoid:cheap"),
    ("not keyword:cheap",),
    ("length:12",),
    ("length:5-9@0.5", "semantic:name=The Mill"),
    ("infill:left=The Mill is,right=near Burger King .",),
    ("infill:left=The Mill is,right=.,words=6", "keyword:cheap"),
    ("semantic:name=The Eagle", "semantic:food=French", "semantic:price=cheap"),
    ('pos:"PROPN ..."', "semantic:food=Indian", "length:14"),
    (TREE, "semantic:food=Chinese"),
    ("classify:{folder}=yes",),
    ("classify:{folder}=no", "length:10-12"),
    ("not classify:{folder}=yes",),
    ("semantic:rating=5 out of 5", "avoid:restaurant", "length:8-20"),
    ("semantic:food=Japanese@0.5", 'pos:"... PUNCT"@2'),
    ('pattern:"... (cheap|high) ..."', "infill:left=The,right=."),
)
LABELLED = (
    ("The Mill is a family friendly pub .", "yes"),
    ("Children are welcome at The Eagle .", "yes"),
    ("The Mill is not family friendly .", "no"),
    ("The Eagle is an adults only pub .", "no"),
)


def texts(folder: Path) -> dict[str, list[list[object]]]:
    """mode and controls -> [words, log p of each control], 4 seeds each."""
    model = dlm.load("e2e")
    plugins = dlm.load_plugins(chosen=())
    examples = [dlm.Example(text, {"label": label}) for text, label in LABELLED * 10]
    plugins.controls["classify"].train(model, examples, folder, steps=60)
    out = {}
    for mode in ("posterior", "paper"):
        for request in REQUESTS:
            terms = [dlm.parse_spec(s.format(folder=folder), plugins.controls) for s in request]
            results = dlm.generate(
                model,
                dlm.Controls(tuple(terms)),
                4,
                guidance=dlm.GuidanceConfig(mode=mode),
                sampling=dlm.SamplingConfig(steps=12),
                verify=False,
                plugins=plugins,
            )
            out[f"{mode} {' + '.join(request)}"] = [
                [r.tokenised, *(round(c.log_prob or 0.0, 6) for c in r.controls)] for r in results
            ]
    return out


def main() -> int:
    """Write the texts, or compare them with those written before."""
    command, file = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = texts(Path(folder) / "friendly")
    count = sum(map(len, found.values()))
    if command == "write":
        file.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"wrote {count} texts to {file}")
        return 0
    before = json.loads(file.read_text(encoding="utf-8"))
    differing = [key for key in found if found[key] != before.get(key)]
    for key in differing:
        print(key, *zip(before.get(key, []), found[key], strict=False), sep="\n  ")
    print(f"{count} texts of {len(found)} requests, {len(differing)} requests differ")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
