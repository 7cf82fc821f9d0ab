"""Write the pages in `docs/` again."""

from __future__ import annotations

from tests.architecture.authorisation.pages import pages
from tests.architecture.authorisation.parts import all_rows

for path, text in pages(all_rows()).items():
    path.write_text(text, encoding="utf-8")
