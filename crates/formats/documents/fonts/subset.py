#!/usr/bin/env python3
"""Makes the fonts that PDF documents embed, from Debian's fonts-nanum (SIL Open Font License 1.1).

What is kept: all 11,172 syllables of Hangul, its letters, Latin, Greek, Cyrillic, and the symbols of KS X 1001; no hinting, no layout tables.
The licence reserves the name "Nanum": what is made here is called "Maru Gothic" and "Maru Mono".
The same package gives the same bytes.

    apt-get install fonts-nanum
    python3 -m venv venv && venv/bin/pip install fonttools==4.68.0
    venv/bin/python subset.py
"""
import gzip
import io
import pathlib
import sys

from fontTools import subset, ttLib

SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts/truetype/nanum")
HERE = pathlib.Path(__file__).resolve().parent
LICENCE = "This Font Software is licensed under the SIL Open Font License, Version 1.1."
# The sign of micro is drawn as the Greek letter.
SAME = {0x00B5: 0x03BC}


def symbols():
    """The symbols and letters of KS X 1001, rows 1 to 12."""
    for row in range(0xA1, 0xAD):
        for cell in range(0xA1, 0xFF):
            try:
                yield ord(bytes([row, cell]).decode("euc_kr"))
            except UnicodeDecodeError:
                pass


LATIN = set(range(0x20, 0x7F)) | set(range(0xA0, 0x180))
SIGNS = set(range(0x2000, 0x20D0)) | set(range(0x2100, 0x2600)) | set(symbols())
HANGUL = set(range(0xAC00, 0xD7A4))


def make(source, family, style, wanted, target):
    font = ttLib.TTFont(SOURCE / source, recalcTimestamp=False)
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "DSIG", "vhea", "vmtx", "VORG", "gasp", "BASE", "kern", "FFTM"]
    options.drop_tables += [f"TSI{index}" for index in range(6)]
    options.name_IDs = ["*"]
    options.notdef_outline = True
    options.recalc_timestamp = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=wanted & set(font.getBestCmap()))
    subsetter.subset(font)
    for table in font["cmap"].tables:
        if table.isUnicode():
            for code, like in SAME.items():
                if code in wanted and code not in table.cmap and like in table.cmap:
                    table.cmap[code] = table.cmap[like]
    name = f"{family.replace(' ', '')}-{style}"
    copyright = font["name"].getDebugName(0)
    font["name"].names = []
    texts = {0: copyright, 1: family, 2: style, 3: f"{name};1", 4: f"{family} {style}", 5: "Version 1.0", 6: name, 13: LICENCE, 14: "https://openfontlicense.org"}
    for number, text in texts.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    out = io.BytesIO()
    font.save(out)
    packed = gzip.compress(out.getvalue(), 9, mtime=0)
    (HERE / target).write_bytes(packed)
    print(target, len(font.getBestCmap()), "characters,", len(out.getvalue()), "bytes, packed", len(packed))


make("NanumGothic.ttf", "Maru Gothic", "Regular", LATIN | SIGNS | HANGUL, "MaruGothic-Regular.ttf.gz")
make("NanumGothicBold.ttf", "Maru Gothic", "Bold", LATIN | SIGNS | HANGUL, "MaruGothic-Bold.ttf.gz")
make("NanumGothicCoding.ttf", "Maru Mono", "Regular", LATIN, "MaruMono-Regular.ttf.gz")
