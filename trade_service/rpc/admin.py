"""`trade.v1.AdminService`: the kill switch and the policies."""

from kernel.errors import NotFound
from kernel.rpc.actor import current_actor, require, require_user
from kernel.rpc.call import Context
from kernel.rpc.rights import ADMIN, HALT
from policy.model import Scope, State
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceServicer
from trade_service import reasons
from trade_service.policies import PolicyBook
from trade_service.ports import AdminStore
from trade_service.reload import Reload
from trade_service.rpc.answers import moment, policy_message, switch_message
from trade_service.switch import Setting
from trade_service.trading_state import TradingStates


class AdminRpc(AdminServiceServicer):
    """Trading states and policies."""

    def __init__(self, states: TradingStates, reload: Reload, book: PolicyBook, store: AdminStore) -> None:
        """Take the use cases and what is read directly."""
        self._states = states
        self._reload = reload
        self._book = book
        self._store = store

    async def GetTradingState(self, _request: pb.GetTradingStateRequest, _: Context) -> pb.GetTradingStateResponse:
        """Read the board."""
        return pb.GetTradingStateResponse(switches=map(switch_message, await self._states.board()))

    async def SetTradingState(self, request: pb.SetTradingStateRequest, _: Context) -> pb.SetTradingStateResponse:
        """Set one switch."""
        if request.scope == pb.TRADING_SCOPE_USER:
            require_user(request.subject, ADMIN if current_actor().may(ADMIN) else HALT)
        setting = Setting(
            scope=Scope(pb.TradingScope.Name(request.scope).removeprefix("TRADING_SCOPE_")),
            subject=request.subject,
            state=State(pb.TradingState.Name(request.state).removeprefix("TRADING_STATE_")),
            cancel_open_orders=request.cancel_open_orders,
            reason=request.reason,
            expected_generation=request.expected_generation,
        )
        switch = await self._states.set(setting, current_actor().name, lambda: require(ADMIN))
        return pb.SetTradingStateResponse(switch=switch_message(switch))

    async def ListPolicies(self, _request: pb.ListPoliciesRequest, _: Context) -> pb.ListPoliciesResponse:
        """Read the policies in force."""
        loaded = await self._store.policies_in_force()
        if loaded is None:
            return pb.ListPoliciesResponse()
        return pb.ListPoliciesResponse(
            policies=map(policy_message, loaded.policies),
            generation=loaded.generation,
            actor=loaded.actor,
            in_force_since=moment(loaded.in_force_since),
        )

    async def GetPolicy(self, request: pb.GetPolicyRequest, _: Context) -> pb.GetPolicyResponse:
        """Read one policy, by hash or by the user it judges."""
        if request.WhichOneof("which") == "user_id":
            row, generation = await self._book.row_for(request.user_id)
            return pb.GetPolicyResponse(policy=policy_message(row), generation=generation)
        found = await self._store.policy(request.sha256)
        if found is None:
            raise NotFound(reasons.POLICY_NOT_FOUND, f"no policy {request.sha256} was ever in force")
        loaded = await self._store.policies_in_force()
        return pb.GetPolicyResponse(policy=policy_message(found), generation=loaded.generation if loaded else 0)

    async def ReloadPolicies(self, _request: pb.ReloadPoliciesRequest, _: Context) -> pb.ReloadPoliciesResponse:
        """Put the directory in force, as a whole or not at all."""
        loaded, changed = await self._reload.reload(current_actor().name)
        return pb.ReloadPoliciesResponse(
            policies=map(policy_message, loaded.policies), generation=loaded.generation, changed=changed
        )
