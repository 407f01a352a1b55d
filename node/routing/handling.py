"""What a session says about what it received, handed to the mail core of its user's primary."""

from typing import Any

from node.mail import acking, receipts
from node.mail.state import MailState
from node.routing import codes


def handle(mail: MailState, message: tuple[Any, ...] | list[Any]) -> bool:
    """ACK, READ or CONFIRM, in range. False: it could not be taken in; the phone hears no confirmation."""
    code = message[0]
    if code == codes.ACK:
        return acking.ack(mail, *message[1:])
    if code == codes.READ:
        return acking.read(mail, *message[1:])
    return receipts.confirm(mail, *message[1:])
