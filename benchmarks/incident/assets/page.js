"use strict"

const reports = JSON.parse(document.getElementById("data").textContent)
const percentiles = JSON.parse(document.getElementById("percentiles").textContent)
const colours = {
  none: "#8a8a86", backoff: "#d98200", retryablehttp: "#a8672c", failsafe: "#3d8bd9", gobreaker: "#a45cc9",
  "grpc-throttle": "#d6568c", murmuration: "#1f9d55", "murmuration-grpc": "#1f9d55",
}
const made = []

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

// times are the middles of the steps of a report's series.
const times = (r) => r.series_offered.map((_, i) => +((i + .5) * r.series_step_s).toFixed(3))

function line(name) {
  const ours = name.startsWith("murmuration")
  return { label: name, stroke: colours[name], width: ours ? 3 : 1.5, spanGaps: true, points: { show: false } }
}

function extra(label, dash) {
  return { label, stroke: css("--ink"), width: 1.5, dash, points: { show: false } }
}

function axis(values) {
  const a = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } }
  if (values) a.values = values
  return a
}

// band shades the time of the fault.
function band(r) {
  return (u) => {
    const from = u.valToPos(r.onset_s, "x", true), to = u.valToPos(r.end_s, "x", true)
    u.ctx.fillStyle = css("--band")
    u.ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height)
  }
}

function series(r, kind) {
  const of = (pick) => r.results.map((x) => {
    const l = pick(x)
    return r.series_offered.map((_, i) => l[i] ?? null)
  })
  switch (kind) {
    case "load": {
      const head = r.zoned ? [] : [r.series_offered]
      return { head: [...(r.zoned ? [] : [extra("offered", [2, 3])]), extra("capacity", [8, 4])], data: [...head, r.series_capacity[0], ...of((x) => x.series_arrived[0])] }
    }
    case "other":
      return { head: [extra("capacity", [8, 4])], data: [r.series_capacity[1], ...of((x) => x.series_arrived[1])] }
    case "ok": return { head: [], data: of((x) => x.series_ok), range: [0, 1.02] }
    case "amp": return { head: [], data: of((x) => x.series_amp) }
    default: return { head: [], data: of((x) => x.series_open), range: [0, 1.02] }
  }
}

function draw(el) {
  const r = reports[el.dataset.report], kind = el.dataset.kind
  const options = { width: el.clientWidth, height: 240, legend: { live: true }, cursor: { sync: { key: r.scenario } } }
  const lines = r.results.map((x) => line(x.strategy))
  if (kind === "latency") {
    const at = percentiles.map((_, i) => i)
    Object.assign(options, {
      cursor: {},
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [axis((u, v) => v.map((i) => percentiles[i] === undefined ? "" : percentiles[i] === 100 ? "max" : "p" + percentiles[i])), axis((u, v) => v.map((n) => n === null ? "" : String(n)))],
      series: [{ label: "percentile", value: (u, i) => i === null ? "--" : String(percentiles[i]) }, ...lines.map((l) => ({ ...l, points: { show: true, size: 5 } }))],
    })
    made.push(new uPlot(options, [at, ...r.results.map((x) => percentiles.map((_, i) => x.latency_ms ? Math.max(x.latency_ms[i], .1) : null))], el))
    return
  }
  const s = series(r, kind)
  Object.assign(options, {
    scales: { x: { time: false }, y: s.range ? { range: () => s.range } : { range: (u, min, max) => [0, Math.max(max * 1.05, 1)] } },
    axes: [axis((u, v) => v.map((t) => t + " s")), axis()],
    series: [{ label: "at", value: (u, t) => t === null ? "--" : t + " s" }, ...s.head, ...lines],
    hooks: { drawClear: [band(r)] },
  })
  made.push(new uPlot(options, [times(r), ...s.data], el))
}

function all() {
  for (const u of made.splice(0)) u.destroy()
  document.querySelectorAll(".plot").forEach(draw)
}

all()
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all)
let resized = 0
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(all, 200) })
