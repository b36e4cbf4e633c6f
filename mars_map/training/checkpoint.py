"""The state of a training in one file: weights, the optimiser's moments and a few notes.

Whatever kills the program leaves the last whole checkpoint behind.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from mars_map.errors import BuildError
from mars_map.files import whole_file


def save_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    notes: dict[str, str],
) -> None:
    """Write a checkpoint, whole or not at all. Raises BuildError where the disk does not take it.

    modules: by name, none of which is `optimiser` or holds a dot; notes: what `read_notes` returns.
    """
    tensors = {
        f"{owner}.{name}": value
        for owner, module in modules.items()
        for name, value in module.state_dict().items()
    }
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            save_file(tensors, part, notes)
    except (OSError, SafetensorError) as error:
        raise BuildError(
            f'The checkpoint "{path}" could not be written ({error}); make room and repeat the '
            "command: it goes on from the last whole checkpoint."
        ) from error


def read_notes(path: Path) -> dict[str, str] | None:
    """Return the notes of a checkpoint, or None where there is none. Raises BuildError."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise _damaged(path) from error


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer
) -> None:
    """Bring modules and optimiser to the state of a checkpoint. Raises BuildError for none."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(path) from error
    states: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        owner, _, rest = name.partition(".")
        states.setdefault(owner, {})[rest] = value
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in states.pop("optimiser", {}).items():
        number, _, moment = name.partition(".")
        moments.setdefault(int(number), {})[moment] = value
    for owner, module in modules.items():
        module.load_state_dict(states[owner])
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})


def _damaged(path: Path) -> BuildError:
    return BuildError(f'The checkpoint "{path}" is damaged; delete it to begin anew.')
