"""The pages agree with the program, with each other, and with what is in the folder."""

import re
import subprocess

import pytest

from modelling.recipe import Recipe
from scripts.write_recipe_reference import write_reference, write_schema
from tests.docs.pages import PAGES, PROJECT, code_blocks

_MOST_BYTES_OF_A_PICTURE = 150_000
_FRENCH = {
    "docs/fr/README.md": "README.md",
    "docs/fr/apprendre/guide_ui.md": "docs/learn/ui_guide.md",
    "docs/fr/apprendre/aide_memoire.md": "docs/learn/cheat_sheet.md",
    "docs/fr/entrainer/code_personnel.md": "docs/train/own_code.md",
    "docs/fr/apprendre/aide_memoire_python.md": "docs/learn/python_cheat_sheet.md",
    "docs/fr/apprendre/cours.md": "docs/learn/course.md",
    "docs/fr/exploiter/depannage.md": "docs/operate/troubleshooting.md",
    "docs/fr/utiliser/depuis_python.md": "docs/use/from_python.md",
    "docs/fr/apprendre/liste_de_controle.md": "docs/learn/checklist.md",
    "docs/fr/exploiter/securite.md": "docs/operate/security.md",
    "docs/fr/utiliser/orchestrateurs.md": "docs/use/orchestrators.md",
    "docs/fr/utiliser/servir.md": "docs/use/serving.md",
    "docs/fr/apprendre/suivi.md": "docs/learn/tracking.md",
    "docs/fr/utiliser/surveillance.md": "docs/use/monitoring.md",
    "docs/fr/entrainer/votre_table.md": "docs/train/bring_your_own_table.md",
}


def _read(page):
    return (PROJECT / page).read_text(encoding="utf-8")


def test_the_recipe_reference_is_what_the_models_say():
    page = (PROJECT / "docs/train/recipe_reference.md").read_text(encoding="utf-8")
    assert page == write_reference(), "run python scripts/write_recipe_reference.py"
    assert all(f"| `{key}` |" in page for key in Recipe.model_fields)


def test_the_schema_for_editors_is_what_the_models_say_and_each_recipe_names_it():
    schema = (PROJECT / "recipes/recipe.schema.json").read_text(encoding="utf-8")
    assert schema == write_schema(), "run python scripts/write_recipe_reference.py"
    for recipe in PROJECT.glob("recipes/**/*.yaml"):
        first = recipe.read_text(encoding="utf-8").splitlines()[0]
        place = first.removeprefix("# yaml-language-server: $schema=")
        assert (recipe.parent / place).resolve() == PROJECT / "recipes/recipe.schema.json"


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_somewhere(page):
    text = (PROJECT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    gone = [
        link
        for link in links
        if not (PROJECT / page).parent.joinpath(link.partition("#")[0] or ".").exists()
    ]
    assert gone == []


def test_the_index_has_every_page():
    index = (PROJECT / "docs/README.md").read_text(encoding="utf-8")
    pages = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
    assert [page for page in pages if page != "README.md" and f"({page})" not in index] == []


@pytest.mark.parametrize(("french", "english"), _FRENCH.items())
def test_the_french_page_has_the_commands_of_the_english_one(french, english):
    def commands(page):
        blocks = code_blocks(page, "sh", "python", "yaml")
        return [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]

    assert commands(french) == commands(english)


@pytest.mark.parametrize(("french", "english"), _FRENCH.items())
def test_the_french_page_has_the_sections_and_the_rows_of_the_english_one(french, english):
    def outline(page):
        text = re.sub(r"^```.*?^```$", "", _read(page), flags=re.MULTILINE | re.DOTALL)
        return [line.split(" ")[0] for line in text.splitlines() if line.startswith(("#", "|"))]

    assert outline(french) == outline(english)
    assert len(outline(french)) > 0


def test_the_readme_says_where_everything_is():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    (tree,) = [block for block in code_blocks("README.md", "") if "MLproject " in block]
    named = re.findall(r"^(\w[\w./, -]*?)  ", tree, re.MULTILINE)
    names = {name.strip().rstrip("/") for line in named for name in line.split(",")}
    assert [name for name in names if not (PROJECT / name).exists()] == []
    kept = subprocess.run(
        ["git", "ls-tree", "-d", "--name-only", "HEAD"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert [name for name in kept if name not in names and not name.startswith(".")] == []
    assert "docs/README.md" in text


def test_pictures_are_small_and_used():
    pictures = sorted((PROJECT / "docs/images").iterdir())
    assert [each.name for each in pictures if each.stat().st_size > _MOST_BYTES_OF_A_PICTURE] == []
    words = "".join((PROJECT / page).read_text(encoding="utf-8") for page in PAGES)
    assert [each.name for each in pictures if f"images/{each.name}" not in words] == []


def test_the_files_that_pages_name_are_there():
    """Those of the rooms, on every page; what a page makes up is somebody's own."""
    named = re.compile(r"`((?:common|engine|modelling|steps|tracking)/[\w/]+\.py)`")
    wrong = [
        f"{page}: {name}"
        for page in PAGES
        for name in named.findall((PROJECT / page).read_text(encoding="utf-8"))
        if not (PROJECT / name).is_file()
    ]
    assert wrong == []
