"""Where a model is: a folder, or a repository of the Hugging Face hub whose files are fetched once.

Three layouts are known by their files: this project's own, OpenCLIP's and that of transformers.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mars_map.encoders.checkpoint import WEIGHTS_FILES, weight_files, weights_sha256
from mars_map.errors import ModelError

Kind = Literal["compact", "openclip", "transformers"]

CLIP_VOCABULARY_SOURCE = "openai/clip-vit-large-patch14"
"""A repository that has CLIP's `tokenizer.json`, for checkpoints that bring none."""
TIMEOUT_S = 10
"""Seconds that the hub has to answer."""
PREFIXES = ("hf-hub", "hf")
"""What stands before the colon of a repository's name."""
OPENCLIP_CONFIG = "open_clip_config.json"
CONFIG = "config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
)
"""What a tokenizer may be made of; a repository has some of them."""
PREPROCESSING_FILES = ("preprocessor_config.json", "processor_config.json")
"""Where transformers' checkpoints say how pictures are prepared; the first that is there."""


@dataclass(frozen=True)
class ModelFolder:
    """The files of a model, on this machine."""

    name: str
    """Name of the model: the repository, or the folder's own name."""
    path: Path
    """Folder with the files."""
    kind: Kind
    """Whose layout it is."""


def locate(where: str | Path) -> ModelFolder:
    """Return the folder of a model; files of "hf-hub:org/name" or "hf:org/name" are fetched.

    What was fetched before is used without a look at the network. Raises ModelError for a folder or
    a repository that is not there or holds no model, and says how to bring files by hand.
    """
    if repository := repository_of(where):
        path = _cached(repository) or _fetched(repository)
        return ModelFolder(repository, path, _kind(path))
    path = Path(where)
    if not path.is_dir():
        raise ModelError(
            f'There is no model folder "{path}"; give one, or "hf-hub:org/name" for a model of the '
            "Hugging Face hub."
        )
    return ModelFolder(path.resolve().name, path, _kind(path))


def stated_sha256(where: str | Path) -> str | None:
    """Return the hash of a model's weights without loading it; None for one that is not at hand.

    A compact model states it; of others the files are hashed, once as long as they do not change.
    Nothing is fetched, and nothing is raised.
    """
    try:
        repository = repository_of(where)
        path = _cached(repository) if repository else Path(where)
        if path is None:
            return None
        if _kind(path) == "compact":
            return read_json(path / CONFIG).get("weights_sha256")
        files = weight_files(path)
        return weights_sha256(files) if files else None
    except (ModelError, OSError):
        return None


def repository_of(where: str | Path) -> str | None:
    """Return "org/name" of "hf-hub:org/name" or "hf:org/name"; None for a folder."""
    text = where.as_posix() if isinstance(where, Path) else where
    prefix, colon, repository = text.partition(":")
    return repository if colon and prefix in PREFIXES else None


def read_json(path: Path) -> dict[str, Any]:
    """Read a configuration file. Raises ModelError where it is absent or holds no JSON object."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f'The model file "{path}" is missing; copy it from where the model comes from.'
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f'The model file "{path}" is not readable JSON; fetch it again.'
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f'The model file "{path}" holds no configuration; fetch it again.')
    return config


def _kind(folder: Path) -> Kind:
    if (folder / OPENCLIP_CONFIG).is_file():
        return "openclip"
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f'"{folder}" is no model folder: it has neither "{OPENCLIP_CONFIG}" nor "{CONFIG}"; '
            "copy the configuration from where the weights come from."
        )
    # The compact encoder's own loader tells what is wrong with a configuration that is no JSON.
    try:
        return "transformers" if "model_type" in read_json(folder / CONFIG) else "compact"
    except ModelError:
        return "compact"


def _cached(repository: str) -> Path | None:
    """Return the folder where the hub's client keeps a repository's files; None if not whole."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        for name in (OPENCLIP_CONFIG, CONFIG):
            found = try_to_load_from_cache(repository, name)
            if isinstance(found, str) and weight_files(Path(found).parent):
                return Path(found).parent
    except HFValidationError as error:
        raise ModelError(
            f'"{repository}" is no name of a repository; write it as "hf-hub:org/name".'
        ) from error
    return None


def _fetched(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError

    try:
        names = _wanted(repository_files(repository))
        paths = [Path(hf_hub_download(repository, name)) for name in names]
    except GatedRepoError as error:
        raise ModelError(
            f'The model "{repository}" asks for consent: agree to its terms on its page, then run '
            "`hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f'The Hugging Face hub has no model "{repository}"; check its name.'
        ) from error
    except (HTTPError, OSError) as error:
        raise ModelError(by_hand(repository)) from error
    if not paths:
        raise ModelError(
            f'The repository "{repository}" holds no model of OpenCLIP or transformers; give the '
            "name of one."
        )
    return paths[0].parent


def repository_files(repository: str) -> list[str]:
    """Return the names of a repository's files; raises at once where the hub cannot be reached."""
    from huggingface_hub import HfApi

    # `list_repo_files` tries for half a minute before it gives up.
    info = HfApi().model_info(repository, timeout=TIMEOUT_S)
    return [file.rfilename for file in info.siblings or ()]


def by_hand(repository: str) -> str:
    """Return the sentence that says how to bring a model's files without a network."""
    return (
        f'The Hugging Face hub cannot be reached, and "{repository}" is not on this machine yet; '
        f"elsewhere, fetch {OPENCLIP_CONFIG} (or {CONFIG} and {PREPROCESSING_FILES[0]}), the "
        f".safetensors weights and tokenizer.json from huggingface.co/{repository} (without one: "
        f"that of {CLIP_VOCABULARY_SOURCE}), put them into one folder, and name that as the model."
    )


def _wanted(names: list[str]) -> list[str]:
    """Return which files of a repository to fetch: one configuration, its weights, the rest."""
    present = set(names)
    if OPENCLIP_CONFIG in present:
        configs = [OPENCLIP_CONFIG]
    elif CONFIG in present:
        configs = [CONFIG, *(n for n in PREPROCESSING_FILES if n in present)]
    else:
        return []
    weights = next((n for n in WEIGHTS_FILES[configs[0]] if n in present), None)
    if weights is None:
        return []
    shards = []
    if weights.endswith(".index.json"):
        shards = [n for n in names if n.startswith("model-") and n.endswith(".safetensors")]
    return [*configs, weights, *shards, *(n for n in TOKENIZER_FILES if n in present)]
