"""What a reader asks first: did it fire, who heard, how long, is everything back, what to change. Pure."""

from collections import Counter
from itertools import pairwise

from aegis_flows.domain import Value
from aegis_flows.ledger import Drill, Duration, GameDay, Verdict, duration
from aegis_flows.report import words
from aegis_flows.stamps import StampName

STOPPED = {"crashed", "cancelled", "cancelling", "timedout"}
ROAD = (
    StampName.injected,
    StampName.firing,
    StampName.pagerduty_opened,
    StampName.acknowledged,
    StampName.mitigated,
    StampName.restored,
)


class Headline(Value):
    """The whole game-day in one word and one sentence."""

    tone: Verdict
    word: str
    sentence: str


class Answer(Value):
    """A tone says whether the answer is good; a mere number has none."""

    question: str
    answer: str
    tone: Verdict | None
    detail: str = ""


class Change(Value):
    """What one drill teaches; `drill` counts from one, zero is the game-day itself."""

    drill: int
    subject: str
    lessons: tuple[str, ...]


def alive(day: GameDay) -> bool:
    return day.ended is None and day.state.lower() not in STOPPED


def headline(day: GameDay) -> Headline:
    tone, word = _verdict(day)
    sentences = (_tally(day), _ending(day))
    return Headline(tone=tone, word=word, sentence=" ".join(filter(None, sentences)))


def _tally(day: GameDay) -> str:
    counts = Counter(d.verdict for d in day.drills)
    said = [_said(v, counts[v], alive=alive(day)) for v in ("broke", "invalid", "running", "held") if counts[v]]
    if not said:
        return "No drill has been recorded."
    if len(said) > 1:
        return f"Of {len(day.drills)} drills {words.listed(said)}."
    who = {1: "The drill", 2: "Both drills"}.get(len(day.drills), f"All {len(day.drills)} drills")
    return f"{who} {said[0].split(' ', 1)[1]}."


def _said(verdict: Verdict, count: int, *, alive: bool) -> str:
    if verdict in ("held", "broke"):
        return f"{count} {verdict}"
    be = ("is" if count == 1 else "are") if alive or verdict == "invalid" else ("was" if count == 1 else "were")
    return f"{count} {be} {'still running' if verdict == 'running' else verdict}"


def _verdict(day: GameDay) -> tuple[Verdict, str]:
    verdicts = {d.verdict for d in day.drills}
    state = day.state.lower()
    if "broke" in verdicts:
        return "broke", "broke"
    if state in STOPPED:
        return "broke", state
    if "invalid" in verdicts:
        return "invalid", "invalid"
    if state == "failed":
        return "broke", state
    if alive(day) or "running" in verdicts:
        return "running", "running"
    return ("held", "held") if day.held else ("invalid", "no drill")


def _ending(day: GameDay) -> str:
    if alive(day):
        return "This is what is proven so far."
    return "" if day.state.lower() == "completed" else f"The game-day itself ended {day.state}."


def answers(day: GameDay) -> tuple[Answer, ...]:
    """The four answers that are facts; what to change is a list of its own."""
    return (_fired(day), _heard(day), _long(day), _back(day))


def _with(day: GameDay, name: StampName) -> list[Drill]:
    return [d for d in day.drills if d.stamp(name)]


def _share(day: GameDay, name: StampName, *, yes: str, no: str) -> tuple[str, Verdict]:
    """All, some or none of the drills have the stamp; what is missing may still come while the day is alive."""
    have, total = len(_with(day, name)), len(day.drills)
    if have == total > 0:
        return (yes if total == 1 else f"{yes}, {have} of {total}"), "held"
    waiting = alive(day) and all(d.verdict == "running" or d.stamp(name) for d in day.drills)
    if waiting:
        return (f"{have} of {total} so far" if have else "Not yet"), "running"
    return (f"{have} of {total}" if have else no), "broke" if total else "invalid"


def _range(day: GameDay, name: str) -> str:
    """The shortest and the longest of one duration over all drills, as text; empty when none is proven."""
    proven = sorted(_proven(day, name), key=lambda d: d.seconds or 0.0)
    texts = dict.fromkeys(words.told(d) for d in (*proven[:1], *proven[-1:]))
    return " to ".join(texts)


def _proven(day: GameDay, name: str) -> list[Duration]:
    every = (d for drill in day.drills for d in drill.durations)
    return [d for d in every if d.name == name and d.seconds is not None]


def _fired(day: GameDay) -> Answer:
    answer, tone = _share(day, StampName.firing, yes="Yes", no="Not proven")
    detect = _range(day, "detect")
    return Answer(
        question="Did it fire?", answer=answer, tone=tone, detail=f"{detect} after the fault" if detect else ""
    )


def _heard(day: GameDay) -> Answer:
    total = len(day.drills)
    ways = {
        StampName.slack_seen: ("Slack", "Slack"),
        StampName.pagerduty_opened: ("PagerDuty", "PagerDuty"),
        StampName.acknowledged: (_who(day), "acknowledged"),
    }
    heard = [who for name, (who, _) in ways.items() if len(_with(day, name)) == total > 0]
    missed = [f"{what} {n} of {total}" for name, (_, what) in ways.items() if (n := len(_with(day, name))) < total]
    after = [f"acknowledged after {after}"] if (after := _range(day, "acknowledge")) else []
    tones = {_share(day, name, yes="", no="")[1] for name in ways}
    tone = next(tone for tone in ("broke", "invalid", "running", "held") if tone in tones)
    nobody = "Nobody yet" if alive(day) else "Not proven"
    detail = ", ".join((*missed, *after))
    return Answer(question="Who heard?", answer=words.listed(heard) or nobody, tone=tone, detail=detail)


def _who(day: GameDay) -> str:
    """Who acknowledged: a person, automation or both; somebody, where the source does not say."""
    names = {"person": "a person", "automation": "automation", "": "somebody"}
    acknowledged = [d.stamp(StampName.acknowledged) for d in day.drills]
    kinds = {stamp.by for stamp in acknowledged if stamp}
    return words.listed([said for by, said in names.items() if by in kinds]) or "a person"


def _long(day: GameDay) -> Answer:
    proven, total = _proven(day, "restore"), len(day.drills)
    _, tone = _share(day, StampName.restored, yes="", no="")
    if not proven:
        return Answer(question="How long?", answer="Still running" if tone == "running" else "Unproven", tone=tone)
    slowest = max(proven, key=lambda d: d.seconds or 0.0)
    missing = f"{total - len(proven)} of {total} unproven; " if len(proven) < total else ""
    several = "at most " if total > 1 else ""
    mitigate = f"; mitigated after {_range(day, 'mitigate')}" if _range(day, "mitigate") else ""
    detail = f"{missing}{several}from alert to restored{mitigate}"
    return Answer(
        question="How long?", answer=words.told(slowest), tone=None if tone == "held" else tone, detail=detail
    )


def _back(day: GameDay) -> Answer:
    answer, tone = _share(day, StampName.restored, yes="Yes", no="Not proven")
    missing = [d for d in day.drills if not d.stamp(StampName.restored)]
    names = words.listed([words.title(d) for d in missing])
    detail = f"no restored stamp for {names}" if missing else "proven by the restored stamp" if day.drills else ""
    if missing and not any(d.stamp(StampName.injected) for d in missing):
        detail = f"no injection recorded for {names}"
    return Answer(question="Is everything back?", answer=answer, tone=tone, detail=detail)


def changes(day: GameDay) -> tuple[Change, ...]:
    """What is to do: the game-day's own end first, then each drill's reason and missing evidence."""
    own = []
    if not alive(day) and (day.state.lower() in STOPPED or not day.drills):
        advice = f"It ended {day.state}: check that staging is restored, then run it again."
        own = [Change(drill=0, subject="the game-day", lessons=(advice,))]
    found = (
        Change(drill=number, subject=words.title(drill), lessons=tuple(_lessons(drill, alive=alive(day))))
        for number, drill in enumerate(day.drills, 1)
    )
    return (*own, *(change for change in found if change.lessons))


def _lessons(drill: Drill, *, alive: bool) -> list[str]:
    lessons = []
    if drill.verdict in ("broke", "invalid"):
        lessons.append(drill.why or "No reason was recorded.")
    missing = [words.spaced(name) for name in StampName if not drill.stamp(name)]
    if missing and not (alive and drill.verdict == "running"):
        lessons.append(f"No evidence of {words.listed(missing)}.")
    contradicted = (d for d in drill.durations if d.unproven and not d.unproven.startswith("no stamp"))
    lessons.extend(f"{d.name.capitalize()} is unproven: {d.unproven}." for d in contradicted)
    return lessons


def slowest_step(day: GameDay) -> str:
    """The longest wait between two neighbouring stamps of the alert's road: where time can be won."""
    steps = [
        (step.seconds, f"{words.spaced(a)} → {words.spaced(b)}, {words.told(step)} ({words.title(drill)})")
        for drill in day.drills
        for a, b in pairwise(ROAD)
        if (step := duration("step", drill.stamp(a), drill.stamp(b))).seconds is not None
    ]
    return max(steps, default=(0.0, ""))[1]
