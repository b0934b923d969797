// The picture with its dots: pan, zoom, click, drag, undo. Pixels are (row, col), and whole numbers are the centres of pixels.
// Within REACH, a dot is dragged or removed; a click that is not within SAME of one adds one. In pixels of the screen.
const TILE = 512, REACH = 9, SAME = 3, DRAG = 4, MOST_TILES = 400;
const TOOLS = { r: "count", i: "ignore", m: "ruler" };
const COLOURS = { hand: "#E69F00", model: "#56B4E9" };
const fresh = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");

export default {
  template: `<div tabindex="0" class="dots" role="application" aria-label="Picture with dots"
    ><canvas></canvas><canvas></canvas><output></output></div>`,
  mounted() {
    [this.back, this.front] = this.$el.querySelectorAll("canvas");
    this.sprites = Object.fromEntries(Object.keys(COLOURS).map((by) => [by, sprite(COLOURS[by])]));
    Object.assign(this, { picture: null, dots: new Map(), regions: new Map(), past: [], future: [], outline: null });
    Object.assign(this, { tiles: new Map(), view: { s: 1, x: 0, y: 0 }, ruler: null, shown: true });
    const el = this.$el;
    el.addEventListener("pointerdown", (e) => this.press(e));
    el.addEventListener("pointermove", (e) => this.move(e));
    el.addEventListener("pointerup", (e) => this.release(e));
    el.addEventListener("pointercancel", () => (this.held = null));
    el.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    el.addEventListener("contextmenu", (e) => e.preventDefault());
    el.addEventListener("keydown", (e) => this.key(e));
    new ResizeObserver(() => this.resize()).observe(el);
    this.$emit("ready");
  },
  methods: {
    // What the server calls.
    open(picture, dots, regions) {
      this.picture = picture;
      this.dots = new Map(dots.map(([id, row, col, by]) => [id, { row, col, by }]));
      this.regions = new Map(regions.map(([id, use, corners]) => [id, { use, corners }]));
      this.past = [];
      this.future = [];
      this.outline = this.ruler = this.held = null;
      this.tiles.clear();
      this.fit();
      this.$el.focus();
    },
    apply(operations) {
      for (const one of operations) if (this.picture && one.image === this.picture.name) this.put(one);
      this.drawFront();
    },
    look(changes) {
      if (!this.picture) return;
      Object.assign(this.picture, changes);
      this.tiles.clear();
      this.drawBack();
    },
    tool(name) {
      this.outline = name === "count" || name === "ignore" ? { use: name, corners: [] } : null;
      this.ruler = name === "ruler" ? [] : null;
      this.drawFront();
    },
    fit() {
      if (!this.picture) return;
      const { width, height } = this.picture, w = this.$el.clientWidth, h = this.$el.clientHeight;
      const s = Math.min(w / width, h / height) || 1;
      this.view = { s, x: (w - width * s) / 2, y: (h - height * s) / 2 };
      this.fitted = true;
      this.draw();
    },
    // Changes: each has an inverse, for undo.
    put({ kind, id, row, col, by, use, corners }) {
      if (kind === "add") this.dots.set(id, { row, col, by });
      else if (kind === "move" && this.dots.has(id)) this.dots.set(id, { row, col, by });
      else if (kind === "remove") this.dots.delete(id);
      else if (kind === "region") this.regions.set(id, { use, corners });
      else if (kind === "unregion") this.regions.delete(id);
    },
    inverse(one) {
      const { kind, id } = one, dot = this.dots.get(id), region = this.regions.get(id);
      if (kind === "add") return { kind: "remove", id };
      if (kind === "move") return { kind, id, ...dot };
      if (kind === "remove") return { kind: "add", id, ...dot };
      return kind === "region" ? { kind: "unregion", id } : { kind: "region", id, ...region };
    },
    change(one, stack = this.past) {
      stack.push(this.inverse(one));
      this.put(one);
      this.$emit("op", [{ ...one, image: this.picture.name, key: fresh() }]);
    },
    edit(one) {
      this.future = [];
      this.change(one);
    },
    undo(from = this.past, to = this.future) {
      const one = from.pop();
      if (!one) return;
      this.change(one, to);
      this.drawFront();
    },
    // Places.
    toPicture(x, y) {
      const { s, x: ox, y: oy } = this.view;
      return { row: (y - oy) / s - 0.5, col: (x - ox) / s - 0.5 };
    },
    toScreen({ row, col }) {
      const { s, x, y } = this.view;
      return [(col + 0.5) * s + x, (row + 0.5) * s + y];
    },
    isInside({ row, col }) {
      return row >= -0.5 && col >= -0.5 && row < this.picture.height - 0.5 && col < this.picture.width - 0.5;
    },
    near(x, y, reach = REACH) {
      let best = null, least = reach ** 2;
      for (const [id, dot] of this.dots) {
        const [a, b] = this.toScreen(dot), d = (a - x) ** 2 + (b - y) ** 2;
        if (d <= least) [best, least] = [id, d];
      }
      return best;
    },
    // The pointer.
    press(e) {
      if (!this.picture) return;
      this.$el.focus();
      this.$el.setPointerCapture(e.pointerId);
      const id = e.button === 1 ? null : this.near(e.offsetX, e.offsetY);
      if (e.button === 2) {
        if (id) this.edit({ kind: "remove", id });
        return this.drawFront();
      }
      this.held = { id, x: e.offsetX, y: e.offsetY, view: { ...this.view }, button: e.button, from: this.dots.get(id) };
    },
    move(e) {
      this.cursor = [e.offsetX, e.offsetY];
      const held = this.held;
      if (!held) return void ((this.outline || this.ruler) && this.drawFront());
      const dx = e.offsetX - held.x, dy = e.offsetY - held.y;
      held.moved ||= Math.hypot(dx, dy) > DRAG;
      if (!held.moved) return;
      if (held.id && this.dots.has(held.id)) {
        const place = this.toPicture(e.offsetX, e.offsetY);
        if (this.isInside(place)) this.dots.set(held.id, { ...place, by: "hand" });
        return this.drawFront();
      }
      this.view = { ...held.view, x: held.view.x + dx, y: held.view.y + dy };
      this.fitted = false;
      this.draw();
    },
    release(e) {
      const held = this.held;
      this.held = null;
      if (!held || held.button === 1) return;
      if (held.moved && held.id) {
        const place = this.dots.get(held.id);
        if (!place) return;
        this.dots.set(held.id, held.from);
        this.edit({ kind: "move", id: held.id, ...place });
        return this.drawFront();
      }
      if (!held.moved && !(held.id && this.near(e.offsetX, e.offsetY, SAME))) this.click(this.toPicture(e.offsetX, e.offsetY));
    },
    click(place) {
      if (!this.isInside(place)) return;
      if (this.outline) this.outline.corners.push([place.row, place.col]);
      else if (this.ruler) this.measure(place);
      else {
        const id = fresh();
        this.edit({ kind: "add", id, ...place, by: "hand" });
        return this.drawDot(this.dots.get(id));
      }
      this.drawFront();
    },
    measure(place) {
      this.ruler = [...this.ruler.slice(-1), place];
      if (this.ruler.length === 2) {
        const [a, b] = this.ruler;
        this.$emit("measured", Math.hypot(a.row - b.row, a.col - b.col));
      }
    },
    wheel(e) {
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY);
    },
    zoom(factor, x = this.$el.clientWidth / 2, y = this.$el.clientHeight / 2) {
      const s = Math.min(64, Math.max(0.002, this.view.s * factor)), f = s / this.view.s;
      this.view = { s, x: x - (x - this.view.x) * f, y: y - (y - this.view.y) * f };
      this.fitted = false;
      this.draw();
    },
    key(e) {
      const pan = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[e.key];
      const command = e.ctrlKey || e.metaKey;
      if (!this.picture || e.altKey) return;
      if (command && e.key.toLowerCase() === "z") e.shiftKey ? this.undo(this.future, this.past) : this.undo();
      else if (command && e.key.toLowerCase() === "y") this.undo(this.future, this.past);
      else if (command) return;
      else if (pan) this.pan(...pan);
      else if (e.key === "+" || e.key === "=") this.zoom(1.3);
      else if (e.key === "-") this.zoom(1 / 1.3);
      else if (e.key === "0") this.fit();
      else if (e.key === "h") (this.shown = !this.shown), this.drawFront();
      else if (e.key === " " && this.cursor) this.click(this.toPicture(...this.cursor));
      else if (["Delete", "Backspace", "x"].includes(e.key)) this.removeHere();
      else if (e.key === "Enter" && this.outline) this.close();
      else if (e.key === "Escape") this.tool("dot");
      else if (e.key in TOOLS) this.tool(TOOLS[e.key]); // here, so that the next click is already one of the tool
      else if (["n", "p", "t", "d", "v", "c", "e", "s"].includes(e.key)) this.$emit("key", e.key);
      else return;
      e.preventDefault();
    },
    pan(dx, dy) {
      this.view.x += dx;
      this.view.y += dy;
      this.fitted = false;
      this.draw();
    },
    removeHere() {
      const id = this.cursor && this.near(...this.cursor);
      if (id) this.edit({ kind: "remove", id });
      else if (this.cursor) {
        const at = this.toPicture(...this.cursor);
        const hit = [...this.regions].find(([, { corners }]) => holds(corners, at));
        if (hit) this.edit({ kind: "unregion", id: hit[0] });
      }
      this.drawFront();
    },
    close() {
      const { use, corners } = this.outline;
      this.outline = null;
      if (corners.length >= 3) this.edit({ kind: "region", id: fresh(), use, corners });
      this.drawFront();
    },
    // Drawing.
    resize() {
      const ratio = window.devicePixelRatio || 1;
      for (const canvas of [this.back, this.front]) {
        canvas.width = this.$el.clientWidth * ratio;
        canvas.height = this.$el.clientHeight * ratio;
        canvas.getContext("2d").scale(ratio, ratio);
      }
      if (this.fitted) this.fit();
      else this.draw();
    },
    draw() {
      this.drawBack();
      this.drawFront();
    },
    drawBack() {
      const g = this.back.getContext("2d"), w = this.$el.clientWidth, h = this.$el.clientHeight;
      g.clearRect(0, 0, w, h);
      if (!this.picture) return;
      const level = Math.min(this.picture.levels - 1, Math.max(0, Math.floor(-Math.log2(this.view.s) + 0.25)));
      g.imageSmoothingEnabled = this.view.s < 2;
      for (const l of new Set([this.picture.levels - 1, level])) this.drawLevel(g, l, w, h);
    },
    drawLevel(g, level, w, h) {
      const { s, x, y } = this.view, side = TILE * 2 ** level * s, step = 2 ** level;
      const rows = Math.ceil(this.picture.height / step / TILE), cols = Math.ceil(this.picture.width / step / TILE);
      const top = Math.max(0, Math.floor(-y / side)), left = Math.max(0, Math.floor(-x / side));
      const bottom = Math.min(rows, Math.ceil((h - y) / side)), right = Math.min(cols, Math.ceil((w - x) / side));
      for (let i = top; i < bottom; i++)
        for (let j = left; j < right; j++) {
          const image = this.tile(level, i, j);
          if (image.complete && image.naturalWidth)
            g.drawImage(image, x + j * side, y + i * side, image.naturalWidth * step * s, image.naturalHeight * step * s);
        }
      // One ring around is fetched ahead, when nothing that is seen is missing.
      if ([...this.tiles.values()].every((image) => image.complete))
        for (let i = Math.max(0, top - 1); i < Math.min(rows, bottom + 1); i++)
          for (let j = Math.max(0, left - 1); j < Math.min(cols, right + 1); j++) this.tile(level, i, j);
    },
    tile(level, i, j) {
      const { number, density, channel, range } = this.picture, [low, high] = range;
      const query = `low=${low}&high=${high}&density=${density || 0}&channel=${channel ?? -1}`;
      const address = `/tile/${number}/${level}/${i}/${j}?${query}`;
      let image = this.tiles.get(address);
      if (!image) {
        image = new Image();
        image.onload = () => this.drawBack();
        image.src = address;
        this.tiles.set(address, image);
        if (this.tiles.size > MOST_TILES) this.tiles.delete(this.tiles.keys().next().value);
      }
      return image;
    },
    drawFront() {
      const g = this.front.getContext("2d"), w = this.$el.clientWidth, h = this.$el.clientHeight;
      g.clearRect(0, 0, w, h);
      this.$el.querySelector("output").textContent = this.dots.size;
      if (!this.picture) return;
      for (const { use, corners } of this.regions.values()) this.drawPolygon(g, use, corners, true);
      if (this.outline) this.drawPolygon(g, this.outline.use, this.outline.corners, false);
      if (this.ruler?.length) this.drawRuler(g);
      if (this.shown) for (const dot of this.dots.values()) this.drawDot(dot, g, w, h);
      this.drawScale(g, h);
    },
    drawDot(dot, g = this.front.getContext("2d"), w = Infinity, h = Infinity) {
      const [x, y] = this.toScreen(dot);
      if (x > -8 && y > -8 && x < w + 8 && y < h + 8) g.drawImage(this.sprites[dot.by], x - 8, y - 8, 16, 16);
      this.$el.querySelector("output").textContent = this.dots.size;
    },
    drawPolygon(g, use, corners, closed) {
      if (!corners.length) return;
      g.beginPath();
      for (const [row, col] of corners) g.lineTo(...this.toScreen({ row, col }));
      if (closed) g.closePath();
      else if (this.cursor) g.lineTo(...this.cursor);
      g.lineWidth = 2;
      g.strokeStyle = g.fillStyle = use === "count" ? "#009E73" : "#D55E00";
      g.stroke();
      g.globalAlpha = 0.12;
      if (closed) g.fill();
      g.globalAlpha = 1;
    },
    drawRuler(g) {
      g.beginPath();
      g.moveTo(...this.toScreen(this.ruler[0]));
      g.lineTo(...(this.ruler[1] ? this.toScreen(this.ruler[1]) : this.cursor));
      g.lineWidth = 2;
      g.strokeStyle = "#CC79A7";
      g.stroke();
    },
    drawScale(g, h) {
      const length = nice(120 / this.view.s), w = length * this.view.s;
      g.fillStyle = "rgba(0, 0, 0, 0.6)";
      g.fillRect(12, h - 38, w + 16, 28);
      g.fillStyle = "#fff";
      g.fillRect(20, h - 18, w, 3);
      g.font = "12px system-ui, sans-serif";
      g.fillText(`${length} pixels`, 20, h - 23);
    },
  },
};

function sprite(colour) {
  const canvas = document.createElement("canvas"), g = canvas.getContext("2d");
  canvas.width = canvas.height = 32;
  for (const [radius, fill] of [[11, "#000"], [8.5, colour]]) {
    g.beginPath();
    g.arc(16, 16, radius, 0, 2 * Math.PI);
    g.fillStyle = fill;
    g.fill();
  }
  return canvas;
}

function nice(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return Math.max(1, [5, 2, 1].find((n) => n * power <= length) * power);
}

function holds(corners, { row, col }) {
  let inside = false;
  corners.forEach(([r, c], k) => {
    const [s, d] = corners[(k + 1) % corners.length];
    if (r > row !== s > row && col < ((d - c) * (row - r)) / (s - r) + c) inside = !inside;
  });
  return inside;
}
