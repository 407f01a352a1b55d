"""The errors of accounts that aren't answers to a phone, each with what to do about it.

Answers to phones are `node.accounts.outcomes.Refused`, with a code of the wire's registry.
"""


class AccountsError(Exception):
    """Base of the errors below."""


class GatewayFailed(AccountsError):
    """A PIN was not handed over. The text names cause and remedy, and never the PIN.

    What happened is told to the operator's log and counted; the phone asks for another PIN after its wait.
    """


class SecretRefused(AccountsError):
    """The webhook's secret can't be used; the text says why. The node doesn't start without it."""


class ImportRefused(AccountsError):
    """A line of an accounts file is not an account. Those before it were written, and writing them again is
    harmless: mend the line and import the whole file again."""

    def __init__(self, line: int, cause: str) -> None:
        super().__init__(f"line {line}: {cause}; mend it and import the whole file again")
        self.line = line
