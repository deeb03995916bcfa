"""What a candidate has to show before it becomes champion, each bound with its reason: one home.

Whether vectors have collapsed is judged by the gate's own bounds: what the gate would block every night cannot serve.
"""

from schemas.gate_rules import INTEREST_RULES, ITEM_RULES, CloudRules, Threshold

CLOUDS: dict[str, CloudRules] = {"items": ITEM_RULES, "interests": INTEREST_RULES}

JUDGED_AT = 50
"""The K of the HR@K that decides; the others are shown."""

USERS = Threshold(minimum=200, reason="over fewer users the 95 % interval of a difference of hit rates is some 0.1 wide: it grants luck")
CORPUS = Threshold(minimum=JUDGED_AT + 1, reason="with no more items than the list is long every target is a hit")

MARGIN = 0.01
"""Of HR@50: the lower end of the interval of candidate minus champion must not lie below ``-MARGIN`` (it may lie on it)."""

DECODABILITY_MARGIN = 0.1
"""The same of decodability, nats a token: of what a probe decoder reads from a user's own vector."""

# Why an interval has to lie where it is asked to.
NO_WORSE = (
    "a candidate brings newer items and need not be better, but that it loses a hit for more users than the margin says must be ruled out, "
    "not merely unproven. Where the two differ for 15 % of the users, an equal candidate passes a margin of 0.01 in four of five cases "
    "from 12000 users on; with fewer it has to be better, or a person names a wider margin"
)
BETTER = "--require-better asks that luck of the users is no explanation for what was gained"
DECODABLE = "a decoder must read more from a user's own vector than from a stranger's: else the vectors have lost what they mean"
STILL_DECODABLE = (
    "that the vectors lose more of their meaning than the margin says must be ruled out, not merely unproven. Where the difference "
    "varies by 1.1 nats among users, an equal candidate passes a margin of 0.1 in four of five cases from 950 measured users on, which "
    "takes twice as many with a target; with fewer it has to be better, or a person says why it may pass"
)
