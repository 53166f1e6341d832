"""The run: optimizer, windows, losses, and checkpoints from which an interrupted run continues."""
# SPDX-License-Identifier: Apache-2.0

import os
import platform
import time
from pathlib import Path

from sizes import GEOMETRY, SEED

WINDOWS_PER_STEP = 16
MATRIX_RATE = 0.02
OTHER_RATE = 3e-3
MOMENTUM = 0.95
WARMUP_STEPS = 40
DECAYING_PART = 0.5
# Validations in a row without a new least loss after which the run ends.
PATIENCE = 8


def rate_factor(step, steps):
    """A short warm-up, a plateau, then a straight line down to nothing.

    Up to the end of the plateau the rate does not depend on the length of the run. A run on a busy
    machine may therefore be continued with fewer steps, or with more, and still be the run that
    would have been had its length been known from the start.
    """
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (steps * DECAYING_PART))


def orthogonalized(torch, matrices):
    """Matrices [..., inputs, outputs] with their singular values brought near one.

    The quintic iteration of Muon; its coefficients trade exactness for speed.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


class Optimizer:
    """Muon for the blocks' matrices, Adam for the embeddings, norms and biases.

    The run is short, and Muon needs about half of Adam's steps to the same loss. torch's own Muon
    computes in bfloat16, which a CPU without such instructions emulates slowly.
    """

    def __init__(self, torch, network):
        self.torch = torch
        named = list(network.named_parameters())
        self.matrices = [p for name, p in named if name.startswith("h.") and p.dim() == 2]
        others = [p for name, p in named if not (name.startswith("h.") and p.dim() == 2)]
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def step(self, factor):
        for group in self.adam.param_groups:
            group["lr"] = OTHER_RATE * factor
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        with self.torch.no_grad():
            for matrix, momentum in zip(self.matrices, self.momenta):
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                ahead = matrix.grad.lerp(momentum, MOMENTUM)
                # Query, key and value share a parameter but are three matrices.
                parts = 3 if matrix.shape[1] == 3 * matrix.shape[0] else 1
                split = ahead.unflatten(1, (parts, -1)).transpose(0, 1)
                update = orthogonalized(self.torch, split)
                scale = max(1.0, update.shape[-1] / update.shape[-2]) ** 0.5
                update = update.transpose(0, 1).flatten(1)
                matrix.add_(update, alpha=-MATRIX_RATE * factor * scale)
                matrix.grad = None

    def state_dict(self):
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        self.momenta = state["momenta"]
        self.adam.load_state_dict(state["adam"])


def windows_of_step(torch, tokens, step):
    """The step's windows: each epoch cuts the text at another offset and shuffles the pieces."""
    length = GEOMETRY["n_positions"]
    steps_per_epoch = (len(tokens) - length - 1) // length // WINDOWS_PER_STEP
    epoch, index = divmod(step, steps_per_epoch)
    generator = torch.Generator().manual_seed(SEED * 1000 + epoch)
    offset = int(torch.randint(length, (1,), generator=generator))
    pieces = torch.randperm((len(tokens) - offset - 1) // length, generator=generator)
    chosen = pieces[index * WINDOWS_PER_STEP : (index + 1) * WINDOWS_PER_STEP]
    starts = [offset + piece * length for piece in chosen.tolist()]
    return torch.stack([tokens[start : start + length + 1] for start in starts])


def evaluate(torch, network, tokens):
    """The summed loss in nats and the number of predicted tokens.

    The text is cut into blocks of n_positions inputs that do not overlap. Every token but the first
    is predicted once, from what precedes it in its own block.
    """
    network.eval()
    length, total = GEOMETRY["n_positions"], 0.0
    blocks = [tokens[i : i + length + 1] for i in range(0, len(tokens) - 1, length)]
    whole = [block for block in blocks if len(block) == length + 1]
    groups = [torch.stack(whole[i : i + 8]) for i in range(0, len(whole), 8)]
    if len(blocks[-1]) != length + 1:
        groups.append(blocks[-1][None])
    with torch.no_grad():
        for group in groups:
            logits = network(group[:, :-1]).flatten(0, 1)
            targets = group[:, 1:].flatten()
            total += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
    network.train()
    return total, len(tokens) - 1


def train(torch, network, training, validation, checkpoint, arguments):
    """Runs the remaining steps; leaves the best weights in `network` and returns the run's record."""
    optimizer = Optimizer(torch, network)
    record = {"step": 0, "steps": arguments.steps, "seconds": {}, "losses": [], "since": [0.0, 0]}
    best = None
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=arguments.device)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        record, best = saved["record"], saved["best"]
        if not arguments.export and record["steps"] != arguments.steps:
            plateau = min(record["steps"], arguments.steps) * (1 - DECAYING_PART)
            if record["step"] > plateau:
                raise SystemExit(f"{checkpoint} has left the plateau; its length stays as it is")
            record["steps"] = arguments.steps
        print(f"continuing after step {record['step']}", flush=True)

    def save():
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        state |= {"record": record, "best": best}
        torch.save(state, checkpoint.with_suffix(".new"))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)

    network.train()
    running, counted = record["since"]
    device = device_name(torch, arguments.device)
    before = record["seconds"].get(device, 0.0)
    started = time.monotonic()
    while record["step"] < arguments.steps and not arguments.export and not is_overfit(record):
        step = record["step"]
        torch.manual_seed(SEED * 1_000_000 + step)
        windows = windows_of_step(torch, training, step).to(arguments.device)
        logits = network(windows[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, windows[:, 1:].flatten())
        loss.backward()
        optimizer.step(rate_factor(step, arguments.steps))
        running, counted = running + loss.detach(), counted + 1
        record["step"] = step + 1
        last = record["step"] == arguments.steps
        saving = record["step"] % arguments.checkpoint == 0 or last
        if record["step"] % arguments.evaluate == 0 or last:
            nats, count = evaluate(torch, network, validation)
            if all(nats / count < validated for _, _, validated in record["losses"]):
                best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            record["losses"].append([record["step"], float(running) / counted, nats / count])
            record["seconds"][device] = before + time.monotonic() - started
            print(
                f"step {record['step']}/{arguments.steps} train {float(running) / counted:.4f}"
                f" validation {nats / count:.4f} nats/token"
                f" {record['seconds'][device] / 60:.1f} min",
                flush=True,
            )
            running, counted, saving = 0.0, 0, True
        if saving:
            record["since"] = [float(running), counted]
            record["seconds"][device] = before + time.monotonic() - started
            save()
    if best is not None:
        network.load_state_dict(best)
    return record


def is_overfit(record):
    """Whether the validation loss has not fallen for `PATIENCE` validations."""
    losses = [validated for _, _, validated in record["losses"]]
    return len(losses) > PATIENCE and min(losses[-PATIENCE:]) > min(losses)


def device_name(torch, device):
    """What the card calls the place of a run: a GPU by its name, a processor with its threads."""
    if device != "cpu":
        return f"one {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of an {processor_name()}"


def processor_name():
    """The processor's name for the card; where the system does not tell, its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
