"""The behaviour of every store, written against the port alone.

A test module that gives a fixture `make_store` and a class that derives from StoreContract runs all of it.
"""

from tests.contract.approvers import ApproversContract
from tests.contract.approving import ApprovingContract
from tests.contract.boards import BoardsContract
from tests.contract.budgets import BudgetsContract
from tests.contract.canceling import CancelingContract
from tests.contract.capping import CappingContract
from tests.contract.children import ChildrenContract
from tests.contract.claiming import ClaimingContract
from tests.contract.creating import CreatingContract
from tests.contract.deciding import DecidingContract
from tests.contract.holding import HoldingContract
from tests.contract.hooking import HookingContract
from tests.contract.lifecycle import LifecycleContract
from tests.contract.messages import MessagesContract
from tests.contract.parking import ParkingContract
from tests.contract.parking_of_parents import ParkingOfParentsContract
from tests.contract.questioning import QuestioningContract
from tests.contract.queueing import QueueingContract
from tests.contract.reading import ReadingContract
from tests.contract.repeating import RepeatingContract
from tests.contract.sessions import SessionsContract
from tests.contract.steering import SteeringContract
from tests.contract.writing import WritingContract


class StoreContract(
    LifecycleContract,
    CreatingContract,
    ChildrenContract,
    WritingContract,
    RepeatingContract,
    BudgetsContract,
    ClaimingContract,
    QueueingContract,
    CappingContract,
    CancelingContract,
    SteeringContract,
    QuestioningContract,
    BoardsContract,
    MessagesContract,
    ReadingContract,
    HoldingContract,
    HookingContract,
    ApprovingContract,
    DecidingContract,
    ParkingContract,
    ParkingOfParentsContract,
    ApproversContract,
    SessionsContract,
):
    """All that a store promises."""
