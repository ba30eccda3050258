"""A bundle is taken whole or not at all."""

import json
from pathlib import Path

import pytest

from voz_enrich.adapters.outbound.bundle import FILES, HEADS, BundleError, find_bundle, load_bundle, write_manifest
from voz_enrich.adapters.outbound.models import DEFAULT_BUNDLE

pytestmark = pytest.mark.unit


def described() -> dict[str, dict[str, object]]:
    heads: dict[str, dict[str, object]] = {
        name: {"labels": [str(label) for label in labels], "temperature": 1.0} for name, labels in HEADS.items()
    }
    heads["intents"]["thresholds"] = [0.5] * len(HEADS["intents"])
    return heads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text(f"content of {name}", encoding="utf-8")
    seal(tmp_path, described())
    return tmp_path


def seal(folder: Path, heads: dict[str, dict[str, object]]) -> None:
    (folder / "labels.json").write_text(json.dumps({"max_tokens": 64, "heads": heads}), encoding="utf-8")
    write_manifest(folder, "small-1")


def test_a_whole_bundle_is_read(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert (bundle.version, bundle.max_tokens) == ("small-1", 64)
    assert bundle.heads["effort"].labels == ("high", "low", "unknown")
    assert len(bundle.heads["intents"].thresholds) == len(HEADS["intents"])


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused_by_name(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BundleError, match=f"{name}: SHA-256 differs"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(folder)


def test_a_manifest_that_leaves_a_file_out_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]["card.md"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BundleError, match="must name exactly"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("head", "change", "reason"),
    [
        ("stage", {"labels": ["use"]}, "head stage must have exactly the labels"),
        ("topic", {"temperature": 0}, "temperature must be above 0"),
        ("intents", {"thresholds": [0.5]}, "one for each label"),
        ("sentiment", {"thresholds": [0.5, 0.5, 0.5]}, "belong to intents"),
    ],
)
def test_labels_that_are_not_ours_are_refused(folder: Path, head: str, change: dict[str, object], reason: str) -> None:
    heads = described()
    heads[head] |= change
    seal(folder, heads)
    with pytest.raises(BundleError, match=reason):
        load_bundle(folder)


def test_a_bundle_of_another_format_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(BundleError, match="format 1, this version reads 2"):
        load_bundle(folder)


def test_bundles_are_found_by_path_by_name_and_in_the_checkout(folder: Path) -> None:
    assert find_bundle(str(folder)) == folder
    assert find_bundle(folder.name, folder.parent) == folder
    assert find_bundle(DEFAULT_BUNDLE).parent.name == "models"
    with pytest.raises(BundleError, match="no bundle nothing-9"):
        find_bundle("nothing-9", folder.parent)


def test_the_shipped_bundle_is_small_enough_to_be_cloned_by_everybody() -> None:
    shipped = find_bundle(DEFAULT_BUNDLE)
    assert sum(path.stat().st_size for path in shipped.iterdir()) <= 45_000_000
    assert load_bundle(shipped).version == shipped.name
