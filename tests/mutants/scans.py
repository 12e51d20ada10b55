"""The mechanisms of G2 that a mutant takes out, and the test that notices; `catalogue` has those of the others."""

from typing import Final

from tests.mutants.mutant import Edit, Mutant

HOLDS: Final = "market_service/scan/holds.py"
SLOT_RUN: Final = "market_service/scan/slot_run.py"
SCHEMA: Final = "migrations/market/versions/0002_scans.sql"
FENCE: Final = "tests/market_service/scan/test_fence.py"
WAY: Final = "tests/market_service/scan/test_slot_run.py"

END_HELD: Final = "AND job.job_id = ended.job_id AND job.fence = ended.fence AND job.owner = %(owner)s"

SCANS: Final = (
    Mutant(
        "scan-fence",
        "the fence of an end; the owner stays",
        (Edit(HOLDS, END_HELD, END_HELD.replace("AND job.fence = ended.fence ", "")),),
        f"{FENCE}::test_g2_even_the_same_process_is_late_under_its_old_fence",
    ),
    Mutant(
        "scan-fence-and-owner",
        "fence and owner of a snapshot: whoever comes may write it",
        (
            Edit(
                HOLDS,
                "    SELECT job_id, fence FROM scan_jobs\n"
                "    WHERE job_id = %(job_id)s AND fence = %(fence)s AND owner = %(owner)s FOR UPDATE\n",
                "    SELECT job_id, fence FROM scan_jobs WHERE job_id = %(job_id)s FOR UPDATE\n",
            ),
        ),
        f"{FENCE}::test_g2_a_holder_that_slept_past_his_lease_writes_nothing",
    ),
    Mutant(
        "scan-lock-of-a-write",
        "the lock under which a snapshot compares its fence: a claim may commit in between",
        (
            Edit(
                HOLDS,
                "    SELECT job_id, fence FROM scan_jobs\n"
                "    WHERE job_id = %(job_id)s AND fence = %(fence)s AND owner = %(owner)s FOR UPDATE\n",
                "    SELECT job_id, fence FROM scan_jobs\n"
                "    WHERE job_id = %(job_id)s AND fence = %(fence)s AND owner = %(owner)s\n",
            ),
        ),
        f"{FENCE}::test_g2_a_late_write_that_was_under_way_waits_for_the_claim_and_then_counts_for_nothing"
        "[late_snapshot]",
    ),
    Mutant(
        "scan-skip-locked",
        "SKIP LOCKED: a claim waits for whom another transaction holds",
        (Edit(HOLDS, "FOR UPDATE SKIP LOCKED", "FOR UPDATE"),),
        f"{FENCE}::test_g2_a_claim_does_not_wait_for_a_row_that_another_transaction_holds",
    ),
    Mutant(
        "scan-lock-of-a-claim",
        "the lock of a claim's choice: what another chose meanwhile is claimed again",
        (Edit(HOLDS, " FOR UPDATE SKIP LOCKED", ""),),
        f"{FENCE}::test_g2_a_job_whose_claim_is_under_way_is_not_claimed_again_when_that_commits",
    ),
    Mutant(
        "scan-lease",
        "the lease: a job that is held is due all the while",
        (
            Edit(
                SCHEMA,
                "(coalesce(lease_until, least(next_slot, requested_slot)))",
                "(least(next_slot, requested_slot))",
            ),
        ),
        f"{FENCE}::test_g2_a_lease_that_lapses_is_claimed_by_the_same_statement_and_a_renewed_one_is_not",
    ),
    Mutant(
        "unique-slot",
        "the key (job, slot) of what became of a slot, and the statement that leans on it",
        (
            Edit(
                SCHEMA,
                "    PRIMARY KEY (job_id, slot),\n    CONSTRAINT failed_says_why",
                "    CONSTRAINT failed_says_why",
            ),
            Edit(
                HOLDS,
                "    ON CONFLICT (job_id, slot) DO UPDATE SET status = excluded.status, fence = excluded.fence,\n"
                "        owner = excluded.owner, owner_name = excluded.owner_name, claimed_at = excluded.claimed_at,\n"
                "        recorded_at = excluded.recorded_at, proposal_id = excluded.proposal_id,"
                " failure = excluded.failure\n"
                "        WHERE run.status = 'DECIDED'\n",
                "",
            ),
        ),
        f"{FENCE}::test_g2_a_slot_has_one_row_whoever_ends_it_again",
    ),
    Mutant(
        "proposal-id-of-the-slot",
        "the slot in a proposal's id: two holders of one slot propose twice",
        (
            Edit(
                SLOT_RUN,
                'return deterministic_id(job_id, "proposal", slot_text(slot))',
                'return __import__("uuid").uuid4()',
            ),
        ),
        f"{WAY}::test_g2_a_slot_becomes_a_proposal_with_the_id_of_job_and_slot",
    ),
    Mutant(
        "repeated-reservation",
        "the difference between a reservation made and one that was there: both allow the call",
        (Edit(SLOT_RUN, "if permission.reserved is Reserved.REPEATED:", "if permission is None:"),),
        f"{WAY}::test_g2_a_reservation_of_an_earlier_attempt_allows_no_call",
    ),
)
