"""PDFs that act, hide or cost: each made here from bytes, in the ways that viewers read and a search by text does not."""

import io
import re
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from shops.billing import pdf_guard, uploads

# What a link may do, and what not.
SCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"
WEB = b"<</S/URI/URI(https://lumiere.example/a\\(1\\))>>"


def pdf(*objects: bytes, trailer: bytes = b"", before: bytes = b"", root: bytes = b"") -> bytes:
    """A whole document of one page with a table of objects; the objects given come after its own three."""
    own = [
        b"<</Type/Catalog/Pages 2 0 R" + root + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 10 10]>>",
    ]
    found, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + before, []
    for number, said in enumerate([*own, *objects], 1):
        places.append(len(found))
        found += b"%d 0 obj\n%s\nendobj\n" % (number, said)
    start = len(found)
    found += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    found += b"".join(b"%010d 00000 n \n" % place for place in places)
    found += b"trailer\n<</Size %d/Root 1 0 R%s>>\n" % (len(places) + 1, trailer)
    return found + b"startxref\n%d\n%%%%EOF\n" % start


def stream(data: bytes, dictionary: bytes = b"", *, between: bytes = b"\n", after: bytes = b"\n") -> bytes:
    said = b"<<" + dictionary + b"/Length %d>>" % len(data)
    return said + between + b"stream" + after + data + b"\nendstream"


def packed(*said: bytes, kind: bytes = b"/Type/ObjStm", flate: bool = True, first: int = 10, **how: bytes) -> bytes:
    """An object stream that holds the objects from number `first` on."""
    places, body = [], b""
    for number, item in enumerate(said, first):
        places.append(b"%d %d" % (number, len(body)))
        body += item + b" "
    header = b" ".join(places) + b" "
    data = header + body
    about = kind + b"/N %d/First %d" % (len(said), len(header)) + (b"/Filter/FlateDecode" if flate else b"")
    return stream(zlib.compress(data) if flate else data, about, **how)


def revised(content: bytes, said: bytes) -> bytes:
    """The document with a newer revision of its catalog behind it."""
    start = len(content)
    place = int(re.findall(rb"startxref\n(\d+)", content)[-1])
    return content + (
        b"1 0 obj\n%s\nendobj\nxref\n1 1\n%010d 00000 n \ntrailer\n<</Size 4/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n"
        % (said, start, place, start + len(said) + 16)
    )


PLAIN = b"<</Type/Catalog/Pages 2 0 R>>"
ACTIONS = {
    "JavaScript": SCRIPT,
    "a name in escapes": b"<</S/J#61v#61Script/J#53(1)>>",
    "odd spacing": b"<<\n/S%c\r/JavaScript\x00/JS\x0c(1)>>",
    "Launch": b"<</S/Launch/Win<</D(a)>>>>",
    "GoToR to a share": b"<</S/GoToR/F(\\\\\\\\serveur\\\\partage\\\\a.pdf)/D[0/Fit]>>",
    "GoToE": b"<</S/GoToE/D(a)>>",
    "Named": b"<</S/Named/N/Print>>",
    "Hide": b"<</S/Hide/T(a)>>",
    "ResetForm": b"<</S/ResetForm>>",
    "SetOCGState": b"<</S/SetOCGState/State[/OFF]>>",
    "SubmitForm": b"<</S/SubmitForm/F<</FS/URL/F(https://x.example)>>>>",
    "ImportData": b"<</S/ImportData/F(a.fdf)>>",
    "Rendition": b"<</S/Rendition/OP 0/R 5 0 R>>",
    "Movie": b"<</S/Movie/T(a)>>",
    "Sound": b"<</S/Sound/Sound 5 0 R>>",
    "a rich annotation": b"<</Type/Annot/Subtype/RichMedia/Rect[0 0 1 1]>>",
    "a three-dimensional one": b"<</Type/Annot/Subtype/3D/3DD 5 0 R>>",
    "an attachment": b"<</Type/Annot/Subtype/FileAttachment/FS 5 0 R>>",
    "an embedded file": b"<</Type/EmbeddedFile>>",
    "a file elsewhere": b"<</Type/XObject/Ref<</F(\\\\\\\\serveur\\\\a.pdf)>>>>",
    "ftp": b"<</S/URI/URI(ftp://x.example/a)>>",
    "file": b"<</S/URI/URI(file:///etc/passwd)>>",
    "a script in an address": b"<</S/URI/URI(javascript:alert\\(1\\))>>",
    "a share in an address": b"<</S/URI/URI(\\\\\\\\serveur\\\\partage)>>",
    "an address in octal": b"<</S/URI/URI(\\146\\164p://x.example)>>",
    "an address in hexadecimal": b"<</S/URI/URI<66 74 70 3a 2f 2f 78>>>",
    "an address in UTF-16": b"<</S/URI/URI<FEFF006600740070003A002F002F0078>>>",
    "an address with a line in it": b"<</S/URI/URI(java\nscript:alert\\(1\\))>>",
    "an address kept elsewhere": b"<</S/URI/URI 2 0 R>>",
    "an address behind a comment": b"<</S/URI/URI%x\n(smb://serveur/a)>>",
    "an escaped key of an address": b"<</S/URI/#55RI(ms-word:ofe|u|https://x.example)>>",
}
HIDING: dict[str, Callable[[bytes], bytes]] = {
    "in plain": lambda said: pdf(said),
    "packed": lambda said: pdf(packed(said)),
    "packed, not compressed": lambda said: pdf(packed(said, flate=False)),
    "packed without a type": lambda said: pdf(packed(said, kind=b"")),
    "packed under an escaped type": lambda said: pdf(packed(said, kind=b"/T#79pe/Obj#53tm")),
    "packed, a comment before the keyword": lambda said: pdf(packed(said, between=b" %>>\n%endstream\n")),
    "packed, no space before the keyword": lambda said: pdf(packed(said, between=b"")),
    "packed, spaces of all kinds before it": lambda said: pdf(packed(said, between=b"\x00\x0c\t\r\n" * 50)),
    "packed, a comment behind the keyword": lambda said: pdf(packed(said, after=b" %x\n")),
    "packed, a lone return behind it": lambda said: pdf(packed(said, after=b"\r")),
    "packed, the end written in the data": lambda said: pdf(packed(b"(endstream)" + said, flate=False)),
    "packed under a comment in the data": lambda said: pdf(packed(b"null %", said)),
    "packed in a text of the data": lambda said: pdf(packed(b"(", said + b")", flate=False)),
    "a former revision": lambda said: revised(pdf(said), PLAIN),
    "a newer revision": lambda said: revised(pdf(), PLAIN.replace(b">>", b"/X ") + said + b">>"),
    "what nothing leads to": lambda said: pdf(before=b"77 0 obj\n" + said + b"\nendobj\n"),
    "behind the end": lambda said: pdf() + b"9 0 obj\n" + said + b"\nendobj\n%%EOF\n",
    "within the data of a stream": lambda said: pdf(stream(b"9 0 obj\n" + said + b"\nendobj")),
    "within the data, comments between": lambda said: pdf(stream(b"9 %x\n0%y\n obj\n" + said)),
    "within a comment": lambda said: pdf(before=b"% 9 0 obj " + said.replace(b"\n", b" ") + b" endobj\n"),
    "within a text": lambda said: pdf(b"(9 0 obj " + said + b" endobj)"),
    "in the trailer": lambda said: pdf(trailer=b"/X " + said),
    "without a table": lambda said: b"%PDF-1.4\n1 0 obj\n" + said + b"\nendobj\n%%EOF",
}


@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize("action", ACTIONS)
def test_what_acts_is_refused_wherever_it_stands(action: str, hiding: str) -> None:
    with pytest.raises(ValidationError):
        uploads.check_pdf(HIDING[hiding](ACTIONS[action]))


@pytest.mark.parametrize("hiding", HIDING)
def test_what_does_not_act_is_taken_in_the_same_places(hiding: str) -> None:
    """The refusals above are for what acts, not for the shape; hiding an object is refused for itself."""
    content = HIDING[hiding](WEB)
    if hiding.startswith("within"):
        with pytest.raises(ValidationError, match="cache un objet"):
            uploads.check_pdf(content)
    elif hiding not in (
        "behind the end",
        "packed, a comment behind the keyword",
        "packed, the end written in the data",
    ):
        # Those three no library reads.
        uploads.check_pdf(content)


@pytest.mark.parametrize("key", [b"/OpenAction[3 0 R/Fit]", b"/AA<</O 5 0 R>>", b"/Names<</EmbeddedFiles 5 0 R>>"])
def test_what_a_document_does_when_it_opens_is_refused(key: bytes) -> None:
    for content in (pdf(root=key), pdf(PLAIN[:-2] + key + b">>"), pdf(packed(PLAIN[:-2] + key + b">>"))):
        with pytest.raises(ValidationError, match="élément actif"):
            uploads.check_pdf(content)


def test_a_form_of_xfa_is_refused() -> None:
    with pytest.raises(ValidationError, match="/XFA"):
        uploads.check_pdf(pdf(root=b"/AcroForm<</XFA[(a) 5 0 R]>>"))


def test_a_stream_whose_data_lies_elsewhere_is_refused() -> None:
    for where in (b"/F(\\\\\\\\serveur\\\\a)", b"/F 5 0 R", b"/F<</F(a)>>"):
        with pytest.raises(ValidationError, match="/F"):
            uploads.check_pdf(pdf(stream(b"", where)))


@pytest.mark.parametrize("address", [b"https://x.example", b"HTTP://x.example/?a=b", b"mailto:claire@x.example", b""])
def test_links_to_the_web_and_to_mailboxes_are_taken(address: bytes) -> None:
    uploads.check_pdf(pdf(b"<</S/URI/URI(" + address + b")>>", root=b"/URI<</Base(https://x.example)>>"))


def test_words_that_a_reader_sees_do_no_harm() -> None:
    """Names of actions are refused where they are names, not where an invoice lists a training in HTML/JavaScript."""
    text = b"(Formation HTML/JavaScript, module /Launch \\(/AA\\)) Tj"
    uploads.check_pdf(
        pdf(stream(text), b"<</Title(HTML/JavaScript)>>", packed(b"<</Title(HTML/JavaScript)>>", first=20))
    )
    uploads.check_pdf(pdf(stream(zlib.compress(text), b"/Filter/FlateDecode")))


def _encrypted() -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf())))
    writer.encrypt("", "proprietaire", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_an_encrypted_file_is_refused() -> None:
    for content in (_encrypted(), pdf(trailer=b"/Encrypt 4 0 R"), pdf(trailer=b"/#45ncrypt<</Filter/Standard>>")):
        with pytest.raises(ValidationError, match="chiffré"):
            uploads.check_pdf(content)


def _crossed(rows: list[tuple[int, int, int]], *objects: bytes) -> bytes:
    """A document whose table of objects is a stream."""
    found, places = b"%PDF-1.7\n", {}
    for number, said in enumerate(objects, 1):
        places[number] = len(found)
        found += b"%d 0 obj\n%s\nendobj\n" % (number, said)
    table = len(found)
    number = len(objects) + 1
    entries = [(0, 0, 65535), *((1, places[n], 0) for n in places), (1, table, 0), *rows]
    data = b"".join(bytes([kind]) + where.to_bytes(4) + more.to_bytes(2) for kind, where, more in entries)
    about = b"/Type/XRef/W[1 4 2]/Size %d/Root 1 0 R/Filter/FlateDecode" % len(entries)
    return (
        found
        + b"%d 0 obj\n" % number
        + stream(zlib.compress(data), about)
        + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % table
    )


def test_a_document_whose_table_is_a_stream_is_read() -> None:
    own = (
        PLAIN,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 10 10]/Annots[6 0 R]>>",
    )
    link = b"<</Type/Annot/Subtype/Link/Rect[0 0 1 1]/A " + WEB + b">>"
    uploads.check_pdf(_crossed([(2, 4, 0)], *own, packed(link, first=6)))
    for said in (SCRIPT, ACTIONS["ftp"]):
        with pytest.raises(ValidationError):
            uploads.check_pdf(_crossed([(2, 4, 0)], *own, packed(link.replace(WEB, said), first=6)))


# --- Real documents --------------------------------------------------------------------------------


def _drawn() -> bytes:
    document = FPDF()
    document.add_page()
    document.set_font("helvetica", size=12)
    document.cell(text="Facture F2026-000001", link="https://lumiere.example/facture")
    return bytes(document.output())


def test_documents_of_real_makers_are_taken() -> None:
    rewritten = io.BytesIO()
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(_drawn())))
    writer.add_metadata({"/Title": "Facture (1)"})
    # fpdf2 asks for a zoom when the document opens.
    writer.root_object.pop("/OpenAction", None)
    writer.write(rewritten)
    uploads.check_pdf(rewritten.getvalue())


@pytest.mark.parametrize("key", ["/OpenAction", "/AA"])
def test_the_same_with_a_script_added_by_a_library_is_refused(key: str) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(_drawn())))
    action = DictionaryObject({NameObject("/S"): NameObject("/Named"), NameObject("/N"): TextStringObject("a")})
    writer.root_object[NameObject(key)] = action
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(ValidationError, match="élément actif"):
        uploads.check_pdf(out.getvalue())


def test_a_document_that_the_library_cannot_read_is_refused() -> None:
    for content in (
        pdf().replace(b"/Kids[3 0 R]/Count 1", b"/Kids[]/Count 0"),
        re.sub(rb"startxref\n\d+", b"startxref\n99999999", pdf()[:60]) + b"startxref\n5\n%%EOF",
    ):
        with pytest.raises(ValidationError):
            uploads.check_pdf(content)


# --- Bombs -----------------------------------------------------------------------------------------


def _deep(opening: bytes, closing: bytes, n: int = 100_000) -> bytes:
    return pdf(opening * n + closing * n)


BOMBS: dict[str, Callable[[], bytes]] = {
    "packed zeros": lambda: pdf(packed(b"\0" * 64 * 1024 * 1024)),
    "packed zeros, many times": lambda: pdf(*[packed(b"\0" * 1024 * 1024)] * 200),
    "packed twice": lambda: pdf(
        stream(zlib.compress(zlib.compress(SCRIPT)), b"/Type/ObjStm/N 1/First 4/Filter[/FlateDecode/FlateDecode]")
    ),
    "another filter": lambda: pdf(stream(b"\x80\x0b", b"/Type/ObjStm/N 1/First 4/Filter/LZWDecode")),
    "a predictor": lambda: pdf(
        stream(
            zlib.compress(b"x"), b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 4>>"
        )
    ),
    "a filter kept elsewhere": lambda: pdf(stream(zlib.compress(b"x"), b"/Type/ObjStm/N 1/First 4/Filter 5 0 R")),
    "a beginning kept elsewhere": lambda: pdf(stream(b"10 0 " + SCRIPT, b"/N 1/First 5 0 R")),
    "deep dictionaries": lambda: _deep(b"<</A", b">>"),
    "deep lists": lambda: _deep(b"[", b"]"),
    "deep lists, packed": lambda: pdf(packed(b"[" * 500_000)),
    "parentheses": lambda: pdf(b"(" * 1_000_000),
    "openings of dictionaries": lambda: pdf(b"<<" * 2_000_000),
    "openings of hexadecimal texts": lambda: pdf(b"<a" * 2_000_000),
    "openings of streams": lambda: pdf(b">>stream\n" * 500_000),
    "empty streams": lambda: pdf(b"<<>>stream\nendstream " * 300_000),
    "empty packed streams": lambda: pdf((b"<</Type/ObjStm/N 1/First 1>>stream\n" + b"endstream ") * 100_000),
    "comments": lambda: pdf(b"%obj\n" * 1_400_000),
    "one long comment of marks": lambda: pdf(b"%" * 7_000_000),
    "names": lambda: pdf(b"/a" * 3_000_000),
    "escapes": lambda: pdf(b"/" + b"#61" * 2_000_000),
    "spaces": lambda: pdf(b"1" + b" " * 7_000_000 + b"0"),
    "digits": lambda: pdf(b"1" * 7_000_000),
    "objects": lambda: b"%PDF-1.4\n" + b"1 0 obj null endobj " * 300_000 + b"%%EOF",
    "objects in one stream": lambda: pdf(packed(*[b"0"] * 300_000)),
    "one object named often": lambda: pdf(
        stream(
            zlib.compress(b" ".join(b"%d %d" % (n, n % 7) for n in range(90_000)) + b" " + b"[" * 20 + b"0 " * 99_999),
            b"/Type/ObjStm/N 90000/First %d/Filter/FlateDecode"
            % len(b" ".join(b"%d %d" % (n, n % 7) for n in range(90_000)) + b" "),
        )
    ),
    "a table of millions": lambda: (
        b"%PDF-1.4\nxref\n0 99999999\ntrailer\n<</Size 99999999/Root 1 0 R>>\nstartxref\n9\n%%EOF"
    ),
    "a table that leads to itself": lambda: (
        b"%PDF-1.4\nxref\n0 0\ntrailer\n<</Size 1/Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF"
    ),
    "pages that hold themselves": lambda: pdf().replace(b"/Kids[3 0 R]/Count 1", b"/Kids[2 0 R]/Count 1"),
    "numbers without end": lambda: pdf(b"<</N " + b"9" * 5_000_000 + b">>"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_made_to_keep_the_check_busy_is_judged_soon(bomb: str) -> None:
    content = BOMBS[bomb]()
    assert len(content) <= uploads.MAX_PDF
    started = time.thread_time()
    try:
        uploads.check_pdf(content)
    except ValidationError as refused:
        taken = refused.messages
        assert len("".join(taken)) < 500
    # The bounds stop it long before; so the net may be wide for slow machines.
    assert time.thread_time() - started < 60


@pytest.mark.parametrize(
    "bomb", [name for name in BOMBS if name.startswith(("packed", "another", "a ", "deep", "objects"))]
)
def test_what_cannot_be_checked_is_refused(bomb: str) -> None:
    with pytest.raises(ValidationError):
        uploads.check_pdf(BOMBS[bomb]())


def test_no_more_is_unpacked_than_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = 0

    class Counting:
        def __init__(self) -> None:
            self._real = zlib.decompressobj()

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal unpacked
            piece = self._real.decompress(data, most)
            unpacked += len(piece)
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    class Zlib:
        error = zlib.error
        decompressobj = Counting

    monkeypatch.setattr(pdf_guard, "zlib", Zlib)
    with pytest.raises(ValidationError, match="démesuré"):
        uploads.check_pdf(pdf(*[packed(b"\0" * 6 * 1024 * 1024)] * 50))
    assert unpacked <= pdf_guard.MAX_UNPACKED + 1
