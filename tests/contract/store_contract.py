"""The behaviour of every store, written against the port alone.

A test module that gives a fixture `make_store` and a class that derives from StoreContract runs all of it.
"""

from tests.contract.canceling import CancelingContract
from tests.contract.claiming import ClaimingContract
from tests.contract.creating import CreatingContract
from tests.contract.lifecycle import LifecycleContract
from tests.contract.reading import ReadingContract
from tests.contract.steering import SteeringContract
from tests.contract.writing import WritingContract


class StoreContract(
    LifecycleContract,
    CreatingContract,
    WritingContract,
    ClaimingContract,
    CancelingContract,
    SteeringContract,
    ReadingContract,
):
    """All that a store promises."""
