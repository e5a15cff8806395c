// How values are said. Durations come in nanoseconds.

export function span(ns) {
  const s = ns / 1e9
  if (s < 0.0995) return `${Math.round(s * 1000)} ms`
  if (s < 9.95) return `${s.toFixed(1)} s`
  if (s < 120) return `${Math.round(s)} s`
  if (s < 7200) return `${Math.round(s / 60)} min`
  return `${Math.round(s / 3600)} h`
}

export function share(x) {
  const p = x * 100
  if (p > 0 && p < 0.1) return "under 0.1 %"
  return p < 10 && p % 1 !== 0 ? `${p.toFixed(1)} %` : `${p < 100 ? Math.min(Math.round(p), 99) : 100} %`
}

export function number(x) {
  if (x === 0) return "0"
  return Math.abs(x) < 10 ? x.toFixed(1) : Math.round(x).toLocaleString("en")
}

export function many(n, one, more = `${one}s`) {
  return `${n} ${n === 1 ? one : more}`
}

// short leaves out most of the random part of a member's name.
export function short(name) {
  return name.replace(/-([0-9a-f]{4})[0-9a-f]{12}$/, "-$1…")
}

export function clock(iso) {
  const t = new Date(iso)
  return t.toLocaleTimeString("en-GB")
}

// since is the time from one of the server's instants to another, in nanoseconds.
export function since(iso, at) {
  return Math.max(new Date(at) - new Date(iso), 0) * 1e6
}

const retryWords = { all: "", ratio: "retries limited", none: "no retries" }

// order says what an opinion has done about an endpoint.
export function order(o) {
  const retries = retryWords[o.retries] ?? o.retries
  if (o.phi === 0) return "nothing goes"
  if (o.phi < 1) return `dimmed to ${share(o.phi)}${retries ? `, ${retries}` : ""}`
  return retries || "everything may go"
}

export function why(e) {
  if (!e) return ""
  const parts = []
  if (e.outcomes > 0) {
    parts.push(`${e.failures} of ${many(e.outcomes, "attempt")} failed${e.window > 0 ? ` in ${span(e.window)}` : ""}`)
  }
  if (e.reporters > 0) parts.push(`seen by ${many(e.reporters, "member")}`)
  if (e.latency > 0 && e.baseline > 0 && e.latency > 1.5 * e.baseline) {
    parts.push(`successes take ${span(e.latency)}, usually ${span(e.baseline)}`)
  }
  if (e.demand > 0) parts.push(`${number(e.demand)} first tries/s wanted`)
  return parts.join("; ")
}

export function decider(source, evidence) {
  switch (source) {
    case "cluster": return evidence?.steward ? `the cluster (steward ${short(evidence.steward)})` : "the cluster"
    case "operator": return "an operator"
  }
  return "this member alone"
}

// state is what there is to say of an endpoint first: [class, words].
export function state(e) {
  const retries = retryWords[e.retries]
  if (e.override) return ["operator", `◆ ${e.override.kind}: ${order(e)}`]
  if (e.routing) return ["operator", `◆ ${e.routing.kind}${e.phi < 1 ? `, ${order(e)}` : ""}`]
  if (e.phi < 1) return [e.phi < 0.5 ? "bad" : "warn", `▼ ${order(e)}`]
  if (e.last?.source === "local" && e.last.state === "open") return ["bad", "■ own breaker open"]
  if (e.last?.source === "local" && e.last.state === "half-open") return ["warn", "◪ own breaker half-open"]
  if (e.own_path_broken) return ["warn", "✂ own path broken"]
  if (retries) return ["warn", `▽ ${retries}`]
  return ["good", "● everything may go"]
}

// scope says what an order is about.
export function scope(o) {
  return o.endpoint ? `${o.service} / ${o.endpoint}` : `${o.service}, all of it`
}

// heard says when a member was heard last.
export function heard(m, at, extra) {
  return m.heard ? `${span(since(m.heard, at) + extra)} ago` : "has had nothing to say"
}

// others says which members' policies differ from that of most.
export function others(d) {
  const named = (d.odd ?? []).map(short).join(", ")
  return `${many(d.members, "member")}${named ? `: ${named}` : ""}`
}

// ordered says whose order a decision was, if an operator's.
export function ordered(d) {
  const o = d.override ?? d.routing
  return o ? `${o.kind} by ${o.author}: ${o.reason}` : ""
}

// decided says what a decision has done.
export function decided(d) {
  if (d.source === "local" && d.state !== "closed") return `own breaker ${d.state}`
  return order(d)
}
