"""Trained states of networks, as files, and nothing in them that runs."""

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from inference_service.tools.errors import ToolError


def read_state(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Tensors by name, from safetensors if the file is called so, else from what `torch.save(state_dict)` wrote.

    Of a pickle, PyTorch's restricted unpickler takes tensors and plain containers only. Precision stays as it is, but
    for bfloat16, which NumPy does not have and which becomes float32.

    Raises:
        ToolError: the file cannot be read, holds anything else, or holds more than one flat dict of tensors.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ToolError(f"{path}: is not a safetensors file: {error}") from error
    except pickle.UnpicklingError as error:
        raise ToolError(
            f"{path}: is damaged or holds more than tensors, which may run code; save model.state_dict()"
        ) from error
    except (RuntimeError, EOFError) as error:  # what torch.load raises on a damaged archive
        raise ToolError(f"{path}: is not a file of torch.save, or damaged") from error
    if not isinstance(state, dict):
        raise ToolError(f"{path}: is a {type(state).__name__}, not a state dict")
    strangers = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if strangers:
        raise ToolError(f"{path}: is not a flat dict of tensors, see {', '.join(strangers[:5])}")
    return {name: (each.float() if each.dtype == torch.bfloat16 else each).numpy() for name, each in state.items()}
