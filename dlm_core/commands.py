"""Commands as they are printed for the person to type: whole, and quoted for a shell.

Light: imports no torch.
"""

from __future__ import annotations

import shlex


def command(*words: object) -> str:
    """`dlm` and these words, each as one word of a shell; what stands in capitals is left as it is.

    >>> command("train", "control", "pos", "--model", "my model", "--corpus", "READER:PATH")
    "dlm train control pos --model 'my model' --corpus READER:PATH"
    """
    return shlex.join(["dlm", *map(str, words)])
