"""The benchmark keeps training, test and gold rows apart."""

import csv
import json

import numpy as np
import pytest
from labelwright.evals.bench_noise import cut, keeping
from labelwright.evals.noise_cases import MODELS, ag_news, news_draws, policy, policy_draws
from labelwright.store.pool import Pool


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label", "human_label"])
        writer.writeheader()
        writer.writerows(
            {"text": f"{path.stem} {place}", "label": label, "human_label": human}
            for place, (label, human) in enumerate(rows)
        )


@pytest.fixture
def news(tmp_path):
    write(tmp_path / "ag_news" / "train_human_noisy.csv", [("a", "b"), ("b", "b")] * 200)
    write(tmp_path / "ag_news" / "test.csv", [("a", "a"), ("b", "b")] * 20)
    np.save(tmp_path / "ag_news.npy", np.eye(440, 3, dtype=np.float32))
    return ag_news(tmp_path, tmp_path, None)


def test_the_test_set_is_the_test_file_and_is_never_trained_on(news):
    table, labelled = news
    for case in news_draws(table, labelled, 250, seeds=2):
        assert {table.texts[row].split()[0] for row in case.test} == {"test"}
        assert len(case.test) == 40
        assert {table.texts[row].split()[0] for row in case.train} == {"train_human_noisy"}


def test_right_labels_that_a_method_may_see_are_of_rows_it_does_not_train_on(news):
    table, labelled = news
    first, second = news_draws(table, labelled, 250, seeds=2)
    assert not set(first.train) & set(first.extra)
    assert (len(first.train), len(first.extra)) == (250, 100)
    assert not np.array_equal(first.train, second.train)


def test_the_labels_to_train_with_are_those_that_were_given(news):
    table, labelled = news
    (case,) = news_draws(table, labelled, 250, seeds=1)
    assert (case.given() == table.names.index("b")).all()


def test_fewer_rows_and_kept_states_are_those_of_the_rows_asked_for(news, tmp_path):
    table, labelled = news
    (case,) = news_draws(table, labelled, 250, seeds=1)
    small = keeping(cut(case, 20, 10), tmp_path / "kept", 0)
    assert (len(small.train), len(small.test), len(small.extra)) == (20, 10, 100)
    asked = np.concatenate([small.test[::-1], small.train[3:7], small.extra[:2]])
    found = small.inputs(asked)
    assert found.texts == [table.texts[row] for row in asked]
    pool = Pool(tmp_path / "kept" / "0")
    assert list(pool.texts(found.hidden.rows)) == found.texts


def test_without_an_encoder_there_are_no_vectors(news, tmp_path):
    table, labelled = ag_news(tmp_path, tmp_path / "nowhere", None)
    (case,) = news_draws(table, labelled, 250, seeds=1)
    assert case.inputs(case.train).vectors is None


def test_a_model_without_a_usable_answer_gives_no_training_row(tmp_path):
    folder = tmp_path / "recorded"
    folder.mkdir()
    answers = ["a", None, "nonsense", "b"] * 5
    rows = [
        {"text": f"t{place}", "label": "ab"[place % 2], "llm": {MODELS[0]: answer}}
        for place, answer in enumerate(answers)
    ]
    (folder / "policy_en.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    np.save(tmp_path / "policy.npy", np.zeros((20, 3), dtype=np.float32))
    table = policy(tmp_path, MODELS[0], tmp_path, None)
    (case,) = policy_draws(table, 1)
    assert all(answers[row] in ("a", "b") for row in case.train)
    assert len(case.test) == 10
    assert not set(case.train) & set(case.test)
