"""The labels of the signals. A label's value is its name in JSON and in bundles; in upper case, in the contracts."""

from enum import StrEnum


class Sentiment(StrEnum):
    """Whether the experience told is good or bad for its author, as the author sees it."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Emotion(StrEnum):
    """The main emotion that shows."""

    ANGER = "anger"
    FRUSTRATION = "frustration"
    DISAPPOINTMENT = "disappointment"
    WORRY = "worry"
    CONFUSION = "confusion"
    JOY = "joy"
    GRATITUDE = "gratitude"
    NONE = "none"


class Intent(StrEnum):
    """What the author wants or does with the message; a message has at least one."""

    COMPLAINT = "complaint"
    QUESTION = "question"
    REQUEST = "request"
    PRAISE = "praise"
    RECOMMENDATION = "recommendation"
    SUGGESTION = "suggestion"
    PURCHASE_INTENT = "purchase_intent"
    CHURN_RISK = "churn_risk"
    OTHER = "other"


class Topic(StrEnum):
    """What the message is mainly about."""

    BILLING = "billing"
    PRICE = "price"
    DELIVERY = "delivery"
    PRODUCT = "product"
    TECHNICAL = "technical"
    ACCOUNT = "account"
    SERVICE = "service"
    RETURNS = "returns"
    AVAILABILITY = "availability"
    OTHER = "other"


class Effort(StrEnum):
    """How hard the author had to work, where they say so."""

    HIGH = "high"
    LOW = "low"
    UNKNOWN = "unknown"


class Stage(StrEnum):
    """Where in the journey a message (or a customer) stands, in the journey's order."""

    DISCOVER = "discover"
    CONSIDER = "consider"
    PURCHASE = "purchase"
    ONBOARD = "onboard"
    USE = "use"
    SUPPORT = "support"
    RENEW = "renew"
    ADVOCATE = "advocate"
    LEAVE = "leave"
