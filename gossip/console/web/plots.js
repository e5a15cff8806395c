/* global uPlot */
// Plots of the last 15 minutes. What they show is kept here, a column a quantity.

const seconds = 900
const least = 120 // s that a plot spans, also when there is less to show
const columns = ["phi", "wanted", "ok", "failed", "demand"]
const kept = new Map() // by key: {at, phi, ...}
const shown = new Set() // plots in view

export const key = (service, endpoint) => JSON.stringify([service, endpoint])

function add(k, at, point) {
  let s = kept.get(k)
  if (!s) kept.set(k, (s = { at: [], phi: [], wanted: [], ok: [], failed: [], demand: [] }))
  const last = s.at.at(-1) ?? -Infinity
  if (at < last + 0.5) return
  if (at > last + 3.5 && s.at.length > 0) { // a gap is not to be drawn over
    s.at.push(last + 1)
    for (const c of columns) s[c].push(null)
  }
  s.at.push(at)
  for (const c of columns) s[c].push(c === "demand" && point[c] === 0 ? null : point[c])
  while (s.at.length > 0 && s.at[0] < at - seconds) {
    s.at.shift()
    for (const c of columns) s[c].shift()
  }
}

const row = (s, i) => Object.fromEntries(columns.map((c) => [c, s[c][i]]))

// fill takes in what api/v1/history has.
export function fill(history) {
  for (const s of history.series) {
    const k = key(s.service, s.endpoint)
    const live = kept.get(k) // may reach further
    kept.delete(k)
    s.at.forEach((at, i) => add(k, at / 1000, row(s, i)))
    live?.at.forEach((at, i) => add(k, at, row(live, i)))
  }
}

// extend takes in the load that a snapshot has.
export function extend(snapshot) {
  const at = new Date(snapshot.at) / 1000
  for (const e of snapshot.endpoints) {
    if (e.load) add(key(e.service, e.name), at, e.load)
  }
}

export function draw() {
  for (const p of shown) p.draw()
}

const plain = [null, null, null, null, null, null, 1] // no date below the time

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

const kinds = {
  dimmer: {
    width: 2,
    series: [["phi", "let through", "--blue", "y", []]],
    scales: { y: { range: [0, 1.03] } },
    axes: [{ scale: "y", splits: () => [0, 0.5, 1], values: (_, v) => v.map((x) => `${x * 100} %`), size: 52 }],
    say: (x) => `${(x * 100).toFixed(x < 0.1 ? 1 : 0)} %`,
  },
  load: {
    width: 1,
    series: [
      ["wanted", "first tries/s", "--blue", "y", []],
      ["ok", "ok/s", "--green", "y", []],
      ["failed", "failed/s", "--red", "y", []],
      ["demand", "cluster/s (right)", "--quiet", "all", [4, 4]],
    ],
    scales: {
      y: { range: (_, lo, hi) => [0, Math.max(hi * 1.1, 1)] },
      all: { range: (_, lo, hi) => [0, Math.max(hi * 1.1, 1)] },
    },
    axes: [{ scale: "y", size: 44 }, { scale: "all", side: 1, size: 44, grid: { show: false } }],
    say: (x) => x.toFixed(1),
  },
}

const watcher = new IntersectionObserver((entries) => {
  for (const e of entries) {
    const p = e.target.plot
    if (e.isIntersecting) {
      shown.add(p)
      p.draw()
    } else {
      shown.delete(p)
    }
  }
}, { rootMargin: "200px" })

const sizer = new ResizeObserver((entries) => {
  for (const e of entries) e.target.plot.resize(Math.floor(e.contentRect.width))
})

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const p of shown) p.remake()
})

// Plot fills a figure, whose height is the style sheet's.
export class Plot {
  constructor(k, kind, title) {
    this.k = k
    this.kind = kinds[kind]
    this.figure = document.createElement("figure")
    this.box = document.createElement("div")
    this.box.className = "plot"
    this.box.plot = this
    const caption = document.createElement("figcaption")
    this.values = this.kind.series.map(([, label, hue]) => {
      const item = document.createElement("span")
      item.className = `legend ${hue.slice(2)}`
      const value = document.createElement("b")
      item.append(`${label} `, value)
      caption.append(item)
      return value
    })
    this.figure.append(caption, this.box)
    this.figure.setAttribute("aria-label", title)
    watcher.observe(this.box)
    sizer.observe(this.box)
  }

  make(width) {
    const grid = { stroke: colour("--line"), width: 1 }
    const axis = { stroke: colour("--quiet"), font: "11px system-ui, sans-serif", grid, ticks: { show: false } }
    const now = () => kept.get(this.k)?.at.at(-1) ?? Date.now() / 1000
    const from = () => Math.max(now() - seconds, Math.min(kept.get(this.k)?.at[0] ?? now(), now() - least))
    this.u = new uPlot({
      width,
      height: 112,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "murmuration" } },
      hooks: { setCursor: [() => this.tell()] },
      scales: { x: { range: () => [from(), now()] }, ...this.kind.scales },
      axes: [
        { ...axis, size: 22, space: 60, values: [[60, "{HH}:{mm}", ...plain], [1, "{HH}:{mm}:{ss}", ...plain]], incrs: [30, 60, 180, 300] },
        ...this.kind.axes.map((a) => ({ ...axis, ...a })),
      ],
      series: [{}, ...this.kind.series.map(([, label, hue, scale, dash]) => ({
        label, scale, dash, stroke: colour(hue), width: this.kind.width, points: { show: false },
      }))],
    }, this.data(), this.box)
  }

  data() {
    const s = kept.get(this.k)
    return s ? [s.at, ...this.kind.series.map(([c]) => s[c])] : [[], ...this.kind.series.map(() => [])]
  }

  draw() {
    if (!this.u) return
    this.u.setData(this.data())
    this.tell()
  }

  // tell writes the values at the cursor, or else the last ones, into the legend.
  tell() {
    const s = kept.get(this.k)
    const i = this.u?.cursor.idx ?? (s ? s.at.length - 1 : -1)
    this.kind.series.forEach(([c], n) => {
      const x = s?.[c][i]
      const text = x === undefined || x === null ? "–" : this.kind.say(x)
      if (this.values[n].textContent !== text) this.values[n].textContent = text
    })
  }

  resize(width) {
    if (width < 50) return
    if (!this.u) this.make(width)
    else if (this.u.width !== width) this.u.setSize({ width, height: 112 })
  }

  remake() {
    const width = this.u?.width
    if (!width) return
    this.u.destroy()
    this.make(width)
  }
}
