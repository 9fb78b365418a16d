import pickle

import pytest
import torch
from torch import nn

from nstlab.errors import WeightsError
from nstlab.networks import Ema, saved
from nstlab.training import checkpoints

INFO = {"system": "conditional", "network": {"builder": "StyleNet"}}


def small():
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def test_tensors_and_what_they_belong_to_come_back(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b.c": torch.tensor(7), "half": torch.ones(3).half()}
    path = checkpoints.write(tmp_path / "x.safetensors", tensors, INFO)
    found, info = checkpoints.read(path)
    assert info == INFO and set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in tensors)
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


def test_the_one_before_is_kept(tmp_path):
    last, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    for number in range(3):
        checkpoints.write(last, {"n": torch.tensor(number)}, INFO, previous=previous)
        assert previous.exists() == (number > 0)
    assert checkpoints.read(last)[0]["n"] == 2 and checkpoints.read(previous)[0]["n"] == 1


def test_without_links_it_is_copied(tmp_path, monkeypatch):
    copied, copy = [], saved.shutil.copyfile
    monkeypatch.setattr(saved.os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    monkeypatch.setattr(saved.shutil, "copyfile", lambda *paths: copied.append(paths) or copy(*paths))
    test_the_one_before_is_kept(tmp_path)
    assert len(copied) == 2


def test_a_full_disk_leaves_the_old_ones_whole(tmp_path):
    last, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    for number in range(2):
        checkpoints.write(last, {"n": torch.full((1000,), number)}, INFO, previous=previous)
    before = [path.read_bytes() for path in (last, previous)]
    resource = pytest.importorskip("resource", reason="Windows has no limits of processes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the write itself fails, half way
    try:
        with pytest.raises(WeightsError, match=r"cannot be written .*: what was there before is untouched"):
            checkpoints.write(last, {"n": torch.zeros(1_000_000)}, INFO, previous=previous)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.read_bytes() for path in (last, previous)] == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.safetensors", "previous.safetensors"]


def test_what_a_kill_left_is_swept(tmp_path):
    for name in (".last-abc.safetensors", ".previous-kept.safetensors", ".log-x.csv", "last.safetensors", "mine.safetensors"):
        (tmp_path / name).write_text("x")
    checkpoints.sweep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.safetensors", "mine.safetensors"]


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


@pytest.mark.parametrize("name", ["code.pt", "code.safetensors", "cut.safetensors", "other.safetensors", "empty.safetensors"])
def test_anything_else_is_refused_in_one_sentence(tmp_path, name):
    path = tmp_path / name
    if name.startswith("code"):
        path.write_bytes(pickle.dumps(Trap()))
    elif name.startswith("cut"):
        whole = checkpoints.write(tmp_path / "whole.safetensors", {"n": torch.zeros(500)}, INFO)
        path.write_bytes(whole.read_bytes()[:-100])
    elif name.startswith("other"):
        from safetensors.torch import save_file

        save_file({"n": torch.zeros(2)}, path)
    else:
        path.touch()
    with pytest.raises(WeightsError, match=str(path)) as error:
        checkpoints.read(path)
    assert "\n" not in str(error.value)
    reason = {"code.pt": "may hold code", "other.safetensors": "not a checkpoint of nstlab"}.get(name, "damaged, cut short")
    assert reason in str(error.value)


def test_a_missing_one_and_a_folder(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match="no such checkpoint"):
            checkpoints.read(path)
    with pytest.raises(WeightsError, match="cannot be written"):
        checkpoints.write(tmp_path / "missing" / "x.safetensors", {}, INFO)


def test_another_architecture_is_named():
    module = small()
    state = module.state_dict()
    with pytest.raises(WeightsError, match="it lacks 1.bias"):
        checkpoints.fill(module, {name: value for name, value in state.items() if name != "1.bias"}, "x")
    with pytest.raises(WeightsError, match="has, and should not, more"):
        checkpoints.fill(module, {**state, "more": torch.zeros(1)}, "x")
    with pytest.raises(WeightsError, match=r"0.weight is \(5, 3\), not \(4, 3\)"):
        checkpoints.fill(module, {**state, "0.weight": torch.zeros(5, 3)}, "x")


def test_networks_optimisers_and_averages_are_packed_and_unpacked(tmp_path):
    def made(seed):
        torch.manual_seed(seed)
        network = small()
        return {"n": network}, {"n": torch.optim.Adam(network.parameters(), 0.1)}, {"ema": Ema(network)}

    def step(networks, optimizers, kept):
        optimizers["n"].zero_grad()
        networks["n"](torch.ones(2, 3)).square().sum().backward()
        optimizers["n"].step()
        kept["ema"].update(networks["n"])

    ours, theirs = made(0), made(1)
    step(*ours)
    path = checkpoints.write(tmp_path / "x.safetensors", *_with_info(checkpoints.pack(*ours)))
    tensors, info = checkpoints.read(path)
    checkpoints.unpack(tensors, info["kept"], *theirs, path)
    for parts in (ours, theirs):
        step(*parts)
    a, b = checkpoints.pack(*ours)[0], checkpoints.pack(*theirs)[0]
    assert set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)
    assert ours[2]["ema"].steps == theirs[2]["ema"].steps == 2
    bad = {**tensors, "optimizer.n.0.exp_avg": torch.zeros(9)}
    with pytest.raises(WeightsError, match="exp_avg of weight 0"):
        checkpoints.unpack(bad, info["kept"], *theirs, path)
    with pytest.raises(WeightsError, match="lacks ema"):
        checkpoints.unpack(tensors, {}, *theirs, path)


def _with_info(packed):
    return packed[0], INFO | {"kept": packed[1]}


def test_a_snapshot_of_what_is_packed_is_a_copy():
    networks = {"n": small()}
    snapshot = checkpoints.Snapshot()
    snapshot.take(*checkpoints.pack(networks, {"n": torch.optim.SGD(networks["n"].parameters(), 0.1)}, {}))
    before = snapshot.tensors["n.0.weight"].clone()
    with torch.no_grad():
        networks["n"][0].weight.add_(1)
    assert torch.equal(snapshot.tensors["n.0.weight"], before) and not torch.equal(networks["n"][0].weight, before)


def test_checkpoints_may_be_read_by_those_who_may_read_other_files(tmp_path):
    (tmp_path / "plain").touch()
    checkpoints.write(tmp_path / "x.safetensors", *_with_info(({"a": torch.ones(1)}, {})))
    checkpoints.write_network(tmp_path / "y.safetensors", small())
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "x.safetensors", "y.safetensors")}
    assert len(modes) == 1
    with pytest.raises(WeightsError, match="z.safetensors cannot be written"):
        checkpoints.write_network(tmp_path / "nowhere" / "z.safetensors", small())


def test_a_checkpoint_that_may_not_be_read_is_called_so(tmp_path, monkeypatch):
    (tmp_path / "closed.safetensors").write_bytes(b"")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(WeightsError, match="closed.safetensors cannot be read .permission denied; change the permissions"):
        checkpoints.read(tmp_path / "closed.safetensors")
