"""The page: a list of pictures, the picture with its dots, and what is trained, predicted and estimated from them."""

import secrets
import socket
from os import PathLike
from threading import Event, Thread

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._optional import import_optional
from skcount.annotate._desk import Desk
from skcount.annotate._guard import HEADERS, LARGEST, Guard
from skcount.annotate._journal import OWN
from skcount.images import check_images
from skcount.points import PointAnnotations

HELP = (
    "Click, Space: a dot. Drag a dot: move it. Right click, Delete: remove it. Drag beside dots, arrows: pan. Wheel, +, -: "
    "zoom. 0: all. Ctrl Z, Ctrl Y: undo, redo. N, P: next, previous. D: done. T: train. V: predict. C: count all. R: region "
    "to count in, I: to ignore, Enter closes it. M: ruler. H: hide dots. S: draw the sample. E: export."
)
CSS = """
.nicegui-content { padding: 0 }
.dots canvas { position: absolute; inset: 0; width: 100%; height: 100% }
.dots { outline: none; cursor: crosshair; touch-action: none }
.dots:focus-visible { box-shadow: inset 0 0 0 2px #56B4E9 }
.dots output { position: absolute; right: 12px; top: 8px; color: #fff; background: rgba(0, 0, 0, 0.6); padding: 2px 10px }
.open { background: #dbeafe }
"""
# Seconds between two looks at how long a training takes.
TICK = 1.0
FRAMES = "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"


class View:
    """One tab."""

    def __init__(self, desk, ui, element):
        self.desk, self.ui, self.number, self.range = desk, ui, None, (0.0, 1.0)
        self.actions = self._actions()
        with ui.row().classes("w-full no-wrap").style("height: 100vh; gap: 0"):
            with ui.column().style(
                "width: 19rem; height: 100vh; overflow-y: auto; padding: 0.4rem; gap: 0; flex: none"
            ):
                self.rows = [self._row(number) for number in range(len(desk.names))]
            with ui.column().style("flex: 1; height: 100vh; gap: 0; min-width: 0"):
                self._toolbar()
                self.status = (
                    ui.label("").style("padding: 0 0.8rem; min-height: 1.5rem").props('role="status"')
                )
                self.total = ui.label("").style("padding: 0 0.8rem; font-weight: 600")
                self.errors = ui.label("").style("padding: 0 0.8rem")
                self.picture = element().style(
                    "flex: 1; position: relative; width: 100%; min-height: 0; background: #222"
                )
                ui.label(HELP).style("padding: 0.3rem 0.8rem; font-size: 0.75rem; line-height: 1.3")
        self.picture.on("ready", lambda: self.open(0))
        self.picture.on("op", self.change)
        self.picture.on("key", self.key)
        self.picture.on("measured", self.measured)
        ui.timer(TICK, lambda: desk.busy and self.status.set_text(desk.news()))

    def _row(self, number):
        """Add a picture to the list."""
        button = self.ui.button(on_click=lambda: self.open(number)).props("flat dense no-caps align=left")
        return button.classes("w-full").style("font-weight: 400")

    def _actions(self):
        """Return the label and the action of each key, in the order of the buttons."""
        desk = self.desk
        actions = {
            "p": ("Previous", lambda: self.step(-1)),
            "n": ("Next", lambda: self.step(1)),
            "d": ("Done", self.done),
            "t": ("Train", desk.fit),
            "v": ("Predict", lambda: desk.place(self.number, self)),
            "c": ("Count all", desk.predict_all),
            "r": ("Region", lambda: self.tool("count")),
            "i": ("Ignore", lambda: self.tool("ignore")),
            "m": ("Ruler", lambda: self.tool("ruler")),
            "e": ("Export", lambda: desk.tell(desk.export())),
            "s": ("Draw the sample", lambda: desk.draw(desk.n_total)),
        }
        return {key: action for key, action in actions.items() if key != "s" or desk.n_total}

    def _toolbar(self):
        """Add the buttons."""
        ui, desk = self.ui, self.desk
        with ui.row().classes("items-center").style("padding: 0.4rem 0.6rem; gap: 0.4rem"):
            for label, action in self.actions.values():
                ui.button(label, on_click=action).props("dense outline no-caps")
            ui.switch(
                "Train by itself", on_change=lambda event: setattr(desk, "trains_itself", event.value)
            ).props("dense")
            if desk.images.n_channels > 1:
                channels = {-1: "all channels"} | {
                    number: f"channel {number}" for number in range(desk.images.n_channels)
                }
                self.channel = ui.select(channels, value=-1, on_change=self.set_channel).props(
                    'dense aria-label="Channel"'
                )
            ui.label("Contrast").style("margin-right: 0.6rem")
            self.contrast = ui.range(
                min=0, max=1, step=0.005, value={"min": 0, "max": 1}, on_change=self.set_contrast
            )
            self.contrast.style("width: 7rem").props('aria-label="Contrast"')

    def tool(self, name):
        """Choose what a click does."""
        self.picture.run_method("tool", name)

    def open(self, number):
        """Show a picture."""
        desk, self.number = self.desk, number
        height, width = desk.images.sizes[number]
        low, high = self.range = desk.tiles.range(number)
        about = {
            "number": number,
            "name": desk.names[number],
            "height": height,
            "width": width,
            "range": [low, high],
        }
        about |= {"levels": desk.tiles.levels(number), "density": int(number in desk.tiles.densities)}
        regions = [[key, *region] for key, region in desk.picture(number).regions.items()]
        self.contrast.set_value({"min": 0, "max": 1})
        self.picture.run_method("open", about, desk.dots(number), regions)
        self.refresh()

    def step(self, by):
        """Show the next picture, or the one before: of the sample, if there is one."""
        order = self.desk.to_count()
        if self.number in order and by > 0:
            left = [
                number for number in order if not self.desk.picture(number).is_done and number != self.number
            ]
            if left:
                return self.open(left[0])
        return self.open((self.number + by) % len(self.desk.names))

    async def done(self):
        """Mark the picture as complete, or open it again."""
        self.desk.finish(self.number)
        self.desk.refresh()
        await self.desk.train_itself()

    async def key(self, event):
        """Do what a key of the page asks for."""
        if isinstance(event.args, str) and event.args in self.actions:
            result = self.actions[event.args][1]()
            if result is not None:
                await result

    def change(self, event):
        """Write what a person has done. What cannot be written is not shown any longer."""
        try:
            if isinstance(event.args, list) and any(
                isinstance(one, dict) and one.get("kind") in OWN for one in event.args
            ):
                raise ValueError("Only the server writes this.")
            self.desk.apply(event.args, self)
        except (ValueError, OSError) as error:
            self.ui.notify(f"Not kept: {error}", type="negative")
            self.open(self.number)
        self.refresh(only=self.number)

    def measured(self, event):
        """Take the length of the ruler as the diameter of an object."""
        if type(event.args) in {int, float} and 0 < event.args < 1e6:
            self.desk.diameter = float(event.args)
            self.desk.tell(
                f"{event.args:.3g} pixels on the ruler: the next training takes it as the diameter of an object."
            )

    def set_contrast(self, event):
        """Show other values as black and white."""
        low, high = self.range
        ends = [low + (high - low) * float(event.value[end]) for end in ("min", "max")]
        self.picture.run_method("look", {"range": ends})

    def set_channel(self, event):
        """Show one channel, or all."""
        self.picture.run_method("look", {"channel": event.value})

    def overlay(self, number):
        """Show the density over the picture."""
        if number == self.number:
            self.picture.run_method("look", {"density": int(number in self.desk.tiles.densities)})

    def show(self, operations):
        """Show what another tab has done."""
        self.picture.run_method("apply", operations)
        for name in {operation["image"] for operation in operations}:
            self.refresh(only=self.desk.names.index(name))

    def refresh(self, only=None):
        """Show states, counts and texts as they are now."""
        desk, starred = self.desk, set(self.desk.to_count())
        for number in range(len(self.rows)) if only is None else [only]:
            count = desk.counts.get(number)
            model = "" if count is None else f", model {count:.1f}"
            star = "\u2605 " if number in starred else ""
            n_dots = len(desk.picture(number).dots)
            self.rows[number].set_text(
                f"{star}{desk.names[number]}: {desk.state(number)}, {n_dots} dots{model}"
            )
            self.rows[number].classes(
                add="open" if number == self.number else "", remove="" if number == self.number else "open"
            )
        self.status.set_text(desk.news())
        self.total.set_text(desk.total())
        self.errors.set_text(desk.errors())


class Page:
    """The page of a notebook. `annotate` makes it.

    Parameters
    ----------
    desk : object
        What the page shows.

    Attributes
    ----------
    address : str
        Its address, which works once, in a browser on this machine.
    points : PointAnnotations
        The dots of all images as they are now.

    Examples
    --------
    >>> from skcount.annotate import annotate
    >>> page = annotate(X, out="my_dots")  # doctest: +SKIP
    >>> page.points.counts  # doctest: +SKIP
    """

    def __init__(self, desk):
        self.desk, self.address, ready = desk, None, Event()

        def announce(address):
            self.address = address.replace("127.0.0.1", "localhost")  # the site of most notebooks
            ready.set()

        self._server = []
        self._thread = Thread(target=serve, args=(desk, 0, announce, True, self._server.append), daemon=True)
        self._thread.start()
        ready.wait(60)

    @property
    def points(self):
        """Return the dots of all pictures, as they are now."""
        return self.desk.points()

    def close(self):
        """End the page. Everything is in its folder."""
        for server in self._server:
            server.should_exit = True
        self._thread.join()

    def _repr_html_(self):
        return f'<iframe src="{self.address}" style="width: 100%; height: 48rem; border: 0"></iframe>'


@validate_params(
    {
        "X": "no_validation",
        "points": "no_validation",
        "out": [str, PathLike],
        "model": [str, PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def annotate(X, points=None, *, out="annotations.dots", model=None):
    """Show images in a page to set dots on them, in a notebook.

    Parameters
    ----------
    X : array of shape (n_images, height, width[, n_channels]), or sequence of images
        Images.
    points : PointAnnotations, sequence of arrays of shape (n_points, 2), or None, default=None
        Dots to start with.
    out : str or path-like, default="annotations.dots"
        Folder for the dots and the model. What is there from before is shown again.
    model : str, path-like or None, default=None
        Model to start with: a saved file, or "nuclei".

    Returns
    -------
    Page
        Shown by a notebook; its `points` are the dots at any time, and `close` ends it.

    Raises
    ------
    ValueError
        If the folder is open in another process.

    Examples
    --------
    >>> from skcount.annotate import annotate
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(n_samples=2, random_state=0, return_X_y=True)
    >>> page = annotate(X, points)  # doctest: +SKIP
    >>> page.points  # doctest: +SKIP
    """
    images = check_images(X)
    desk = Desk(images, [f"image{number}" for number in range(len(images))], out, model)
    try:
        if points is not None:
            desk.add(PointAnnotations(points))
    except ValueError:
        desk.close()
        raise
    return Page(desk)


def serve(desk, port=0, announce=print, in_frame=False, keep=None):
    """Serve the page until the process is interrupted; `announce` gets the address."""
    fastapi, uvicorn = (import_optional(name, "The page", "annotate") for name in ("fastapi", "uvicorn"))
    nicegui = import_optional("nicegui", "The page", "annotate")
    ui, app = nicegui.ui, fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    class Dots(nicegui.element.Element, component="dots.js"):
        """A picture with dots."""

    @app.get("/tile/{number}/{level}/{i}/{j}")
    def tile(
        number: int, level: int, i: int, j: int, low: float, high: float, density: int = 0, channel: int = -1
    ):
        if not desk.tiles.is_tile(number, level, i, j) or not np.isfinite([low, high]).all():
            return fastapi.Response(status_code=404)
        content = desk.tiles.jpeg(number, level, i, j, low, high, bool(density), channel)
        return fastapi.Response(content, media_type="image/jpeg")

    def page():
        ui.add_css(CSS)
        view = View(desk, ui, Dots)
        desk.views.append(view)
        ui.context.client.on_delete(lambda: view in desk.views and desk.views.remove(view))

    ui.run_with(app, root=page, title="skcount annotate")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)  # so that the address works as soon as it is told
    port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
    policy = HEADERS["content-security-policy"]
    headers = HEADERS | (
        {"content-security-policy": policy.replace("frame-ancestors 'self'", FRAMES)} if in_frame else {}
    )
    config = uvicorn.Config(
        Guard(app, token, port, headers),
        log_level="warning",
        access_log=False,
        ws_max_size=LARGEST,
        server_header=False,
    )
    server = uvicorn.Server(config)
    if keep is not None:
        keep(server)
    announce(f"http://127.0.0.1:{port}/?token={token}")
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        desk.close()
