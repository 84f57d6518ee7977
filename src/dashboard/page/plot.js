// Lines over time on a canvas. The colours are those of the style sheet; a second sign, the dashes, tells
// the lines apart for those who do not see colours.

const DASHES = [[], [6, 3], [2, 2], [8, 2, 2, 2], [1, 3]];
const COLOURS = ["--up", "--down", "--good", "--warn", "--faint"];

export class Plot {
  // `format` makes text of a value; `seconds` is how far back it shows.
  constructor(canvas, format, seconds = 300) {
    this.canvas = canvas;
    this.format = format;
    this.seconds = seconds;
    this.lines = new Map();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // One value for each line, by name; a line that has none has a gap.
  push(values) {
    for (const name of Object.keys(values)) {
      if (!this.lines.has(name) && this.lines.size < COLOURS.length) this.lines.set(name, []);
    }
    for (const [name, points] of this.lines) {
      points.push(values[name] ?? null);
      if (points.length > this.seconds) points.shift();
    }
  }

  clear() {
    this.lines.clear();
  }

  draw() {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colour = (name) => resolve(style, name);
    pen.font = "12px system-ui, sans-serif";

    const all = [...this.lines.values()].flat().filter((value) => value !== null);
    const top = nice(Math.max(1e-9, ...all));
    const [left, right, above, below] = [4, width - 4, 20, height - 6];
    const y = (value) => below - (value / top) * (below - above);
    pen.lineWidth = 1;
    for (const part of [0, 0.5, 1]) {
      const at = Math.round(y(part * top)) + 0.5;
      pen.strokeStyle = colour("--line");
      pen.beginPath();
      pen.moveTo(left, at);
      pen.lineTo(right, at);
      pen.stroke();
    }
    pen.fillStyle = colour("--faint");
    pen.textAlign = "right";
    pen.fillText(all.length ? this.format(top) : "nothing yet", right, 13);

    const told = [];
    let [index, label] = [0, left];
    for (const [name, points] of this.lines) {
      pen.strokeStyle = pen.fillStyle = colour(COLOURS[index]);
      pen.setLineDash(DASHES[index]);
      pen.lineWidth = 1.6;
      pen.beginPath();
      let down = false;
      points.forEach((value, at) => {
        if (value === null) return void (down = false);
        const x = right - ((points.length - 1 - at) / (this.seconds - 1)) * (right - left);
        down ? pen.lineTo(x, y(value)) : pen.moveTo(x, y(value));
        down = true;
      });
      pen.stroke();
      const last = points.at(-1);
      const text = `${name} ${last === null || last === undefined ? "–" : this.format(last)}`;
      told.push(text);
      pen.beginPath();
      pen.moveTo(label, 9);
      pen.lineTo(label + 18, 9);
      pen.stroke();
      pen.setLineDash([]);
      pen.textAlign = "left";
      if (label < width - 90) pen.fillText(text, label + 22, 13);
      label += 34 + pen.measureText(text).width;
      index += 1;
    }
    canvas.setAttribute("aria-label", told.join(", ") || "nothing yet");
  }
}

// A canvas takes no light-dark(): the style of an element says which of the two it is.
function resolve(style, name) {
  const probe = (resolve.probe ??= document.head.appendChild(document.createElement("meta")));
  probe.style.color = style.getPropertyValue(name);
  return getComputedStyle(probe).color;
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}
