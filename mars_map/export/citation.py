"""What to cite for a result: the program, the index, the model, the method and the data.

The data are those that `data/PROVENANCE.md` lists; they are named where the result rests on them,
which is where the model is one of this project's own.
"""

from typing import NamedTuple

from mars_map.export.provenance import Provenance, program_version

OWN_MODELS = "mars_map-compact"
"""Begin of the ids of models that learned from the catalogues of `data/PROVENANCE.md`."""

_TEX_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
}


class Reference(NamedTuple):
    """One entry of a bibliography; texts are plain, not TeX."""

    key: str
    """Name to cite it by."""
    authors: tuple[str, ...]
    """Each "Family, Given", "Family" or a group; "others" at the end for "et al."."""
    year: int | None
    """Year of publication; None where there is none."""
    title: str
    """Its title, or a description of what has none."""
    where: str = ""
    """Journal, report or publisher."""
    doi: str = ""
    """Digital object identifier."""
    arxiv: str = ""
    """Number in arXiv."""
    note: str = ""
    """What it has to do with the result."""

    def to_bibtex(self) -> str:
        """Return the entry in BibTeX; letters beyond ASCII stay as they are."""
        kind = "article" if self.doi and self.where else "misc"
        where = "journal" if kind == "article" else "howpublished"
        arxiv = {"eprint": self.arxiv, "archiveprefix": "arXiv"} if self.arxiv else {}
        fields = {
            "author": " and ".join(_bibtex_author(name) for name in self.authors),
            "title": f"{{{_tex(self.title)}}}",
            "year": str(self.year or ""),
            where: _tex(self.where),
            "doi": self.doi,
            **arxiv,
            "note": _tex(self.note),
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{kind}{{{self.key},", *lines, "}"])

    def to_text(self) -> str:
        """Return the entry as one line for people."""
        names = [name for name in self.authors if name != "others"]
        authors = "; ".join(names) + (" et al." if "others" in self.authors else "")
        year = f" ({self.year})" if self.year else ""
        parts = [
            f"{authors}{year}".strip(),
            self.title,
            self.where,
            f"doi:{self.doi}" if self.doi else "",
            f"arXiv:{self.arxiv}" if self.arxiv else "",
            self.note,
        ]
        return ". ".join(part.rstrip(".") for part in parts if part) + "."


METHOD = (
    Reference(
        "wang2026marscope",
        (
            "Wang, Yiran",
            "Wang, Shuoyuan",
            "Wei, Zhaoran",
            "Zhao, Jiannan",
            "Yao, Zhonghua",
            "Xie, Zejian",
            "Zhang, Songxin",
            "Huang, Jun",
            "Jing, Bingyi",
            "Wei, Hongxin",
        ),
        2026,
        "Natural Language-Driven Global Mapping of Martian Landforms",
        arxiv="2601.15949",
        note="MarScope: the method",
    ),
    Reference(
        "wang2026marsretrieval",
        ("Wang, Shuoyuan", "Wang, Yiran", "Wei, Hongxin"),
        2026,
        "MarsRetrieval: Benchmarking Vision-Language Models for Planetary-Scale Geospatial "
        "Retrieval on Mars",
        arxiv="2602.13961",
        note="The protocol of evaluation",
    ),
    Reference(
        "archinal2018",
        ("Archinal", "others"),
        2018,
        "Report of the IAU Working Group on Cartographic Coordinates and Rotational Elements: 2015",
        "Celestial Mechanics and Dynamical Astronomy",
        "10.1007/s10569-017-9805-5",
        note="The Mars sphere and its coordinates",
    ),
    Reference(
        "crameri2018",
        ("Crameri",),
        2018,
        "Scientific colour maps",
        "Zenodo",
        "10.5281/zenodo.1243862",
        note="Colours of the heat map",
    ),
)
"""Works that every result rests on."""

DATA = (
    Reference(
        "viking", ("NASA", "USGS"), None, "Viking MDIM 2.1 colour mosaic, 1 km grid",
        note="Basemap; pictures of the tiles",
    ),
    Reference(
        "mola", ("NASA PDS",), None, "MGS MOLA Mission Experiment Gridded Data Records",
        "megt90n000cb", note="Elevation and relief",
    ),
    Reference(
        "tes", ("MGS TES",), None, "Albedo and thermal inertia, 2 pixels a degree",
        note="Surface of the tiles",
    ),
    Reference(
        "gazetteer", ("IAU", "USGS"), None, "Gazetteer of Planetary Nomenclature",
        note="Named features",
    ),
    Reference(
        "crosta2018", ("Crosta", "others"), 2018,
        "Introducing a new inventory of large Martian landslides", "Earth and Space Science",
        "10.1002/2017EA000324", note="Landslides that the encoder learned from",
    ),
    Reference(
        "souness2012", ("Souness", "others"), 2012,
        "An inventory and population-scale analysis of martian glacier-like forms", "Icarus",
        "10.1016/j.icarus.2011.10.020", note="Glacier-like forms that the encoder learned from",
    ),
    Reference(
        "hayward2007", ("Hayward", "others"), 2007, "Mars Global Digital Dune Database",
        "USGS Open-File Report 2007-1158", note="Dune fields that the encoder learned from",
    ),
    Reference(
        "knapmeyer2006", ("Knapmeyer", "others"), 2006,
        "Working models for spatial distribution and level of Mars' seismicity",
        "Journal of Geophysical Research", "10.1029/2006JE002708",
        note="Wrinkle ridges and graben that the encoder learned from",
    ),
    Reference(
        "costard1989", ("Costard",), 1989,
        "The spatial distribution of volatiles in the Martian hydrolithosphere",
        "Earth, Moon, and Planets",
        note="Layered ejecta and pedestal craters that the encoder learned from",
    ),
)  # fmt: skip
"""Data behind the index and the models of this project."""


def references(provenance: Provenance) -> list[Reference]:
    """Return what to cite for a result, the result itself first."""
    result, manifest = provenance.result, provenance.result.index.manifest
    digest, sha256 = result.index.digest, manifest.model.sha256
    program = Reference(
        "mars_map",
        ("mars_map contributors",),
        provenance.date.year,
        f"mars_map {program_version()}: find landforms on Mars in plain words",
        note=f'Result for "{result.query.label}", {len(result.hits)} hits, index {digest[:12]}, '
        f"{provenance.date:%Y-%m-%d}",
    )
    index = Reference(
        "mars_map_index",
        (),
        None,
        f"Index of {manifest.source}",
        note=f"{result.index.n_tiles:,} tiles, sha256 {digest}; {manifest.licence}",
    )
    model = Reference(
        "mars_map_model", (), None, f"Model {manifest.model.id}", note=f"Weights of sha256 {sha256}"
    )
    own = DATA if manifest.model.id.startswith(OWN_MODELS) else ()
    return [program, index, model, *METHOD, *own]


def bibliography(provenance: Provenance) -> bytes:
    """Return what to cite as a BibTeX file in UTF-8; provenance and plain text are comments."""
    works = references(provenance)
    # BibTeX takes everything outside of an entry for a comment, but for the sign @.
    comments = [f"What to cite for this result; mars_map: {provenance.to_json()}", ""]
    comments += [work.to_text() for work in works]
    head = "\n".join(f"% {line}".rstrip().replace("@", "(at)") for line in comments)
    return "\n\n".join([head, *(work.to_bibtex() for work in works), ""]).encode()


def citation_text(provenance: Provenance) -> str:
    """Return what to cite as plain text, one work a line."""
    return "\n".join(work.to_text() for work in references(provenance))


def _bibtex_author(name: str) -> str:
    # A group is in braces, or BibTeX would take its last word for a family name.
    return name if "," in name or name == "others" else f"{{{_tex(name)}}}"


def _tex(text: str) -> str:
    return "".join(_TEX_SIGNS.get(sign, sign) for sign in text)
