"""Every mechanism that a mutant takes out, by hand, and the test that notices; those of G2 are in `scans`.

A mechanism with a second one behind it is taken out together with its twin.
"""

from typing import Final

from tests.mutants.access import ACCESS
from tests.mutants.mutant import Edit, Mutant
from tests.mutants.scans import SCANS

CLAIM: Final = "trade_service/store/claim.py"
VIEW: Final = "trade_service/store/view.py"
USER: Final = "trade_service/store/user.py"
ATTESTATION: Final = "kernel/attestation.py"
GUARANTEES: Final = "tests/trade_service/test_guarantees.py"
CAP_RACE: Final = f"{GUARANTEES}::test_g1_sixteen_proposals_racing_for_a_cap_of_two_get_exactly_two"

NO_LOCK: Final = Edit(USER, "WHERE user_id = %(user_id)s FOR UPDATE", "WHERE user_id = %(user_id)s")

MUTANTS: Final = (
    Mutant(
        "no-op",
        "nothing: a comment says the same in other words",
        (Edit(USER, "# One number per event, without gaps:", "# One number an event, and no gap:"),),
        CAP_RACE,
        survives=True,
    ),
    Mutant("user-lock", "the lock on the user's row", (NO_LOCK,), CAP_RACE),
    Mutant(
        "lock-not-alone",
        "the lock's own statement: the statement that counts waits for it",
        (
            NO_LOCK,
            Edit(
                VIEW,
                "FROM protocol\nLEFT JOIN trade_proposals p",
                "FROM protocol CROSS JOIN (SELECT FROM users WHERE user_id = %(user_id)s FOR UPDATE) AS gate\n"
                "LEFT JOIN trade_proposals p",
            ),
        ),
        CAP_RACE,
    ),
    Mutant(
        "execution-looked-for-before-the-lock",
        "the look for an execution after the lock; one before it stays",
        (
            Edit(
                CLAIM,
                "            locked, now, view = await transaction.run(user.lock(user_id)",
                "            (early,) = await transaction.run(view_statement(user_id, proposal_id))\n"
                '            if early and early[0]["execution_id"] is not None:\n'
                "                return Exists()\n"
                "            locked, now, view = await transaction.run(user.lock(user_id)",
            ),
            Edit(CLAIM, '            if view[0]["execution_id"] is not None:\n                return Exists()\n', ""),
        ),
        "tests/trade_service/store/test_claim.py"
        "::test_g1_a_duplicate_that_waited_for_the_lock_is_not_denied_by_its_twin",
    ),
    Mutant(
        "now-for-clock_timestamp",
        "the clock read after the lock: now() is the moment before the wait",
        (Edit(USER, "SELECT clock_timestamp() AS now", "SELECT now() AS now"),),
        "tests/trade_service/store/test_claim.py::test_the_moment_of_a_claim_is_after_it_had_waited_for_the_lock",
    ),
    Mutant(
        "unique-execution",
        "UNIQUE (user_id, proposal_id), and the lock before it",
        (
            Edit(
                "migrations/trade/versions/0001_ground.sql",
                "    CONSTRAINT trade_executions_one_per_proposal UNIQUE (user_id, proposal_id),\n",
                "",
            ),
            Edit(
                CLAIM,
                "ON CONFLICT (user_id, proposal_id) DO NOTHING\nRETURNING execution_id",
                "ON CONFLICT DO NOTHING\nRETURNING execution_id",
            ),
            NO_LOCK,
        ),
        "tests/migrations/test_status_moves.py::test_g1_a_second_execution_of_a_proposal_is_refused_by_the_database",
    ),
    Mutant(
        "settle-guard",
        "the statuses a settlement may come from",
        (
            Edit(
                "trade_service/store/executions.py",
                "AND execution_id = %(execution_id)s AND status = ANY(%(from_statuses)s)\n",
                "AND execution_id = %(execution_id)s\n",
            ),
        ),
        "tests/trade_service/store/test_executions.py::test_who_settles_second_changes_nothing",
    ),
    Mutant(
        "unacknowledged-commit",
        "the acknowledgement: a commit whose answer was lost gives the right to send",
        (
            Edit(
                CLAIM,
                "        raise\n    # Only here",
                "        raise\n    except Exception:\n        pass\n    # Only here",
            ),
        ),
        "tests/trade_service/store/test_claim.py::test_g1_no_acknowledged_commit_gives_no_right_to_send",
    ),
    Mutant(
        "commit-answer",
        "the look at COMMIT's own answer, which may be ROLLBACK or carry a warning",
        (Edit("kernel/transaction.py", 'if tag != "COMMIT" or "WARNING" in warnings:', 'if tag == "":'),),
        "tests/kernel/test_db.py::test_a_commit_without_a_transaction_is_no_commit",
    ),
    Mutant(
        "send-twice",
        "the spending of a send authority",
        (
            Edit(
                "trade_service/authority.py",
                "        order, self._order = self._order, None\n",
                "        order = self._order\n",
            ),
        ),
        "tests/trade_service/store/test_claim.py::test_a_send_authority_is_used_once",
    ),
    Mutant(
        "endpoint-guard",
        "the allow-list of endpoints, before signing and in the transport",
        (
            Edit("bitvavo/session.py", "        self._allow.require(endpoint.method, API_PREFIX + path)\n", ""),
            Edit("bitvavo/transport.py", "        self._allow.require(request.method, _wire_path(url))\n", ""),
        ),
        "tests/trade_service/test_keys.py::test_g3_a_forbidden_endpoint_is_refused_before_anything_leaves",
    ),
    Mutant(
        "other-key-visible",
        "the refusal to start beside the other service's key",
        (Edit("trade_service/settings.py", "    env.forbid(*FORBIDDEN,", "    env.forbid("),),
        "tests/trade_service/test_keys.py::test_g3_the_process_that_trades_refuses_to_start_beside_the_other_key",
    ),
    Mutant(
        "attestation-without-answers",
        "the difference between no answer and a proof",
        (
            Edit(
                "attest/outcome.py",
                "Outcome.PROVED if found == {Conclusion.PROVED} else Outcome.INCONCLUSIVE",
                "Outcome.PROVED",
            ),
        ),
        "tests/attest/test_rounds.py::test_g3_an_exchange_that_does_not_answer_is_never_a_pass",
    ),
    Mutant(
        "attestation-inconclusive-passes",
        "a strict service's refusal of what is inconclusive",
        (Edit(ATTESTATION, "Outcome.INCONCLUSIVE and not strict and not own.unanswered:", "Outcome.INCONCLUSIVE:"),),
        "tests/kernel/test_attestation.py::test_g3_what_is_inconclusive_is_refused_when_strict",
    ),
    Mutant(
        "attestation-same-key",
        "the comparison of the two services' fingerprints",
        (Edit(ATTESTATION, "if counterpart.fingerprint != fingerprint:", "if counterpart.fingerprint:"),),
        "tests/kernel/test_attestation.py::test_g3_the_same_key_in_both_services_is_refused",
    ),
    Mutant(
        "attestation-lost-unnoticed",
        "what trade_service does when its attestation is lost",
        (Edit("trade_service/start.py", "readiness.miss(Condition.ATTESTED, NOT_YET[Condition.ATTESTED])", "pass"),),
        "tests/trade_service/test_readiness.py::test_g3_a_lost_attestation_holds_claims_back_until_it_is_found",
    ),
    Mutant(
        "attestation-lost-reads",
        "what market_service does when its attestation is lost",
        (Edit("market_service/exchange.py", "if not self._attested():", "if self._attested() is None:"),),
        "tests/market_service/test_exchange.py::test_without_an_attestation_the_account_is_not_read_and_prices_are",
    ),
    Mutant(
        "empty-allowlist",
        "the denial by an empty allowlist",
        (
            Edit(
                "policy/rules/allowlist.py",
                "        if market not in self.markets:\n",
                "        if self.markets and market not in self.markets:\n",
            ),
            Edit(
                "policy/rules/allowlist.py",
                "        if not self.markets:\n"
                '            return denied(self.name, ALLOWLIST_EMPTY, market, "no market",'
                ' "the allowlist is empty, nothing may trade")\n',
                "",
            ),
        ),
        f"{GUARANTEES}::test_g4_an_empty_allowlist_denies",
    ),
    Mutant(
        "rule-error",
        "the denial by a rule that failed",
        (
            Edit(
                "policy/engine.py",
                "    return Verdict(rule, VerdictOutcome.ERROR, RULE_ERROR,",
                "    return Verdict(rule, VerdictOutcome.PASS, RULE_ERROR,",
            ),
        ),
        f"{GUARANTEES}::test_g4_an_error_in_a_rule_denies",
    ),
    Mutant(
        "cooldown",
        "the cooldown: it looks at no earlier order",
        (Edit("policy/rules/cooldown.py", "in case.facts.executions if", "in case.facts.executions[:0] if"),),
        f"{GUARANTEES}::test_g5_of_two_claims_at_once_in_one_market_the_cooldown_admits_one",
    ),
    Mutant(
        "anti-flip",
        "anti-flip: it looks at no earlier order",
        (
            Edit(
                "policy/rules/anti_flip.py",
                "        for one in case.facts.executions\n",
                "        for one in case.facts.executions[:0]\n",
            ),
        ),
        f"{GUARANTEES}::test_g6_of_a_buy_and_a_sell_at_once_anti_flip_admits_one",
    ),
    Mutant(
        "budget-reserve",
        "the judgement before a model call is reserved",
        (
            Edit(
                "trade_service/store/budget.py",
                "            if not admit(_view_of(",
                "            if None is admit(_view_of(",
            ),
        ),
        f"{GUARANTEES}::test_g7_of_thirty_two_reservations_at_once_exactly_the_budget_is_made",
    ),
    Mutant(
        "budget-judged-before-the-lock",
        "the order of a reservation: what counts is read before the lock is had",
        (
            Edit(
                "trade_service/store/budget.py",
                "            _, _, now, view, existing = await transaction.run(\n"
                "                user.ensure(user_id, actor), user.lock(user_id), user.clock(), _view(user_id),"
                " Statement(READ, key)\n",
                "            _, now, view, existing, _ = await transaction.run(\n"
                "                user.ensure(user_id, actor), user.clock(), _view(user_id), Statement(READ, key),"
                " user.lock(user_id)\n",
            ),
        ),
        f"{GUARANTEES}::test_g7_of_thirty_two_reservations_at_once_exactly_the_budget_is_made",
    ),
    Mutant(
        "account-match",
        "the freeze when the exchange has an order of ours that no row explains",
        (
            Edit(
                "trade_service/match.py",
                "        if self._missing:\n            self._freeze()\n            return\n",
                "",
            ),
        ),
        "tests/trade_service/test_match.py::test_an_order_of_ours_without_a_row_freezes_and_is_named",
    ),
    Mutant(
        "account-match-bound",
        "the look back to the newest claim: with one day only, waiting would thaw",
        (Edit("trade_service/match.py", "min(day_ago_ms, newest_ms - OVERLAP_MS)", "day_ago_ms"),),
        "tests/trade_service/test_match.py"
        "::test_waiting_does_not_thaw_the_look_begins_at_the_newest_claim_however_long_ago",
    ),
    *SCANS,
    *ACCESS,
)
