"""`python -m codegen`: writes what is generated from the contract, or checks that it is up to date."""

import click

from codegen import schemas


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a generated file is stale.")
def main(check: bool) -> None:
    """Generate handlers/schemas.py from the contract."""
    name = schemas.TARGET.relative_to(schemas.ROOT)
    try:
        text = schemas.generate(schemas.load_contract())
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not check:
        schemas.TARGET.write_text(text, encoding="utf-8")
        click.echo(f"Wrote {name}.")
    elif not schemas.TARGET.exists() or schemas.TARGET.read_text(encoding="utf-8") != text:
        raise click.ClickException(f"{name} is not what the contract generates: run `make generate`.")


if __name__ == "__main__":
    main()
