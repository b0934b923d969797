"""Archives of a data set: named by the user, found in a folder, or downloaded over https."""

import os
import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from skcount._files import replacing
from skcount._optional import import_optional
from skcount._progress import bar
from skcount.datasets._files import open_files
from skcount.io import check_magic

__all__ = ["check_given", "find_archives"]

PAUSES = (1, 2)  # seconds between attempts to download


def check_given(data_set, archive):
    """Return the paths of the archives that the user named, each of which must exist, or None."""
    if archive is None:
        return None
    paths = archive if isinstance(archive, list | tuple) else [archive]
    paths = [Path(path).expanduser().absolute() for path in paths]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        raise _not_found(data_set, missing)
    for path in paths:
        check_magic(path)
    return paths


def find_archives(data_set, home, download_if_missing):
    """Return the paths of the archives: in the cache folder, in that of SKCOUNT_DATA, or downloaded."""
    folders = [home]
    if os.environ.get("SKCOUNT_DATA"):
        folders.append(Path(os.environ["SKCOUNT_DATA"]).expanduser().absolute())
    choices = [[folder / name for name in names] for folder in folders for names in data_set.archives]
    for paths in choices:
        if all(path.is_file() for path in paths):
            return paths
    if not (download_if_missing and data_set.urls):
        raise _not_found(data_set, [path for paths in choices for path in paths])
    return [_download(data_set, name, home) for name in data_set.archives[0]]


def _not_found(data_set, places):
    places = ", ".join(map(str, dict.fromkeys(places))) or "nothing"
    download = (
        "To download them, leave out `archive` and `download_if_missing`."
        if data_set.urls
        else "They are not downloaded, because they are published over plain http, so they could be changed in transit."
    )
    return FileNotFoundError(
        f"{_capital(data_set.title)} were not found; looked for {places}. {data_set.by_hand} {download}"
    )


def _capital(text):
    return text[0].upper() + text[1:]


def _download(data_set, name, home):
    """Download an archive into the cache folder; it appears there when it is complete and checked."""
    import_optional("pooch", "Downloading data")
    url = data_set.urls[name]
    try:
        with replacing(home / name) as temporary:
            _retrieve(url, temporary)
            _check_download(data_set, temporary, name)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{_capital(data_set.title)} could not be downloaded from {url} ({error}). {data_set.by_hand}"
        ) from error
    return home / name


def _retrieve(url, path):
    """Download a URL to a file; try again if the network or the server fails."""
    import pooch
    import requests  # pooch depends on it

    for pause in (*PAUSES, None):
        try:
            with bar("download", 1, unit="B", unit_scale=True) as progress:
                http = pooch.HTTPDownloader(progressbar=progress, hooks={"response": _refuse_plain_http})
                http(url, str(path), None)
        except requests.RequestException as error:
            answer = error.response
            if pause is None or (answer is not None and answer.status_code < 500):
                raise
            time.sleep(pause)
        else:
            return


def _refuse_plain_http(answer, **_):
    """Reject a redirect to an address that is not https, because the data could be changed in transit."""
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    if urlsplit(target).scheme != "https":
        raise OSError(f"it leads to {target}, and only https is followed")


def _check_download(data_set, path, name):
    """Reject an archive whose files are not byte for byte the ones that skcount was tested with."""
    # The digest of the archive as published is not known, so `pooch.retrieve` has no hash to check.
    try:
        with open_files(data_set, [path]) as files:
            files.require_tested()
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), name)) from error
