"""`python -m codegen`: writes what is generated from the contract, or checks that it is up to date."""

from pathlib import Path

import click

from codegen import schemas, stubs


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if something is stale or a handler is missing.")
def main(check: bool) -> None:
    """Generate handlers/schemas.py from the contract, and a stub for each operation without a handler."""
    try:
        document = schemas.load_contract()
        text = schemas.generate(document)
        missing = stubs.missing(document)
        files = stubs.files(document, missing)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if check:
        refuse_stale(text, missing)
    else:
        write(text, files)


def refuse_stale(text: str, missing: list[stubs.Operation]) -> None:
    """Do nothing if all is generated; else raise `click.ClickException` with a line for each thing that is not."""
    told = [f"{stub.file} lacks {stub.function} for the operation {stub.operation_id}" for stub in missing]
    if not schemas.TARGET.exists() or schemas.TARGET.read_text(encoding="utf-8") != text:
        told.insert(0, f"{schemas.TARGET.relative_to(schemas.ROOT)} is not what the contract generates")
    if told:
        raise click.ClickException("\n".join(f"{line}: run `make generate`." for line in told))


def write(text: str, files: dict[Path, bytes]) -> None:
    """Write the schemas and the files of the stubs, and tell of each."""
    schemas.TARGET.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {schemas.TARGET.relative_to(schemas.ROOT)}.")
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        verb = "Extended" if path.exists() else "Wrote"
        path.write_bytes(content)
        click.echo(f"{verb} {path.relative_to(stubs.ROOT)}.")


if __name__ == "__main__":
    main()
