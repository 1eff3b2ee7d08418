"""A CSV of meaning representations as requests."""

from __future__ import annotations

import gzip
import json

import pytest

from dlm_cli.requests.tables import from_table
from dlm_core.errors import UsageError

TABLE = """mr,ref,n
"name[The Mill], eatType[pub]",The Mill is a pub .,2
"food[Frnch]",French food .,

"area[riverside]","It is
near the river .",
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mrs.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(TABLE)
    return path


def test_each_row_asks_for_its_mr(run_cli, table):
    run = run_cli("generate", "--requests", table, "-n", 1, "--steps", 3, "--corrections", 0)
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert [row["id"] for row in rows] == [2, 2, 6]
    assert rows[0]["controls"][0]["spec"] == 'mr:"name[The Mill], eatType[pub]"'
    assert set(rows[0]["controls"][0]["parts"]) == {
        "said", "consistent", "once", "nothing_added",
    }  # fmt: skip
    assert run.code == 2 and f"{table}, line 3: " in run.err and "'French'" in run.err


def test_a_table_without_mrs_is_told(run_cli, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("text,label\na,b\n")
    run = run_cli("generate", "--requests", path)
    assert run.code == 2 and "no column 'mr', found text, label" in run.err


def test_a_table_as_a_spreadsheet_writes_it_and_one_with_an_open_quote(tmp_path):
    lines = [b"\xef\xbb\xbfID;Meaning_Representation;ref\r\n", b"a;name[A], food[B];x\r\n"]
    (row,) = [json.loads(line) for line in from_table("mrs.csv", lines) if line.strip()]
    assert row == {"id": "a", "controls": ['mr:"name[A], food[B]"']}
    (one,) = [json.loads(line) for line in from_table("m.tsv", [b"mr\n", b"a[b], c[d]\n"])
              if line.strip()]  # fmt: skip
    assert one["controls"] == ['mr:"a[b], c[d]"']
    with pytest.raises(UsageError, match=r"mrs\.csv, line 2: a quote is not closed"):
        list(from_table("mrs.csv", [b"mr,ref\n", b'"name[A],x\n', b"name[B],y\n"]))
