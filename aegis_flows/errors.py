"""Every error a user can meet, with what to do about it.

AegisError
├── BadInput              a value given by a person or a caller is wrong; names the field
├── Unreachable           a system did not answer at all
├── NotStaging            the target was not proven to be staging
├── Refused               a guard said no (a real incident is open, another game-day runs)
├── Conflict              somebody else changed what we were about to change
├── TooLate               a condition did not come true in its time
├── NotApproved           declined, expired, or nobody named said yes
└── NotVerified           it was done, but the proof that it worked is missing
"""


class AegisError(Exception):
    """Says what was wrong and, in `advice`, what to do next."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.advice}" if self.advice else message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), super().__str__(), self.advice))


def _rebuild(kind: type[AegisError], message: str, advice: str) -> AegisError:
    return kind(message, advice=advice)


class BadInput(AegisError):
    pass


class Unreachable(AegisError):
    pass


class NotStaging(AegisError):
    pass


class Refused(AegisError):
    pass


class Conflict(AegisError):
    pass


class TooLate(AegisError):
    pass


class NotApproved(AegisError):
    pass


class NotVerified(AegisError):
    pass
