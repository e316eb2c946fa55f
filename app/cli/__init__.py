"""The command line `loyalty`: a module per noun, loaded when it is called."""

import importlib
from typing import Any

import click

from app import __version__
from app.settings import InvalidSetting

COMMANDS = {
    "serve": "Serve the contract.",
    "demo": "Try it: a throwaway database with guests, a token, the server and a front desk.",
    "frontdesk": "Try a partner server at a hotel's front desk, in the browser.",
    "db": "Create, upgrade, back up and check the database.",
    "token": "Issue and revoke the bearer tokens that Mews sends.",
    "program": "Add and list loyalty programs.",
    "enterprise": "Register hotels with programs.",
    "member": "Add, show and change members.",
    "settings": "List all settings.",
    "certify": "Judge any partner server by the contract, as Mews would call it.",
    "spec": "Compare versions of the contract, and upgrade to the next.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"app.cli.{cmd_name}")
        return getattr(module, "command")  # noqa: B009

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any(0xD800 <= ord(sign) <= 0xDFFF for argument in args for sign in argument):  # undecodable bytes
            ctx.fail("The arguments must be text in UTF-8.")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        from models.errors import LoyaltyError

        try:
            return super().invoke(ctx)
        except (LoyaltyError, InvalidSetting) as error:
            raise click.ClickException(str(error)) from None
        except LookupError as error:
            from app.contract import MissingOperation  # whoever raised it has paid for the import

            if isinstance(error, MissingOperation):
                raise click.ClickException(str(error)) from None
            raise


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Settings are LOYALTY_* variables; `loyalty settings` lists them. To try it all: `loyalty demo`.",
)
@click.version_option(__version__, prog_name="loyalty")
def main() -> None:
    """Run the loyalty partner server that Mews calls."""
