"""Where a table comes from: a path, a web address, or any URI that MLflow can download."""

import hashlib
import json
import os
import re
from glob import glob, has_magic
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import requests
from mlflow.exceptions import MlflowException

from common.errors import InputError
from common.file_digests import text_sha256
from common.secrets import holds_secret, without_credentials
from modelling.files.endings import JSON_LINES, PARQUET, WORKBOOKS, files_that_count
from modelling.recipe import Data

_FETCHED = "CUVEE_TABLE"
_OF_MLFLOW = "/mlflow-artifacts/"
_SECONDS_TO_ANSWER = 60
_PIECE = 1 << 20
_SQL = re.compile(r"\$(\w+)\s+((?:select|with)\b.*)", re.IGNORECASE | re.DOTALL)
_STATEMENT = re.compile(r"\$\w+\s+\w+\s")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_MADE = (*JSON_LINES, *WORKBOOKS)  # of which a Parquet file is made, since nobody else reads them


def check_source(source: str) -> None:
    """Checks that a path or URI may be recorded, and does not lead out of where it begins.

    Args:
        source: as it was typed.

    Raises:
        InputError: it holds a password or key; or it has `..` where that leads elsewhere.
    """
    if holds_secret(source):
        place = without_credentials(source).partition("?")[0]
        raise InputError(
            f"table {place}: the URI holds a password or key, which would be recorded; put that "
            "into an environment variable and write $NAME in its place"
        )
    if _is_uri(source):
        if _climbs(source):
            raise InputError(f"table {source}: a URI must not hold '..' or a backslash")
    elif not _SQL.fullmatch(source):
        for part in _parts(source):
            check_source(part) if part != source else check_path(part, "table")


def check_path(text: str, kind: str) -> Path:
    """Returns a path, which is absolute, or relative and inside the project.

    Args:
        text: as it was typed.
        kind: what it is the path of, for messages.

    Raises:
        InputError: it has `..` where that leads out of the project, or in an absolute path.
    """
    path = Path(text)
    above = os.path.normpath(text).split(os.sep)[0] == os.pardir
    if above or (path.is_absolute() and os.pardir in path.parts):
        raise InputError(
            f"{kind} {text}: '..' leads out of where the path begins; write the absolute path "
            "without it"
        )
    return path


def fetch_data(data: Data, source: str, folder: Path) -> Path:
    """Returns the table of a recipe's data section, or another for it, as `fetch_table` does.

    What a loader of one's own reads is left as it is. What `fetch_for_steps` fetched is there.
    """
    known, path = json.loads(os.environ.get(_FETCHED, "[null, null]"))
    if known == _known(data, source) and Path(path).exists():
        return Path(path)
    if data.loader:
        check_source(source)
        return _fetch_one(source, folder)
    return fetch_table(source, folder, data.source_column, encoding=data.encoding, sheet=data.sheet)


def _known(data: Data, source: str) -> list[str | None]:
    """What decides which rows are fetched."""
    return [source, data.loader, data.source_column, data.encoding, data.sheet]


def fetch_for_steps(data: Data, source: str, folder: Path) -> Path:
    """Fetches a table as `fetch_data` does, and lets the steps below this process have it too.

    So it is downloaded once, and cannot change in between.

    Args:
        data: the recipe's section.
        source: as `fetch_table` takes it.
        folder: which stays as long as this process does.
    """
    path = fetch_data(data, source, folder)
    if path.is_relative_to(folder):
        os.environ[_FETCHED] = json.dumps([_known(data, source), str(path)])
    return path


def fetch_table(
    source: str,
    folder: Path,
    source_column: str | None = None,
    *,
    may_be_folder: bool = False,
    encoding: str = "",
    sheet: str = "",
) -> Path:
    """Returns the table as a local file, or a folder of Parquet files that may be one.

    Args:
        source: a path, relative ones from the project's root; or a URI, in which `$NAME` stands for
            a variable of the environment; or `$NAME` alone. Several of them with `, ` between, a
            pattern or a folder, whose rows become one file. Or `$NAME select …`: the query of a
            database.
        folder: where a download goes.
        source_column: the name of a column to make of the files' names.
        may_be_folder: whether a folder of Parquet files is to be read as it is.
        encoding: of CSV files that become one file, where it is not to be found out.
        sheet: of workbooks, where not just one holds anything.

    Raises:
        InputError: the URI cannot be downloaded, holds a secret, or is one that leads elsewhere; a
            pattern fits nothing; files do not fit together; the query fails. A single path is not
            looked at.
    """
    check_source(source)
    if found := _SQL.fullmatch(source):
        return _query(found[1], found[2], folder)
    if _STATEMENT.match(source) and not Path(source).exists():
        raise InputError(f"table {source[:60]}: a query begins with SELECT or WITH")
    if may_be_folder and source_column is None and _is_parquet_folder(Path(source)):
        return Path(source)
    if _is_several(source):
        # Downloads of the same name are not the same.
        parts = enumerate(_parts(source))
        files = [file for number, part in parts for file in _files(part, folder / str(number))]
    else:
        files = [_fetch_one(source, folder)]
        if source_column is None and not files[0].name.lower().endswith(_MADE):
            return files[0]
    # Here, since main asks for single files most of the time, and must not wait for the rest.
    from modelling.tables.gather import gather

    target = folder / "gathered.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    gather(files, target, source_column, encoding, sheet)
    return target


def _is_several(source: str) -> bool:
    if _is_uri(source) or Path(source).is_file():
        return False
    return Path(source).is_dir() or len(_parts(source)) > 1 or has_magic(source)


def _is_parquet_folder(folder: Path) -> bool:
    return folder.is_dir() and all(path.suffix in PARQUET for path in files_that_count(folder))


def _parts(source: str) -> list[str]:
    return [source] if Path(source).exists() else source.split(", ")


def _files(part: str, folder: Path) -> list[Path]:
    if _is_uri(part):
        folder.mkdir(parents=True, exist_ok=True)
        return [_fetch_one(part, folder)]
    path = Path(part)
    if path.is_dir():
        from modelling.tables.gather import files_below

        # Folders named column=value are read by who reads the whole.
        has_partitions = any("=" in inner.name for inner in path.rglob("*") if inner.is_dir())
        return [path] if has_partitions and _is_parquet_folder(path) else files_below(path)
    if path.exists() or not has_magic(part):
        return [path]
    found = sorted(Path(name) for name in glob(part, recursive=True) if Path(name).is_file())
    if not found:
        raise InputError(f"table {part}: no file fits this pattern")
    return found


def _query(name: str, query: str, folder: Path) -> Path:
    address = os.environ.get(name)
    if not address:
        raise InputError(f"table ${name}: the environment has no variable {name}")
    # Here, since most pipelines have no database.
    from modelling.tables.sql import write_query

    target = folder / "query.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    write_query(address, query, target, f"table ${name}")
    return target


def _fetch_one(source: str, folder: Path) -> Path:
    if not _is_uri(source):
        return Path(source)
    uri, values = _fill_in(source)
    if _climbs(uri):
        raise InputError(f"table {source}: a URI must not hold '..' or a backslash")
    if urlsplit(uri).scheme == "file":
        return Path(unquote(urlsplit(uri).path))
    try:
        path = _download(uri, folder)
    except (MlflowException, OSError, ValueError) as error:
        said = without_credentials(str(error))
        for name, value in values.items():
            said = said.replace(value, f"${name}")
        # Without the error itself, which holds the whole URI.
        raise InputError(f"table {source} cannot be downloaded: {said}") from None
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"table {source}: its name leads out of the folder of the download")
    return path


def source_sha256(path: Path) -> str:
    """Returns the digest of a table's file, or of all files of a folder that a loader reads."""
    if not path.is_dir():
        return text_sha256(path)
    files = {each.relative_to(path): each for each in sorted(path.rglob("*")) if each.is_file()}
    lines = [f"{name.as_posix()} {text_sha256(file)}" for name, file in files.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _download(uri: str, folder: Path) -> Path:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or _OF_MLFLOW in parts.path:
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    path = folder / (Path(unquote(parts.path)).name or "table")
    with requests.get(uri, stream=True, timeout=_SECONDS_TO_ANSWER) as answer:
        if not answer.ok:
            raise OSError(f"the server answered {answer.status_code} {answer.reason}")
        with path.open("wb") as file:
            for piece in answer.iter_content(_PIECE):
                file.write(piece)
    return path


def _is_uri(source: str) -> bool:
    is_variable = _VARIABLE.fullmatch(source) is not None
    if _SQL.fullmatch(source) or ", " in source:
        return False
    return "://" in source or source.startswith(("runs:/", "models:/")) or is_variable


def _climbs(uri: str) -> bool:
    """Whether the path of a URI holds `..`, however often it is encoded, or a backslash."""
    before, path = "", uri
    while path != before:
        before, path = path, unquote(path)
    return "\\" in path or os.pardir in re.split(r"[/?#&=]", path)


def _fill_in(source: str) -> tuple[str, dict[str, str]]:
    """The URI with the values of the variables that it names, and these values by name."""
    names = [first or second for first, second in _VARIABLE.findall(source)]
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise InputError(f"table {source}: the environment has no variable {missing[0]}")
    values = {name: os.environ[name] for name in names}
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], source), values
