"""Makes and checks golden directories: a tiny model and what the published modelling code answers.

    python tools/make_golden.py make NAME... [--out tests/golden]    regenerate variants ("all": each)
    python tools/make_golden.py check DIR...     recompute from a directory's weights and tokens, compare

Needs tools/requirements.txt. The format is described in tests/golden/README.md.
"""

import argparse
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

from golden_reference import TRAIN, Reference, answers
from golden_variants import BATCH, SEEDS, TOKENS, TRAIN_TOKENS, VARIANTS, draw

# Nearer than this, and float32 may choose other experts than float64.
SMALLEST_GAP = 2e-5

# The tensors after training that a directory keeps, by how their names end.
FINAL = (
    "embed_tokens.weight",
    "model.norm.weight",
    "input_layernorm.weight",
    "o_proj.weight",
    "q_norm.weight",
    "q_proj.bias",
    "gate.weight",
    "e_score_correction_bias",
    "experts.0.down_proj.weight",
    "eh_proj.weight",
    "shared_head.norm.weight",
)

# Relative to the rms of the golden tensor, which is itself rounded to float32.
TOLERANCE = 2e-6


def save(tensors, path):
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)


def write_model(directory, name, seed):
    """config.json and model.safetensors, drawn from the seed."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(VARIANTS[name], indent=1)
    (directory / "config.json").write_text(text + "\n")
    reference = Reference(directory)
    generator = torch.Generator().manual_seed(seed)
    is_tied = VARIANTS[name]["tie_word_embeddings"]
    weights = {
        tensor: draw(tensor, view.shape, is_tied, generator)
        for tensor, view in sorted(reference.tensors().items())
    }
    head = "model.embed_tokens.weight" if is_tied else "lm_head.weight"
    for copy, _ in reference.shared_copies():
        original = head if copy.endswith("head.weight") else "model.embed_tokens.weight"
        weights[copy] = weights[original].clone()
    save(weights, directory / "model.safetensors")
    return generator


def compute(directory, tokens, targets, train_tokens):
    """All answers of a directory by name, in float64 and int32; and facts about how it routes."""
    reference = Reference(directory)
    reference.load()
    result = reference.forward(tokens.long(), targets.long())
    result.total.backward()
    golden = answers(result, reference.gradients())
    choices, facts = result.choices.values(), {}
    if choices:
        facts["smallest_gap"] = min(choice.smallest_gap() for choice in choices)
        facts["negative_biased_scores"] = sum((c.selection < 0).sum().item() for c in choices)
        facts["tokens_that_a_zero_mask_moves"] = sum(c.zero_mask_differs() for c in choices)
        facts["idle_experts"] = sum((c.load == 0).sum().item() for c in choices)
    if train_tokens is not None:
        golden["train.trajectory"], gap = reference.train(train_tokens)
        if choices:
            facts["smallest_gap_of_training"] = gap
        for name, view in reference.tensors().items():
            golden[f"train.final.{name}"] = view
    return golden, facts, reference


def is_fit(facts, config):
    """Whether no expert hangs on rounding, and the details that the variant is there for show."""
    if not facts:
        return True
    if min(facts["smallest_gap"], facts["smallest_gap_of_training"]) < SMALLEST_GAP:
        return False
    if config["topk_method"] != "noaux_tc":
        return True
    return facts["negative_biased_scores"] > 0 and (
        config["n_group"] == 1 or facts["tokens_that_a_zero_mask_moves"] >= 3
    )


def float32_difference(directory, tokens, golden):
    """The same weights loaded as anyone would, in float32, against the float64 answers."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, experts_implementation="eager"
    )
    with torch.no_grad():
        logits = model(input_ids=tokens.long(), use_cache=False).logits
    return (logits - golden["logits"]).abs().max().item()


def write_golden(directory, golden, inputs):
    kept = dict(inputs)
    for name, tensor in golden.items():
        if name.startswith("train.final.") and not name.endswith(FINAL):
            continue
        kept[name] = tensor.float().contiguous() if tensor.is_floating_point() else tensor
    save(kept, directory / "golden.safetensors")


def make(directory, name):
    config = VARIANTS[name]
    seed = SEEDS[name]
    while True:
        generator = write_model(directory, name, seed)
        text = torch.randint(config["vocab_size"], (BATCH, TOKENS + 1), generator=generator).int()
        shape = (TRAIN["steps"], BATCH, TRAIN_TOKENS)
        train_tokens = torch.randint(config["vocab_size"], shape, generator=generator).int()
        inputs = {
            "input_ids": text[:, :-1].contiguous(),
            "targets": text[:, 1:].contiguous(),
            "train.tokens": train_tokens,
        }
        golden, facts, reference = compute(directory, *inputs.values())
        if is_fit(facts, config):
            break
        seed += 1
    write_golden(directory, golden, inputs)
    manifest = {
        "variant": name,
        "seed": seed,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "computed_in": "float64 from the stored weights by transformers' modelling code, rounded to float32",
        "check": {
            "transformers_max_abs_logit_difference": float32_difference(
                directory, inputs["input_ids"], golden
            ),
            "logit_rms": golden["logits"].square().mean().sqrt().item(),
            **facts,
        },
        "mtp_lambda": reference.mtp_lambda,
        "balance_alpha": reference.balance_alpha,
        "train": TRAIN,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    size = sum(file.stat().st_size for file in directory.iterdir())
    print(f"{directory}: seed {seed}, {size} bytes, {facts}")


def kind_of(name):
    """What the comparison lists together: logits, grad, router.weight, train.final, ..."""
    words = name.split(".")
    if words[0] == "router":
        return "router." + words[-1]
    return ".".join(words[:2]) if words[0] == "train" else words[0]


def check(directory):
    """Prints the largest differences to golden.safetensors by kind; whether all are small."""
    golden = load_file(directory / "golden.safetensors")
    inputs = [golden.pop(name, None) for name in ("input_ids", "targets", "train.tokens")]
    ours, facts, _ = compute(directory, *inputs)
    worst = {}
    for name, tensor in golden.items():
        difference = (ours[name].double() - tensor.double()).abs().max().item()
        rms = tensor.double().square().mean().sqrt().item()
        relative = difference / rms if rms > 0 else difference
        worst[kind_of(name)] = max(worst.get(kind_of(name), (0, 0)), (relative, difference))
    for kind, (relative, difference) in sorted(worst.items()):
        print(f"{directory.name:14} {kind:17} max abs {difference:.3g}, of rms {relative:.3g}")
    print(f"{directory.name:14} {facts}")
    return all(relative <= TOLERANCE for relative, _ in worst.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="regenerate variants")
    making.add_argument("names", nargs="+", choices=[*VARIANTS, "all"], metavar="NAME")
    making.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden"))
    checking = commands.add_parser("check", help="recompute directories and compare")
    checking.add_argument("directories", nargs="+", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if options.command == "make":
        for name in VARIANTS if "all" in options.names else options.names:
            make(options.out / name, name)
        return 0
    bad = [d for d in options.directories if not check(d)]
    for directory in bad:
        print(f"{directory}: differs by more than {TOLERANCE} of the rms")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
