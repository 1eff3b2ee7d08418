"""Several corpora in one file of JSON lines, in a fixed random order: text and fields of each row.

python examples/join.py roc:train.jsonl.gz text:more.txt --out both.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from dlm_core.corpora import read_corpus
from dlm_core.errors import DLMError, UsageError
from dlm_core.files import write_text


def main() -> int:
    """Run; the exit code is dlm's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="+", metavar="READER:PATH")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args()
    try:
        if options.out.exists():
            raise UsageError(f"option '--out': {options.out} exists", "choose another file")
        examples = [example for name in options.corpora for example in read_corpus(name)]
    except DLMError as error:
        print(f"error: {error.message} ({error.hint or 'see --help'})", file=sys.stderr)
        return error.exit_code
    random.Random(0).shuffle(examples)
    rows = ({**example.fields, "text": example.text} for example in examples)
    write_text(options.out, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
