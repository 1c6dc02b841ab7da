"""A champion that nobody is any more, or whose files are gone: what is said, and the way out."""

import shutil

import pytest

VERDICT = "pipeline.verdict"
REASON = "pipeline.verdict_reason"


def test_a_deleted_alias_comes_back_with_the_next_run_of_that_model(make_store):
    store = make_store(like="champion")
    store.client.delete_registered_model_alias("wine_quality", "champion")
    again = store.main()
    tags = again.parent.data.tags
    assert tags[VERDICT] == "promoted", again.terminal
    assert tags[REASON].endswith("there was no champion any more; it was version 1")
    assert (again.aliases, list(again.versions)) == ({"champion": 1}, [1])
    moves = [tag for tag in again.versions[1].tags if tag.startswith("pipeline.journal.")]
    assert len(moves) == 2
    assert store.main().parent.data.tags[VERDICT] == "unchanged"


@pytest.mark.slow
def test_a_champion_without_files_is_told_and_the_same_model_takes_its_place(make_store):
    store = make_store(like="champion")
    (model,) = store.folder.glob("mlruns/*/models/*")
    shutil.rmtree(model)
    lost = ["models:/wine_quality/1 has lost its files, MLmodel and ", str(model), "put them back"]
    told = store.check_status()
    assert told.returncode == 1
    words = " ".join(told.stdout.split())
    assert [word for word in lost if word not in words] == []
    score = store.step(
        "score", "input=data/red-wine-quality.csv", f"output={store.folder / 'o.csv'}"
    )
    score.assert_refused("score", lost, parent=False)
    other = store.main("model=ridge")
    assert other.code != 0
    assert [word for word in lost if word not in other.parent.data.tags["pipeline.error"]] == []
    assert list(other.versions) == [1]
    same = store.main()
    assert same.code == 0, same.terminal
    assert same.parent.data.tags[VERDICT] == "promoted"
    assert "the champion, version 1, whose files are gone" in same.parent.data.tags[REASON]
    assert same.aliases == {"champion": 2}
    assert store.check_status().returncode == 0
    back = store.step("rollback", "version=1")
    back.assert_refused("rollback", ["not moved there", *lost], parent=False)
