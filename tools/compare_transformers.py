"""Compares a model directory's logits with those of transformers, in float32.

    python tools/compare_transformers.py MODEL_DIR LOGITS.safetensors

LOGITS.safetensors holds `tokens` int32 [B, T] or [T] and `logits` [B, T, V] or [T, V] that the directory's
writer computed. Prints the largest difference relative to the logits' rms. Exit status: 0 where it is at
most 1e-4 and transformers found every tensor that it wants and no other, else 1.
"""

import argparse
import pathlib
import re
import sys

import torch
import transformers
from safetensors.torch import load_file

TOLERANCE = 1e-4


def load(directory):
    """The model, and complaints about tensors. Layers past the last are MTP modules, which transformers
    leaves out."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=torch.float32,
        attn_implementation="eager",
        experts_implementation="eager",
        output_loading_info=True,
        local_files_only=True,
    )
    layers = model.config.num_hidden_layers
    is_mtp = lambda name: (m := re.match(r"model\.layers\.(\d+)\.", name)) and int(m[1]) >= layers
    complaints = [f"missing: {name}" for name in sorted(info["missing_keys"])]
    complaints += [f"unknown: {name}" for name in sorted(info["unexpected_keys"]) if not is_mtp(name)]
    return model.eval(), complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, metavar="MODEL_DIR")
    parser.add_argument("file", type=pathlib.Path, metavar="LOGITS.safetensors")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    stored = load_file(options.file)
    tokens = torch.atleast_2d(stored["tokens"].long())
    model, complaints = load(options.directory)
    with torch.no_grad():
        theirs = model(input_ids=tokens, use_cache=False).logits.double()
    ours = stored["logits"].double()
    if ours.numel() != theirs.numel():
        complaints.append(f"logits have shape {list(ours.shape)}, not {list(theirs.shape)}")
        relative = float("nan")
    else:
        difference = (ours.view_as(theirs) - theirs).abs().max().item()
        rms = theirs.square().mean().sqrt().item()
        relative = difference / rms
        print(f"{options.directory}: max abs difference {difference:.3g}, rms {rms:.3g}")
    for complaint in complaints:
        print(f"{options.directory}: {complaint}")
    is_good = relative <= TOLERANCE and not complaints
    print(f"{'ok' if is_good else 'FAILED'}: {relative:.3g} of the rms, tolerance {TOLERANCE}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
