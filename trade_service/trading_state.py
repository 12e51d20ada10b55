"""SetTradingState: the kill switch. Stricter at once, looser only by someone who says what he is replacing."""

from collections.abc import Callable, Sequence

from kernel.errors import FieldViolation, Invalid, NotNow, StateViolation
from policy.model import Scope, State
from trade_service import reasons
from trade_service.ports import AdminStore
from trade_service.switch import Setting, Switch


class TradingStates:
    """The kill switch's board."""

    def __init__(self, store: AdminStore) -> None:
        """Take the store."""
        self._store = store

    async def board(self) -> Sequence[Switch]:
        """Read every switch ever set."""
        return await self._store.switches()

    async def set(self, setting: Setting, actor: str, require_admin: Callable[[], None]) -> Switch:
        """Set one switch. `require_admin` raises when the caller may not loosen; it is asked only then.

        Raises:
            Invalid: scope and subject do not fit. Forbidden: loosening without the right.
            NotNow: loosening with another generation than the current one.
        """
        _require_subject(setting)

        def permit(current: Switch | None) -> None:
            if not _loosens(setting, current):
                return
            require_admin()
            generation = current.generation if current else 0
            if setting.expected_generation != generation:
                raise _generation_mismatch(setting, generation)

        return await self._store.set_switch(setting, actor, permit)


def _loosens(setting: Setting, current: Switch | None) -> bool:
    state = current.state if current else State.ACTIVE
    return setting.loosens(state, cancelling=current is not None and current.cancel_open_orders)


def _require_subject(setting: Setting) -> None:
    expected = {
        Scope.GLOBAL: (not setting.subject, "empty for GLOBAL"),
        Scope.MARKET: ("-" in setting.subject and setting.subject.isupper(), "a market such as BTC-EUR"),
        Scope.USER: (bool(setting.subject) and setting.subject == setting.subject.lower(), "a user's id"),
    }
    fits, description = expected[setting.scope]
    if not fits:
        violation = FieldViolation("subject", f"expected {description}")
        raise Invalid(reasons.INVALID_REQUEST, f"invalid request: subject: expected {description}", (violation,))


def _generation_mismatch(setting: Setting, generation: int) -> NotNow:
    message = f"loosening replaces generation {generation}; say expected_generation={generation} after looking at it"
    violation = StateViolation("GENERATION", f"{setting.scope} {setting.subject}".strip(), message)
    metadata = {"generation": str(generation)}
    return NotNow(reasons.GENERATION_MISMATCH, message, (violation,), metadata=metadata)
