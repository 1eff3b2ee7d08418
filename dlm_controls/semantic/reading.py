"""Reads facts from texts by mined phrases and known names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dlm_controls.semantic.inventory import Field
from dlm_controls.semantic.roles import Roles
from dlm_controls.semantic.words import comparable, cut

_Entry = tuple[str, str]


class Mention(NamedTuple):
    """A fact stated by the tokens `start` to `end` (half-open)."""

    field: str
    value: str
    start: int
    end: int


@dataclass
class Reader:
    """Finds phrases, the longest first from the left.

    Attributes:
        index: first word -> (words, (field, value) and in how many texts), the longest first.
        roles: which field a name belongs to.
        open_fields: fields of names.
    """

    index: dict[str, list[tuple[tuple[str, ...], dict[_Entry, int]]]]
    roles: Roles
    open_fields: frozenset[str]

    @classmethod
    def of(cls, fields: Mapping[str, Field], roles: Roles) -> Reader:
        """From values with their phrases."""
        found: dict[tuple[str, ...], dict[_Entry, int]] = {}
        for name, field in fields.items():
            for value, one in field.values.items():
                said = [value] if field.kind == "open" else one.phrases if not one.why else []
                for words in map(comparable, said):
                    if words:
                        found.setdefault(words, {})[name, value] = one.texts
        index: dict[str, list[tuple[tuple[str, ...], dict[_Entry, int]]]] = {}
        for words in sorted(found, key=len, reverse=True):
            index.setdefault(words[0], []).append((words, found[words]))
        is_open = frozenset(name for name, field in fields.items() if field.kind == "open")
        return cls(index, roles, is_open)

    def read(self, tokens: Sequence[str], fields: Mapping[str, str] | None = None) -> list[Mention]:
        """Every fact that the tokens state, in order.

        Args:
            tokens: of the text.
            fields: what the text is known to say; a name is that of one of these, if of any.
        """
        words, owners = cut(tokens)
        found: list[Mention] = []
        at = 0
        while at < len(words):
            for phrase, entries in self.index.get(words[at], ()):
                if tuple(words[at : at + len(phrase)]) == phrase:
                    end = at + len(phrase)
                    field, value = self._which(entries, words, at, end, fields)
                    start, stop = owners[at], owners[end - 1] + 1
                    last = found[-1] if found else None
                    if last and last[:2] == (field, value) and start <= last.end + 1:
                        # `family` and `friendly` of one phrase, maybe with a hyphen between
                        between = tokens[last.end : start]
                        if not any(cut(between)[0]):
                            found.pop()
                            start = last.start
                    found.append(Mention(field, value, start, stop))
                    at = end
                    break
            else:
                at += 1
        return found

    def _which(
        self,
        entries: Mapping[_Entry, int],
        words: Sequence[str],
        start: int,
        end: int,
        fields: Mapping[str, str] | None,
    ) -> _Entry:
        """The fact that this phrase states here."""
        for entry in entries:
            if fields is not None and fields.get(entry[0]) == entry[1]:
                return entry
        entry = max(entries, key=lambda e: entries[e])
        if entry[0] not in self.open_fields or len(self.open_fields) < 2:
            return entry
        known = {field: count for (field, _), count in entries.items()}
        return self.roles.field(known, words, start, end), entry[1]
