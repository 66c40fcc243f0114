"""The published modelling code in float64, with what training adds around it.

transformers computes logits, hidden states and expert choices, and autograd their gradients. It has no
multi-token prediction, no balance loss and no bias update, so those three are written here, with the
decoder layers and norms of its MTP modules still taken from transformers.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import (
    DeepseekV3DecoderLayer,
    DeepseekV3RMSNorm,
)

TRAIN = {
    "steps": 10,
    "lr": 0.002,
    "betas": [0.9, 0.95],
    "eps": 1e-8,
    "weight_decay": "0.1 on tensors of 2 or more dimensions, else 0",
    "clip": 1.0,
    "bias_gamma": 0.01,
}
WEIGHT_DECAY = 0.1
FP8_BLOCK = 128


class DoublePrecision(TorchFunctionMode):
    """Turns casts to float32 into casts to float64.

    transformers computes norms, rotary angles, gates and softmax in float32 even where the weights are
    float64. Inside this mode the same code computes them in float64.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        args = [torch.float64 if a is torch.float32 else a for a in args]
        kwargs = {k: torch.float64 if a is torch.float32 else a for k, a in (kwargs or {}).items()}
        return func(*args, **kwargs)


class MtpModule(nn.Module):
    """One more decoder layer, between a projection of [enorm(embedding); hnorm(hidden)] and a norm."""

    def __init__(self, config, layer):
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.enorm = DeepseekV3RMSNorm(width, eps)
        self.hnorm = DeepseekV3RMSNorm(width, eps)
        self.eh_proj = nn.Linear(2 * width, width, bias=False)
        self.layer = DeepseekV3DecoderLayer(config, layer)
        self.norm = DeepseekV3RMSNorm(width, eps)

    def forward(self, embedding, hidden, positions):
        """embedding, hidden [B, N, D]; returns the hidden state after the module's norm, [B, N, D]."""
        n = hidden.shape[1]
        mask = torch.full((n, n), float("-inf"), dtype=hidden.dtype).triu(1)[None, None]
        x = self.eh_proj(torch.cat((self.enorm(embedding), self.hnorm(hidden)), dim=-1))
        return self.norm(self.layer(x, position_embeddings=positions, attention_mask=mask))


class Choice:
    """What one gate decided: idx, weight [B, N, K] in descending order of the selection score."""

    def __init__(self, gate, config, output, shape):
        logits, weight, idx = output
        is_sigmoid = config["scoring_func"] == "sigmoid"
        self.scores = logits.sigmoid() if is_sigmoid else logits.softmax(-1)
        bias = getattr(gate, "e_score_correction_bias", None)
        self.selection = self.scores.detach() if bias is None else self.scores.detach() + bias
        order = self.selection.gather(1, idx).argsort(dim=-1, descending=True)
        self.idx = idx.gather(1, order).view(*shape, -1)
        self.weight = weight.gather(1, order).view(*shape, -1)
        self.experts = logits.shape[-1]
        self.load = torch.bincount(idx.flatten(), minlength=self.experts)
        self.scores = self.scores.view(*shape, self.experts)
        self.config = config

    def balance(self):
        """sum_i f_i P_i of each sequence, averaged over sequences. f_i counts the top K of the unbiased
        scores in the sequence, times E / (K T); P_i averages scores that add up to one per token."""
        k, tokens = self.config["num_experts_per_tok"], self.scores.shape[1]
        best = self.scores.topk(k, dim=-1).indices
        f = F.one_hot(best, self.experts).sum(dim=(1, 2)) * (self.experts / (k * tokens))
        p = (self.scores / self.scores.sum(-1, keepdim=True)).mean(dim=1)
        return (f * p).sum(-1).mean()

    def groups_kept(self):
        """[B*N, E]: whether the expert's group is among the best; and the groups' scores, or None."""
        method, count = self.config["topk_method"], self.config["n_group"]
        if method == "greedy" or count == 1:
            return torch.ones_like(self.selection, dtype=torch.bool), None
        grouped = self.selection.unflatten(-1, (count, -1))
        scores = grouped.topk(2).values.sum(-1) if method == "noaux_tc" else grouped.amax(-1)
        kept = torch.zeros_like(scores, dtype=torch.bool)
        kept.scatter_(1, scores.topk(self.config["topk_group"]).indices, True)
        return kept.repeat_interleave(self.experts // count, dim=-1), scores

    def smallest_gap(self):
        """How near the closest of all decisions was: last one in to first one out."""
        k = self.config["num_experts_per_tok"]
        kept, groups = self.groups_kept()
        masked = self.selection.masked_fill(~kept, -float("inf"))
        cuts = [(masked, k), (self.scores.detach().flatten(0, 1), k)]
        if groups is not None:
            cuts.append((groups, self.config["topk_group"]))
        gaps = []
        for scores, count in cuts:
            if count < scores.shape[-1]:
                best = scores.topk(count + 1).values
                gaps.append((best[:, count - 1] - best[:, count]).min().item())
        return min(gaps)

    def zero_mask_differs(self):
        """Tokens whose experts would be others if the groups left out scored 0 instead of -infinity."""
        kept, _ = self.groups_kept()
        best = self.selection.masked_fill(~kept, 0.0).topk(self.idx.shape[-1]).indices
        return (best.sort(-1).values != self.idx.flatten(0, 1).sort(-1).values).any(-1).sum().item()


class Result:
    """One forward pass: logits, mtp_logits (a list), hidden (a list), choices by gate, losses."""

    def __init__(self):
        self.hidden, self.mtp_logits, self.choices = [], [], {}

    def is_idle(self, name):
        """Whether the tensor belongs to a routed expert that got no token."""
        layer, found, rest = name.partition(".experts.")
        return bool(found) and self.choices[layer].load[int(rest.split(".")[0])].item() == 0


def spell(name, tensor):
    """The published names of one of transformers' tensors, each with its part as a view: transformers
    keeps all experts of a layer in two tensors."""
    if name.endswith(".mlp.experts.gate_up_proj"):
        for i, expert in enumerate(tensor):
            for part, view in zip(("gate_proj", "up_proj"), expert.chunk(2)):
                yield name.replace("gate_up_proj", f"{i}.{part}.weight"), view
    elif name.endswith(".mlp.experts.down_proj"):
        for i, expert in enumerate(tensor):
            yield name.replace("down_proj", f"{i}.down_proj.weight"), expert
    else:
        yield name, tensor


def dequantize(tensors):
    """Multiplies e4m3 weights by their blocks' scales; other tensors pass."""
    plain = {}
    for name, tensor in tensors.items():
        if name.endswith("_scale_inv"):
            continue
        tensor = tensor.double()
        scale = tensors.get(name + "_scale_inv")
        if scale is not None:
            scale = scale.double().repeat_interleave(FP8_BLOCK, 0).repeat_interleave(FP8_BLOCK, 1)
            tensor = tensor * scale[: tensor.shape[0], : tensor.shape[1]]
        plain[name] = tensor
    return plain


class Reference:
    """A model directory's architecture; weights come from load() or through tensors()."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.config = json.loads((self.directory / "config.json").read_text())
        config = AutoConfig.from_pretrained(self.directory)
        with DoublePrecision():
            self.model = AutoModelForCausalLM.from_config(
                config,
                attn_implementation="eager",
                experts_implementation="eager",
                dtype=torch.float64,
            ).double()
            self.layers = self.config["num_hidden_layers"]
            count = self.config.get("num_nextn_predict_layers", 0)
            self.mtp = nn.ModuleList(MtpModule(config, self.layers + i) for i in range(count))
            self.mtp.double()
        self.has_experts = "n_routed_experts" in self.config
        self.mtp_lambda = 0.3 if count else 0.0
        self.balance_alpha = 0.01 if self.has_experts else 0.0
        self.seen = Result()
        self.watch()

    def watch(self):
        """Records hidden states and gates' decisions of the pass that runs."""
        keep_hidden = lambda module, args, output: self.seen.hidden.append(output)
        self.model.model.embed_tokens.register_forward_hook(keep_hidden)
        for layer in self.model.model.layers:
            layer.register_forward_hook(keep_hidden)
        for name, module in self.modules():
            if name.endswith(".mlp.gate"):
                module.register_forward_hook(self.keep_choice(name.removesuffix(".gate")))

    def keep_choice(self, name):
        def hook(module, args, output):
            choice = Choice(module, self.config, output, args[0].shape[:2])
            self.seen.choices[name] = choice

        return hook

    def mtp_name(self, name):
        """The published name of a module's or a tensor's name inside self.mtp."""
        index, rest = name.split(".", 1)
        rest = rest.removeprefix("layer.")
        if rest == "norm.weight":
            rest = "shared_head.norm.weight"
        return f"model.layers.{self.layers + int(index)}.{rest}"

    def modules(self):
        yield from self.model.named_modules()
        for name, module in self.mtp.named_modules():
            if "." in name:
                yield self.mtp_name(name), module

    def parameters(self):
        """Trainable tensors as transformers keeps them; a tied head is its embedding."""
        yield from self.model.named_parameters()
        for name, parameter in self.mtp.named_parameters():
            yield self.mtp_name(name), parameter

    def gate_biases(self):
        for name, module in self.modules():
            if name.endswith(".mlp.gate") and hasattr(module, "e_score_correction_bias"):
                yield name, module.e_score_correction_bias

    def tensors(self):
        """Every stored tensor by its published name, as a view that can be written."""
        views = {}
        for name, parameter in self.parameters():
            views.update(spell(name, parameter.detach()))
        for name, bias in self.gate_biases():
            views[name + ".e_score_correction_bias"] = bias
        return views

    def gradients(self):
        views = {}
        for name, parameter in self.parameters():
            views.update(spell(name, parameter.grad))
        return views

    def shared_copies(self):
        """Names in the MTP layers that repeat the embedding and the head, with what they repeat."""
        for i in range(len(self.mtp)):
            prefix = f"model.layers.{self.layers + i}."
            yield prefix + "embed_tokens.weight", self.model.model.embed_tokens.weight
            yield prefix + "shared_head.head.weight", self.model.lm_head.weight

    def load(self):
        """Reads model.safetensors; every tensor of either side has to meet one of the other."""
        stored = dequantize(load_file(self.directory / "model.safetensors"))
        for name, view in self.tensors().items():
            view.copy_(stored.pop(name))
        for name, original in self.shared_copies():
            if not torch.equal(stored.pop(name), original):
                raise ValueError(f"{self.directory}: {name} differs from what it is a copy of")
        if stored:
            raise ValueError(f"{self.directory}: unknown tensors {sorted(stored)}")

    def forward(self, ids, targets):
        """ids, targets [B, T] int64. Fills a Result; .total can go backward."""
        self.seen = result = Result()
        with DoublePrecision():
            body = self.model.model(input_ids=ids, use_cache=False)
            result.logits = self.model.lm_head(body.last_hidden_state)
            self.forward_mtp(result, ids, body.last_hidden_state)
            result.main = cross_entropy(result.logits, targets)
            mtp = [
                cross_entropy(logits, targets[:, k:])
                for k, logits in enumerate(result.mtp_logits, start=1)
            ]
            result.mtp = sum(mtp, torch.zeros(())) / max(1, len(mtp))
            balance = [choice.balance() for choice in result.choices.values()]
            result.balance = self.balance_alpha * sum(balance, torch.zeros(()))
            result.total = result.main + self.mtp_lambda * result.mtp + result.balance
        return result

    def forward_mtp(self, result, ids, hidden):
        """Position i of module k sees the hidden state of module k-1 at i (the main model's, after its
        final norm, for k = 1) and the embedding of token i+k."""
        embeddings = result.hidden[0]
        result.hidden = result.hidden[: self.layers + 1]
        for k, module in enumerate(self.mtp, start=1):
            n = ids.shape[1] - k
            positions = self.model.model.rotary_emb(hidden, torch.arange(n)[None])
            hidden = module(embeddings[:, k:], hidden[:, :n], positions)
            result.mtp_logits.append(self.model.lm_head(hidden))

    def train(self, tokens):
        """AdamW steps from the present weights on tokens [steps, B, T+1]. Returns [steps, 5]: total,
        main, mtp, balance and the norm of the gradient before clipping; and the smallest gap.

        As in torch, where an expert without a token has no gradient, such a step leaves the expert
        alone: no decay of its weights or moments, and its count of steps stays."""
        weights = {n: v for n, v in self.tensors().items() if not n.endswith("correction_bias")}
        optimizer = torch.optim.AdamW(
            [
                {"params": [w for w in weights.values() if w.dim() >= 2], "weight_decay": WEIGHT_DECAY},
                {"params": [w for w in weights.values() if w.dim() < 2], "weight_decay": 0.0},
            ],
            lr=TRAIN["lr"],
            betas=TRAIN["betas"],
            eps=TRAIN["eps"],
        )
        rows, gap = [], float("inf")
        for batch in tokens.long():
            self.model.zero_grad()
            self.mtp.zero_grad()
            result = self.forward(batch[:, :-1], batch[:, 1:])
            result.total.backward()
            gradients = self.gradients()
            norm = torch.cat([g.flatten() for g in gradients.values()]).norm().item()
            for name, weight in weights.items():
                is_idle = result.is_idle(name)
                weight.grad = None if is_idle else gradients[name] * min(1.0, TRAIN["clip"] / norm)
            optimizer.step()
            for name, bias in self.gate_biases():
                load = result.choices[name.removesuffix(".gate")].load.double()
                bias += TRAIN["bias_gamma"] * torch.sign(load.mean() - load)
            losses = (result.total, result.main, result.mtp, result.balance)
            rows.append([*(x.item() for x in losses), norm])
            gap = min([gap, *(choice.smallest_gap() for choice in result.choices.values())])
        return torch.tensor(rows, dtype=torch.float64), gap


def cross_entropy(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def answers(result, gradients):
    """The golden's tensors, trajectory aside, in float64 and int32."""
    golden = {"logits": result.logits}
    for i, logits in enumerate(result.mtp_logits, start=1):
        golden["mtp_logits" if i == 1 else f"mtp_logits.{i}"] = logits
    for i, hidden in enumerate(result.hidden):
        golden[f"hidden.{i}"] = hidden
    for name, choice in result.choices.items():
        golden[f"router.{name}.idx"] = choice.idx.int()
        golden[f"router.{name}.weight"] = choice.weight
        golden[f"router.{name}.load"] = choice.load.int()
    for name in ("main", "mtp", "balance", "total"):
        golden[f"loss_{name}"] = getattr(result, name).reshape(1)
    for name, gradient in gradients.items():
        golden[f"grad.{name}"] = gradient
    return {name: tensor.detach().clone() for name, tensor in golden.items()}
