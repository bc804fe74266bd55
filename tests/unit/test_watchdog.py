"""Quiet, dead and blind are told apart."""

from __future__ import annotations

from app.domain.watchdog import Volumes, Watchdog, words

NIGHT, NOON = 3, 12


def followed(volumes: Volumes, hour: int = NOON) -> Watchdog:
    return Watchdog(volumes, now=0.0, hour=hour, silent=25.0)


def test_posts_make_it_listening() -> None:
    dog = followed(Volumes())
    for second in range(1, 11):
        dog.posts(5, float(second))
        dog.tick(float(second), NOON)
    assert dog.state(10.5)[0] == "listening"
    assert "5.0 posts a second" in dog.state(10.5)[1]


def test_ninety_seconds_of_keep_alives_are_quiet_and_not_dead() -> None:
    dog = followed(Volumes())
    dog.posts(1, 0.0)
    for second in range(1, 91):
        if second % 20 == 0:
            dog.sign(float(second))
        assert not dog.is_dead(float(second))
    assert dog.state(90.0)[0] == "quiet"


def test_a_socket_without_any_sign_of_life_is_dead_when_its_source_would_have_given_one() -> None:
    dog = followed(Volumes())
    dog.posts(1, 0.0)
    assert not dog.is_dead(24.0)
    assert dog.is_dead(26.0)
    patient = Watchdog(Volumes(), now=0.0, hour=NOON, silent=90.0)
    assert not patient.is_dead(89.0)
    assert patient.is_dead(91.0)


def test_no_posts_where_many_are_usual_is_blind() -> None:
    dog = followed(Volumes({NOON: 1.0}))
    dog.posts(1, 0.0)
    dog.sign(59.0)
    assert dog.state(59.0)[0] == "listening"
    dog.sign(70.0)
    state, sentence = dog.state(70.0)
    assert state == "blind"
    assert "about 70 are usual" in sentence


def test_a_quiet_hour_is_no_blindness() -> None:
    dog = followed(Volumes({NOON: 1.0, NIGHT: 0.01}), NIGHT)
    dog.posts(1, 0.0)
    dog.sign(600.0)
    assert dog.state(600.0)[0] == "quiet"


def test_an_hour_never_heard_is_taken_for_the_quieter_neighbour() -> None:
    volumes = Volumes({NOON: 4.0, NOON + 2: 2.0})
    assert volumes.usual(NOON + 1) == 2.0
    assert volumes.usual(NOON + 5) == 0.0
    assert Volumes({23: 1.0}).usual(0) == 1.0


def test_hours_teach_what_is_usual_slowly() -> None:
    volumes = Volumes()
    dog = followed(volumes)
    dog.posts(3600, 10.0)
    dog.tick(3600.0, NOON + 1)
    assert volumes.rates == {NOON: 1.0}
    volumes.learn(NOON, 2.0)
    assert 1.0 < volumes.rates[NOON] < 1.5


def test_a_few_minutes_of_an_hour_teach_nothing() -> None:
    volumes = Volumes()
    dog = followed(volumes)
    dog.posts(3600, 10.0)
    dog.tick(300.0, NOON + 1)
    assert volumes.rates == {}


def test_a_first_hour_has_what_it_had_so_far_for_usual() -> None:
    dog = followed(Volumes())
    for second in range(0, 1200, 10):
        dog.posts(10, float(second))
    dog.sign(1300.0)
    assert dog.state(1300.0)[0] == "blind"


def test_other_keywords_make_what_was_usual_worthless() -> None:
    dog = followed(Volumes({NOON: 1.0}))
    dog.posts(1, 0.0)
    dog.selected(1.0)
    dog.sign(100.0)
    assert dog.state(100.0)[0] == "quiet"


def test_lengths_of_time_are_read_easily() -> None:
    assert [words(seconds) for seconds in (5, 119, 300, 7260, 7200 * 5)] == [
        "5 s",
        "119 s",
        "5 min",
        "2 h 1 min",
        "10 h 0 min",
    ]
