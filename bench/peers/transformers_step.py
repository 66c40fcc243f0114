"""Times whole training steps of a config in transformers on PyTorch, in float32.

    python bench/peers/transformers_step.py configs/quickstart.json --sequences 8 --length 256

Forward, backward, clipping and AdamW on random tokens, without MTP (transformers leaves it out). Prints the
median tokens/s of the fastest of the experts' implementations that this transformers has.
bench/peers/run.sh compares it with `fathom bench train`.
"""

import argparse
import json
import pathlib
import statistics
import time

import torch
import transformers

EXPERTS = ("grouped_mm", "eager")  # batched_mm, made for decoding, is 25 times slower here


def step(model, optimizer, tokens):
    loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.item()


def measure(config, experts, arguments):
    """Median seconds of a step; the first is not counted."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="sdpa", experts_implementation=experts
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(0, config.vocab_size, (arguments.sequences, arguments.length))
    seconds = []
    for _ in range(arguments.steps + 1):
        begin = time.perf_counter()
        step(model, optimizer, tokens)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--experts", choices=EXPERTS, help="time this implementation only")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    values = json.loads(arguments.config.read_text())
    config = transformers.AutoConfig.for_model(**values)
    tokens = arguments.sequences * arguments.length
    rates = {}
    for experts in [arguments.experts] if arguments.experts else EXPERTS:
        try:
            rates[experts] = tokens / measure(config, experts, arguments)
        except (RuntimeError, ValueError, KeyError, NotImplementedError) as error:
            print(f"{experts}: not measured: {str(error).splitlines()[0]}")
    best = max(rates, key=rates.get)
    for experts, rate in rates.items():
        print(f"{experts}: {rate:.0f} tokens/s")
    print(f"best: {rates[best]:.1f} tokens/s with {best} (torch {torch.__version__}, transformers {transformers.__version__})")


if __name__ == "__main__":
    main()
