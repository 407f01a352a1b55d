"""One request of somebody who is known: find the command, look at his role, read the words, do it, write it down.

Knows no sockets. Whatever a command does wrong is its asker's answer and nobody else's trouble; only a store that must
not be written any more ends the node, as it does everywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import structlog
import trio

from admin.channel.audit import Audit
from admin.channel.keyring import Asker
from admin.commands.table import Command, CommandError, Context, OtherNode, Role
from admin.commands.words import find_command, read_arguments
from store.errors import StoreFatal

log = structlog.get_logger()

Tell = Callable[[Any], None]
INTERNAL: Final = "the command failed for a reason that it doesn't name: see the node's log"


@attrs.frozen
class Result:
    """error: "" if it was done, and then `data` is what it gave. other_node: it was for another node."""

    data: Any = None
    error: str = ""
    other_node: bool = False


class Desk:
    """Serves requests. `counts`: by what came of them."""

    __slots__ = ("_audit", "_clock", "_commands", "_context", "counts")

    def __init__(
        self,
        commands: tuple[Command, ...],
        context: Callable[[Asker, Tell], Context],
        audit: Audit,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._commands = commands
        self._context = context
        self._audit = audit
        self._clock = clock
        self.counts: Counter[str] = Counter()

    async def serve(self, asker: Asker, words: Sequence[str], tell: Tell, scope: trio.CancelScope) -> Result:
        """Do it. Cancelling `scope`, which must be new, ends the command and is answered as such.

        Raises:
            StoreFatal
        """
        found = self._read(asker, words)
        if isinstance(found, Result):
            return found
        command, arguments = found
        if command.role > Role.VIEWER:
            try:
                self._audit.begun(asker, command, arguments)
            except OSError as error:
                self.counts["unaudited"] += 1
                log.error("admin_audit_not_written", cause=error.strerror, command=command.name)
                return Result(
                    error=f"the audit can't be written ({error.strerror}), so nothing is changed: make room on the disk"
                )
        started = self._clock()
        result, what = await self._run(command, arguments, self._context(asker, tell), scope)
        self.counts[what] += 1
        self._audit.ended(asker, command, arguments, result.error or "done", self._clock() - started)
        return result

    def _read(self, asker: Asker, words: Sequence[str]) -> tuple[Command, Mapping[str, Any]] | Result:
        name = "?"
        try:
            command, rest = find_command(self._commands, words)
            name = command.name
            if asker.role < command.role:
                self.counts["refused_role"] += 1
                error = (
                    f"{command.name!r} is for the role {command.role.title}, and the key {asker.name!r} has the role"
                    f" {asker.role.title}: ask whoever keeps the list of keys"
                )
                self._audit.forbidden(asker, command, _arguments_of(command, rest))
                return Result(error=error)
            return command, read_arguments(command, rest)
        except CommandError as mistake:
            self.counts["refused_words"] += 1
            self._audit.refused(asker, name, "no such command" if name == "?" else "wrong arguments")
            return Result(error=str(mistake))

    async def _run(
        self, command: Command, arguments: Mapping[str, Any], context: Context, scope: trio.CancelScope
    ) -> tuple[Result, str]:
        error = ""
        try:
            with scope, trio.move_on_after(command.seconds_max) as time:
                return Result(await command.run(context, arguments)), "done"
        except CommandError as refusal:
            return Result(error=str(refusal), other_node=isinstance(refusal, OtherNode)), "failed"
        except StoreFatal:
            raise
        except Exception as failure:  # whatever it is, it is this command's
            log.error("admin_command_failed", command=command.name, key=context.asker, exc_info=failure)
            return Result(error=INTERNAL), "crashed"
        if time.cancelled_caught:
            error = (
                f"not done after {command.seconds_max:g} s, and ended; what it had done by then stays done"
            )
            return Result(error=error), "too_slow"
        return Result(error="ended, as was asked; what it had done by then stays done"), "cancelled"


def _arguments_of(command: Command, words: Sequence[str]) -> Mapping[str, Any] | None:
    """For the audit: words that make no sense aren't written, for one of them may be secret."""
    try:
        return read_arguments(command, words)
    except CommandError:
        return None
