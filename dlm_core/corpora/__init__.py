"""Readers that turn a corpus file into texts: E2E, ROCStories, plain lines, JSON.

A corpus is named `READER:PATH` on the command line, `e2e:train.csv.gz` for one.
"""

from dlm_core.corpora.example import CorpusReader as CorpusReader
from dlm_core.corpora.example import Example as Example
from dlm_core.corpora.meaning import parse_mr as parse_mr
from dlm_core.corpora.prepare import learn as learn
from dlm_core.corpora.prepare import prepare as prepare
from dlm_core.corpora.reading import READERS as READERS
from dlm_core.corpora.reading import read_corpus as read_corpus
