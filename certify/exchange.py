"""A request and its answer as the kit records them: masked at the moment of recording, so that no report can leak."""

import base64
import shlex
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Exchange:
    """What was sent and what came back, fit to be shown.

    Attributes:
        method: of the request.
        url: of the request.
        sent_headers: those that the kit set; a token reads `$LOYALTY_TOKEN`.
        sent: the request's body, masked.
        status: of the answer; 0 if none came.
        headers: those of the answer that say something of it.
        came: the answer's body, masked, or why none came.
        seconds: until the answer was complete.
        content: the request's body as it was sent, without tokens.
    """

    method: str
    url: str
    sent_headers: dict[str, str]
    sent: str
    status: int
    headers: dict[str, str]
    came: str
    seconds: float
    content: bytes = field(default=b"", repr=False)

    @property
    def curl(self) -> str:
        """A command that sends the request again to the byte, with the token in the variable LOYALTY_TOKEN.

        A body that is shown in part only, or is no text, goes through Base64.
        """
        headers = [f"-H {_shell(f'{name}: {value}')}" for name, value in self.sent_headers.items()]
        command = " ".join(["curl -sS -i", f"-X {self.method}", shlex.quote(self.url), *headers])
        if not self.content:
            return command
        if self.content == self.sent.encode():
            return f"{command} --data-raw {shlex.quote(self.sent)}"
        return f"printf %s {base64.b64encode(self.content).decode()} | base64 -d | {command} --data-binary @-"


def _shell(header: str) -> str:
    """Quote a header for a shell; one that names a variable has it filled in."""
    return f'"{header}"' if "$LOYALTY_" in header or "${LOYALTY_" in header else shlex.quote(header)
