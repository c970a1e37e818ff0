"""The thresholds of the stage rules: each one named, with its default and its bounds. Data only.

The rules themselves are `projections.lifecycle`. Their version is apart from that of the facts: other thresholds assess
the same facts again, and nothing has to be rebuilt.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import Annotated, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field

from customer_timeline.projections.spells import QUIET_DAYS

# Raised when the code of the rules gives another schedule for the same facts and thresholds.
RULES_CODE: Final = 1

_MOST_DAYS: Final = 36_500

Days = Annotated[int, Field(ge=1, le=_MOST_DAYS)]
"""Days of 24 hours."""
QuietDays = Annotated[int, Field(ge=QUIET_DAYS, le=_MOST_DAYS)]
"""Days of 24 hours, at least two: a local day can last 27 hours, and what happened within it is kept as first and last
instant."""
Count = Annotated[int, Field(ge=1, le=1000)]


class StageRules(BaseModel):
    """When a customer counts as silent, churned, won back, at risk, loyal or new. The defaults are assumptions.

    "N days" is N times 24 hours, and what lasts longer than N days holds from that instant on, itself included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    silent_days: QuietDays = Field(30, description="Silent after this long without a sign of life,")
    silent_gaps: Count = Field(2, description="or after this many times the usual gap between purchases, if longer.")
    churn_days: QuietDays = Field(180, description="Churned after this long without a sign of life or a contract,")
    churn_gaps: Count = Field(4, description="or after this many times the usual gap between purchases, if longer.")
    dormant_days: QuietDays = Field(180, description="A prospect is dormant after this long without a sign of life.")
    contract_grace_days: QuietDays = Field(30, description="Churned this long after the last contract was over.")
    won_back_days: Days = Field(90, description="Won back for this long after the return.")
    new_days: Days = Field(90, description="New for this long after the first purchase or signature.")
    complaint_days: Days = Field(7, description="At risk once a complaint has been open for this long.")
    unhappy_days: Days = Field(90, description="Unhappy for this long after a bad answer.")
    unhappy_csat: int = Field(2, ge=1, le=5, description="A csat up to this is a bad answer.")
    unhappy_nps: int = Field(6, ge=0, le=10, description="An nps up to this is a bad answer.")
    loyal_purchase_days: Count = Field(4, description="Loyal from this many purchase days on.")

    @cached_property
    def version(self) -> str:
        """`1-0f3a9c21`: the version of the code and a hash of the thresholds."""
        content = orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)
        return f"{RULES_CODE}-{sha256(content).hexdigest()[:8]}"
