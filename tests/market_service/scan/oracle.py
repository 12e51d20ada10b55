"""Sees every write of the scanners, in the order in which the database took them, and judges the whole afterwards.

Triggers of the test's own write down, for each effect on a slot, the fence it carried and the job's fence at that
moment. The job's row is locked by whoever writes, so for one job that order is the order of the commits.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from market_service.scan.slot_run import PROPOSAL_UNKNOWN, proposal_id_of
from tests.market_service.scan.world import World

WATCH = """
CREATE TABLE seen (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    effect text NOT NULL, job_id uuid NOT NULL, slot timestamptz NOT NULL, fence bigint NOT NULL,
    job_fence bigint NOT NULL
);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO seen (effect, job_id, slot, fence, job_fence)
    SELECT CASE WHEN TG_TABLE_NAME = 'scan_runs' THEN to_jsonb(NEW) ->> 'status' ELSE 'SNAPSHOT' END,
        NEW.job_id, NEW.slot, NEW.fence, fence
    FROM scan_jobs WHERE job_id = NEW.job_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER see AFTER INSERT OR UPDATE ON scan_runs FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see AFTER INSERT OR UPDATE ON market_snapshots FOR EACH ROW EXECUTE FUNCTION see();
"""
RUNS = """
SELECT job_id, slot, r.status, proposal_id, failure FROM scan_runs r JOIN scan_jobs j USING (job_id) WHERE user_id = %s
"""
UNWATCH = "DROP TABLE seen; DROP FUNCTION see() CASCADE;"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every violation found, by what it is, and what the run saw."""

    slots: int
    effects: Counter[str]
    proposals: int
    steals: int
    violations: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was violated."""
        return not any(self.violations.values())


def judge(world: World, user: str, model_calls: int) -> Verdict:
    """Hold what is in both databases to the promises."""
    seen = world.market_rows("SELECT effect, job_id, slot, fence, job_fence FROM seen ORDER BY number")
    runs = world.market_rows(RUNS, user)
    ends = Counter((job, slot) for effect, job, slot, *_ in seen if effect not in {"SNAPSHOT", "DECIDED"})
    decided = Counter((job, slot) for effect, job, slot, *_ in seen if effect == "DECIDED")
    stored = {row[0] for row in world.trade_rows("SELECT proposal_id FROM trade_proposals WHERE user_id = %s", user)}
    proposed = {proposal for _, _, status, proposal, *_ in runs if status == "PROPOSED"}
    open_ends = {proposal_id_of(job, slot) for job, slot, status, _, failure in runs
                 if status == "DECIDED" or failure == PROPOSAL_UNKNOWN}  # fmt: skip
    ((reservations,),) = world.trade_rows("SELECT count(*) FROM gpt_usage_log WHERE user_id = %s", user)
    violations: dict[str, list[Any]] = {
        "a slot ended more than once": [key for key, times in ends.items() if times > 1],
        "a slot was decided more than once": [key for key, times in decided.items() if times > 1],
        "a write under a fence that was not the job's": [row for row in seen if row[3] != row[4]],
        "a fence lower than one before it": list(_falling(seen)),
        "a run that says proposed and is not": sorted(proposed - stored),
        "a proposal without a run": sorted(stored - proposed - open_ends),
        "more model calls than reservations": [model_calls] if model_calls > reservations else [],
    }
    claims = world.market_rows("SELECT sum(fence) FROM scan_jobs WHERE user_id = %s", user)[0][0]
    effects = Counter(effect for effect, *_ in seen)
    return Verdict(len(ends), effects, len(stored), int(claims) - len(ends), violations)


def _falling(seen: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401
    highest: defaultdict[Any, int] = defaultdict(int)
    for row in seen:
        if row[3] < highest[row[1]]:
            yield row
        highest[row[1]] = max(highest[row[1]], row[3])
