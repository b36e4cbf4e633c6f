"""Words into the numbers that a CLIP-family model reads, by the tokenizer that its files bring.

CLIP's own is a byte-pair encoding of 49,408 pieces, the same for all of its family; SigLIP's are
sentencepiece vocabularies, read by transformers.
"""

import gzip
import html
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mars_map.encoders.hub import CLIP_VOCABULARY_SOURCE, repository_files
from mars_map.encoders.quiet import quiet_transformers
from mars_map.errors import ModelError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

CLIP_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
"""The merges of CLIP's tokenizer, as OpenAI and open_clip publish them."""
CLIP_MERGES = 49152 - 256 - 2
"""How many of its lines count."""
CLIP_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""Where CLIP cuts a text before it looks for pieces."""
START, END = "<|startoftext|>", "<|endoftext|>"


class ClipTokenizer:
    """CLIP's byte-pair encoding. Raises ModelError where its vocabulary is not to be had."""

    def __init__(self, folder: Path, context: int, *, clean: bool, fetch: bool = False) -> None:
        """Take the vocabulary from a model's folder.

        context: most tokens of a text. clean: mend and unescape texts first, as open_clip does.
        fetch: where the folder has none, take that of an installed open_clip or of the hub.
        """
        self._tokenizer = _clip_vocabulary(folder, fetch)
        self._context = context
        self._clean = clean
        ends = [self._tokenizer.token_to_id(token) for token in (START, END)]
        if None in ends:
            raise ModelError(
                f'The tokenizer in "{folder}" is not CLIP\'s: it lacks "{START}" or "{END}"; use '
                f"tokenizer.json of {CLIP_VOCABULARY_SOURCE}."
            )
        self._start, self._end = ends

    def __call__(self, texts: Sequence[str]) -> "torch.Tensor":
        """Return the tokens of each text, (n, length of the longest) int64, filled with 0.

        The model looks from the end token backwards only, so nothing is filled beyond the longest.
        """
        import torch

        texts = [_mended(text) for text in texts] if self._clean else list(texts)
        encoded = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        rows = [[self._start, *e.ids[: self._context - 2], self._end] for e in encoded]
        tokens = torch.zeros(len(rows), max(map(len, rows), default=2), dtype=torch.long)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        return tokens


class SiglipTokenizer:
    """The sentencepiece vocabulary of a SigLIP checkpoint, always filled to the full length.

    Raises ModelError where its files are absent.
    """

    def __init__(self, folder: Path, context: int) -> None:
        from transformers import AutoTokenizer

        try:
            with quiet_transformers():
                self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
            raise ModelError(
                f'The tokenizer in "{folder}" cannot be read; put tokenizer.json or spiece.model '
                "and tokenizer_config.json of the model beside its weights."
            ) from error
        self._context = context

    def __call__(self, texts: Sequence[str]) -> "torch.Tensor":
        """Return the tokens of each text, (n, context) int64.

        SigLIP was trained on lower case; version 2 leaves that to the caller.
        """
        return self._tokenizer(
            [text.lower() for text in texts],
            padding="max_length",
            truncation=True,
            max_length=self._context,
            return_tensors="pt",
        ).input_ids


def _mended(text: str) -> str:
    """Return a text as open_clip cleans it: mojibake, curly quotes, entities, white space, case."""
    import ftfy

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def _clip_vocabulary(folder: Path, fetch: bool) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            return tokenizer
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return _of_tables(folder / "vocab.json", folder / "merges.txt")
        if (folder / CLIP_VOCABULARY).is_file():
            return _of_merges(folder / CLIP_VOCABULARY)
    except Exception as error:  # The tokenizers library raises bare exceptions.
        raise ModelError(f'The tokenizer in "{folder}" cannot be read; fetch it again.') from error
    if fetch and (installed := _installed_vocabulary()):
        return _of_merges(installed)
    if fetch and (path := _fetched_vocabulary()):
        return Tokenizer.from_file(str(path))
    raise ModelError(
        f'The model in "{folder}" brings no tokenizer; put tokenizer.json of '
        f"huggingface.co/{CLIP_VOCABULARY_SOURCE} beside its weights."
    )


def _installed_vocabulary() -> Path | None:
    """Return the vocabulary in an installed open_clip, which is not imported; None without one."""
    spec = importlib.util.find_spec("open_clip")
    path = Path(spec.origin).with_name(CLIP_VOCABULARY) if spec and spec.origin else None
    return path if path and path.is_file() else None


def _fetched_vocabulary() -> Path | None:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HTTPError

    known = try_to_load_from_cache(CLIP_VOCABULARY_SOURCE, "tokenizer.json")
    if isinstance(known, str):
        return Path(known)
    try:
        repository_files(CLIP_VOCABULARY_SOURCE)
        return Path(hf_hub_download(CLIP_VOCABULARY_SOURCE, "tokenizer.json"))
    except (HTTPError, OSError):
        return None


def _of_tables(vocabulary: Path, merges: Path) -> "Tokenizer":
    lines = merges.read_text(encoding="utf-8").splitlines()
    pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
    return _byte_pairs(json.loads(vocabulary.read_text(encoding="utf-8")), pairs)


def _of_merges(path: Path) -> "Tokenizer":
    """Rebuild CLIP's vocabulary: 256 bytes, the same at a word's end, one piece a merge, the ends.

    Order and count are those of open_clip's SimpleTokenizer.
    """
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : CLIP_MERGES + 1]
    pairs = [tuple(line.split()) for line in lines]
    signs = byte_signs()
    pieces = [*signs, *(sign + "</w>" for sign in signs), *("".join(p) for p in pairs), START, END]
    return _byte_pairs({piece: number for number, piece in enumerate(pieces)}, pairs)


def byte_signs() -> list[str]:
    """Return the visible sign that stands for each byte, visible bytes first, as GPT-2 has them."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(174, 256)]
    hidden = len(set(range(256)) - set(visible))
    return [chr(code) for code in visible] + [chr(256 + i) for i in range(hidden)]


def _byte_pairs(vocabulary: dict[str, int], merges: list[Any]) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    tokenizer = Tokenizer(BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer
