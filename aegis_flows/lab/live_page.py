"""What the stubs' pages have in common: one style sheet, and a script that shows news without a reload."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

HERE = Path(__file__).parent


def environment(folder: Path) -> Environment:
    """Templates of `folder`, which may include `live_page.css` and `live_page.js`; what they show is escaped."""
    made = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["web_address"] = web_address
    return made


def web_address(address: object) -> str:
    """An address that a person may follow; anything that is no web address (`javascript:`) leads nowhere."""
    url = str(address)
    return url if url.startswith(("http://", "https://", "mailto:")) else "#"
