// A table of any length: only the rows that can be seen are in the page.

export class Table {
  // `columns`: {name, title, text(row), order(row), number}. `open` and `end` are called with a row.
  constructor(element, columns, { label, open, end, classes }) {
    Object.assign(this, { columns, open, end, classes });
    this.rows = [];
    this.drawn = [];
    this.chosen = null;
    this.sorted = { column: columns[0], down: true };
    element.setAttribute("role", "grid");
    element.setAttribute("aria-label", label);
    this.element = element;

    const head = document.createElement("div");
    head.className = "grid-row grid-head";
    head.setAttribute("role", "row");
    for (const column of columns) {
      const cell = document.createElement("div");
      cell.className = `c-${column.name}${column.number ? " n" : ""}`;
      cell.setAttribute("role", "columnheader");
      const button = document.createElement("button");
      button.textContent = column.title;
      button.addEventListener("click", () => this.sort(column));
      cell.append(button);
      head.append(cell);
      column.head = cell;
    }
    this.body = document.createElement("div");
    this.body.className = "grid-body";
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "rowgroup");
    this.space = document.createElement("div");
    this.body.append(this.space);
    element.append(head, this.body);

    this.body.addEventListener("scroll", () => this.draw());
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest(".grid-row");
      if (!line) return;
      this.choose(this.rows[line.index]);
      this.open(this.rows[line.index]);
    });
    new ResizeObserver(() => this.draw()).observe(this.body);
    this.mark();
  }

  sort(column) {
    const { sorted } = this;
    this.sorted = { column, down: sorted.column === column ? !sorted.down : Boolean(column.number) };
    this.mark();
    this.set(this.rows);
  }

  mark() {
    for (const column of this.columns) {
      const is = column === this.sorted.column;
      column.head.setAttribute("aria-sort", !is ? "none" : this.sorted.down ? "descending" : "ascending");
      column.head.firstChild.textContent = column.title + (!is ? "" : this.sorted.down ? " ↓" : " ↑");
    }
  }

  // Takes other rows. Each has an `id`; the one that is chosen stays chosen.
  set(rows) {
    const { column, down } = this.sorted;
    const keyed = rows.map((row) => [column.order(row) ?? "", row]);
    const sign = down ? -1 : 1;
    keyed.sort(([a, one], [b, other]) => (a < b ? -sign : a > b ? sign : other.id - one.id));
    this.rows = keyed.map(([, row]) => row);
    this.element.setAttribute("aria-rowcount", this.rows.length + 1);
    this.draw();
  }

  // The height of a row, which the style sheet says.
  get height() {
    const line = this.body.querySelector(".grid-row");
    return (line && line.offsetHeight) || 30;
  }

  draw() {
    const { height, body } = this;
    if (!body.clientHeight) return;
    this.space.style.height = `${this.rows.length * height}px`;
    const first = Math.max(0, Math.floor(body.scrollTop / height) - AROUND);
    const shown = Math.ceil(body.clientHeight / height) + 2 * AROUND;
    const last = Math.min(this.rows.length, first + shown);
    while (this.drawn.length < last - first) this.drawn.push(this.line());
    while (this.drawn.length > last - first) this.drawn.pop().remove();
    this.drawn.forEach((line, at) => this.fill(line, first + at, height));
    const chosen = this.drawn.find((line) => this.rows[line.index].id === this.chosen);
    if (chosen) body.setAttribute("aria-activedescendant", chosen.id);
    else body.removeAttribute("aria-activedescendant");
  }

  line() {
    const line = document.createElement("div");
    line.setAttribute("role", "row");
    for (const column of this.columns) {
      const cell = document.createElement("div");
      cell.className = `c-${column.name}${column.number ? " n" : ""}`;
      cell.setAttribute("role", "gridcell");
      line.append(cell);
    }
    this.body.append(line);
    return line;
  }

  fill(line, index, height) {
    const row = this.rows[index];
    line.index = index;
    line.id = `row-${row.id}`;
    line.className = `grid-row ${this.classes(row)}`;
    line.style.top = `${index * height}px`;
    line.setAttribute("aria-rowindex", index + 2);
    line.setAttribute("aria-selected", row.id === this.chosen);
    this.columns.forEach((column, at) => {
      const [cell, text] = [line.children[at], column.text(row)];
      if (cell.textContent !== text) cell.textContent = text;
      if (column.name === "target" || column.name === "state") cell.title = column.hint(row);
    });
  }

  choose(row) {
    this.chosen = row ? row.id : null;
    this.draw();
  }

  key(event) {
    const { rows, height, body } = this;
    if (!rows.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = rows.findIndex((row) => row.id === this.chosen);
    const page = Math.max(1, Math.floor(body.clientHeight / height) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) {
      const next = Math.min(rows.length - 1, Math.max(0, to));
      const top = next * height;
      if (top < body.scrollTop) body.scrollTop = top;
      if (top + height > body.scrollTop + body.clientHeight) body.scrollTop = top + height - body.clientHeight;
      this.choose(rows[next]);
    } else if (event.key === "Enter" && at >= 0) this.open(rows[at]);
    else if (event.key === "Delete" && at >= 0) this.end(rows[at]);
    else return;
    event.preventDefault();
  }
}

// Rows beyond what can be seen, so that scrolling shows no gaps.
const AROUND = 6;
