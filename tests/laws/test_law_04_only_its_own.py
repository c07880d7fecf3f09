"""Law 4: only the method's own tensors change, bit for bit. Oracle: a second copy of the model that nobody touched."""

import torch

from tests.laws.cases import Case, cases, documents, frozen


@cases(dropout=True)
def test_training_moves_all_that_trains_and_nothing_else(case: Case) -> None:
    trainer = case.trainer(weight_decay=0.1)
    before = {name: tensor.clone() for name, tensor in trainer.trained_tensors().items()}
    for step in range(3):
        trainer.forward_backward(documents(step))
        trainer.optim_step(1e-2)
    untouched = frozen(case.architecture)
    base, now = dict(untouched.named_parameters()), dict(trainer.model.named_parameters())
    own = set(trainer.optimizer.parameters)
    if trainer.method.makes_adapter:
        assert not own & set(base), "an adapter trains no tensor of the base"
    assert set(base) <= set(now)
    assert {name for name in base if not torch.equal(base[name], now[name])} == own & set(base)
    assert {name for name in own if torch.equal(before[name], now[name])} == set()
    assert all(p.grad is None for name, p in now.items() if name not in own)
    buffers = dict(trainer.model.named_buffers())
    assert all(torch.equal(buffers[name], buffer) for name, buffer in untouched.named_buffers())


@cases(["llama", "gpt2"])
def test_evaluating_and_sampling_change_nothing(case: Case) -> None:
    trainer = case.trainer()
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.validation_loss(documents())
    trainer.sample([(5, 6, 7), (5, 6)], stop_ids={2}, max_new_tokens=4)
    after = trainer.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
