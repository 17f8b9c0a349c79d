"""A user's parallel text: line n translates line n, whatever ends the lines and stands in them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from made_up import pairs
from made_up.anything import ODD_TEXTS, folder, whole_texts

from idlib.data import translation, vocabulary
from idlib.data.errors import DataError

VOCABULARY = vocabulary.Vocabulary(
    vocabulary.train([side for pair in pairs.PAIRS["train"] for side in pair], pairs.TOKENS)
)

lines = st.one_of(
    st.sampled_from([text for text in ODD_TEXTS if text != "\ud800" and "\n" not in text]),
    whole_texts.map(lambda text: text.replace("\n", " ")),
    st.sampled_from([side for pair in pairs.PAIRS["test"] for side in pair]),
    st.integers(1, 20_000).map(lambda count: "wort " * count),
)


def write(path: Path, texts: list[str], end: str, last: str, mark: bytes) -> None:
    """A file of texts as somebody's editor leaves it."""
    path.write_bytes(mark + (end.join(texts) + last).encode())


@given(
    st.lists(st.tuples(lines, lines), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
@example([("\ufeff", "\ufeff")], "\n", False, b"")  # which thousands of cases found once
def test_every_line_is_read_at_its_place(both, end, closed, mark) -> None:
    """An empty line at the end counts where something ends it."""
    sides = [[pair[side] for pair in both] for side in range(2)]
    for texts in sides:
        if not mark:  # a first character that would be taken for it
            texts[0] = texts[0].lstrip("\ufeff")
        if not closed and not texts[-1]:  # nothing tells it from no line
            texts[-1] = "x"
    with folder() as root:
        for texts, language in zip(sides, translation.LANGUAGES, strict=True):
            write(root / f"test.{language}", texts, end, end if closed else "", mark)
        held = translation.whole("path", "test", VOCABULARY, root=root)
        assert len(held) == len(both)
        for number, (source, target) in enumerate(zip(*sides, strict=True)):
            expected = "".join(source.split())
            if expected and number < len(both) - 1:
                assert "".join(held.sources[number].split()) == expected
            assert not any(text.count("\n") for text in (held.sources[number], target))


@given(st.data())
def test_files_of_anything_end_in_data_or_a_named_error(data) -> None:
    with folder() as root:
        pairs.write_splits(root)
        for _ in range(data.draw(st.integers(1, 2))):
            name = data.draw(st.sampled_from(["train", "validation", "test"]))
            path = root / f"{name}.{data.draw(st.sampled_from(translation.LANGUAGES))}"
            content = path.read_bytes() if path.is_file() else b""
            place = data.draw(st.integers(0, len(content)))
            other = data.draw(
                st.one_of(
                    st.binary(max_size=8),
                    lines.map(str.encode),
                    st.sampled_from([b"\n", b"\r", b"\xff\xfe", "ä".encode("latin-1"), b"\x00"]),
                )
            )
            what = data.draw(st.sampled_from(["change", "utf-16", "latin-1", "remove", "folder"]))
            if path.is_dir():
                continue
            path.unlink(missing_ok=True)
            if what == "change":
                cut = data.draw(st.sampled_from([0, len(other), len(content)]))
                path.write_bytes(content[:place] + other + content[place + cut :])
            elif what == "folder":
                path.mkdir(exist_ok=True)
            elif what != "remove":
                path.write_bytes(content.decode("utf-8", "ignore").encode(what, "replace"))
        try:
            held = pairs.load(root, root / "cache")
        except DataError as error:
            assert str(root) in str(error) or "set vocabulary" in str(error), error
            return
        for name, split in held.splits.items():
            file = (root / f"{name}.de").read_bytes()
            written = file.count(b"\n") + (not file.endswith(b"\n") and bool(file))
            assert len(split) + sum(held.dropped[name].values()) == written
            assert held.lines[name] == sorted(set(held.lines[name]))
