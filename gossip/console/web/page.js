// Writes a snapshot into the page. Data become text, never markup.

import * as overrides from "./overrides.js"
import { key, Plot } from "./plots.js"
import * as say from "./words.js"

const $ = (id) => document.getElementById(id)

// set writes a text where it has changed.
export function set(el, text) {
  if (el.textContent !== text) el.textContent = text
  return el
}

export function make(tag, cls, text) {
  const el = document.createElement(tag)
  if (cls) el.className = cls
  if (text !== undefined) el.textContent = text
  return el
}

export function badge(el, cls, text) {
  const name = `badge ${cls}`
  if (el.className !== name) el.className = name
  set(el, text)
}

// sync makes the children of an element those of a list of [key, ...], each made
// once and brought up to date after that.
function sync(parent, list, create, update) {
  const had = new Map()
  for (const el of [...parent.children]) {
    if (el.key === undefined || had.has(el.key)) el.remove()
    else had.set(el.key, el)
  }
  let at = parent.firstChild
  for (const item of list) {
    let el = had.get(item[0])
    had.delete(item[0])
    if (!el) {
      el = create(item)
      el.key = item[0]
    }
    if (el === at) at = at.nextSibling
    else parent.insertBefore(el, at)
    update(el, item)
  }
  for (const el of had.values()) el.remove()
}

// rowsOf fills a table with a row for each of a list of [key, ...], or says that there
// are none.
export function rowsOf(body, list, none, create, update) {
  const columns = body.parentElement.querySelectorAll("th").length
  const empty = [Symbol.for("none")]
  sync(body, list.length > 0 ? list : [empty], (item) => {
    const tr = make("tr")
    if (item === empty) {
      tr.className = "quiet"
      tr.append(make("td", "", none))
      tr.firstChild.colSpan = columns
    } else create(tr)
    return tr
  }, (tr, item) => {
    if (item !== empty) update(tr, item)
  })
}

// rows fills a table with [key, [texts], class].
function rows(body, list, none) {
  rowsOf(body, list, none, (tr) => {
    for (let n = body.parentElement.querySelectorAll("th").length; n > 0; n--) tr.append(make("td"))
  }, (tr, [, texts, cls]) => {
    texts.forEach((t, i) => set(tr.children[i], t))
    if (tr.className !== (cls ?? "")) tr.className = cls ?? ""
  })
}

function pairs(dl, list) {
  sync(dl, list, () => {
    const el = make("div")
    el.append(make("dt"), make("dd"))
    return el
  }, (el, [name, value, cls]) => {
    set(el.firstChild, name)
    set(el.lastChild, value)
    if (el.className !== (cls ?? "")) el.className = cls ?? ""
  })
}

// show writes everything; extra is how much older it has become, in nanoseconds.
export function show(s, extra) {
  set($("cluster"), s.cluster || "no cluster")
  set($("member"), s.health.name ? `seen by ${say.short(s.health.name)}${s.zone ? ` in ${s.zone}` : ""}` : "")
  $("member").title = s.health.name ?? ""
  document.title = `${s.cluster || "no cluster"} – Murmuration`
  const modes = { coordinated: ["good", "● coordinated"], degraded: ["warn", "▲ degraded"], alone: ["bad", "◇ alone"] }
  const [cls, words] = modes[s.health.mode] ?? ["none", s.health.mode]
  badge($("mode"), extra > 0 ? "none" : cls, words)
  now(s, extra)
  facts(s, extra)
  services(s, extra)
  decisions(s)
  rest(s, extra)
}

// now is what is wrong, the worst first.
function now(s, extra) {
  const h = s.health
  const found = []
  const troubled = []
  for (const e of s.endpoints) {
    const [cls, words] = say.state(e)
    if (cls !== "good") troubled.push([e, cls, words])
  }
  for (const d of h.policy_drift ?? []) {
    if (d.own) found.push([`drift ${d.service}`, "warn", d.service, "≠ this member's policy differs from that of most"])
  }
  const rank = { operator: 0, bad: 1, warn: 2 }
  troubled.sort((a, b) => rank[a[1]] - rank[b[1]])
  if (h.split_suspected) found.push(["split", "bad", "✕ the network may be split", `${say.many(h.missing, "member")} missing; each side decides for itself`])
  if (h.mode !== "coordinated") found.push(["mode", "warn", h.mode === "alone" ? "◇ working alone" : "▲ degraded", h.reason])
  for (const [e, cls, words] of troubled.slice(0, 12)) {
    found.push([key(e.service, e.name), cls, `${e.service} / ${e.name}`, words, cause(e, s, extra)])
  }
  if (troubled.length > 12) found.push(["more", "warn", `and ${troubled.length - 12} more`, "see below"])
  if (found.length === 0) {
    found.push(["none", "good", s.endpoints.length > 0 ? "● nothing is restricted" : "● no endpoint is in use", ""])
  }
  set($("told"), found.map(([, , head]) => head).join(", "))
  sync($("now"), found, () => {
    const li = make("li")
    li.append(make("b"), make("span", "what"), make("span", "cause"))
    return li
  }, (li, [, cls, head, what, cause]) => {
    if (li.className !== cls) li.className = cls
    set(li.children[0], head)
    set(li.children[1], what)
    set(li.children[2], cause ?? "")
  })
}

// cause says who has decided, on what, and how long ago.
function cause(e, s, extra) {
  const o = e.override ?? e.routing
  if (o) return `${o.kind} by ${o.author} until ${say.clock(o.expires)}: ${o.reason}`
  if (e.decided_by === "local") {
    if (e.last?.source === "local" && e.last.state !== "closed") {
      return `decided by this member alone ${say.span(say.since(e.last.at, s.at) + extra)} ago: ${say.why(e.last.evidence) || "its own attempts fail"}`
    }
    return e.own_path_broken ? "only this member fails to reach it; its calls go elsewhere" : ""
  }
  const changed = e.last ? `; last changed ${say.span(say.since(e.last.at, s.at) + extra)} ago` : ""
  return `decided by ${say.decider(e.decided_by, e.evidence)} on evidence ${say.span((e.age ?? 0) + extra)} old: ${say.why(e.evidence)}${changed}`
}

function facts(s, extra) {
  const h = s.health
  pairs($("facts"), [
    ["Mode", h.reason + (h.since ? `, for ${say.span(say.since(h.since, s.at) + extra)}` : "")],
    ["Members", `${h.members}${h.missing > 0 ? `, ${h.missing} missing` : ""}`, h.missing > 0 ? "warn" : ""],
    ["Split", h.split_suspected ? "suspected" : "not suspected", h.split_suspected ? "bad" : ""],
    ["Coverage", say.share(h.coverage), h.coverage < 0.67 ? "warn" : ""],
    ["Verdict age p50 / p99", h.verdict_age_p99 > 0 ? `${say.span(h.verdict_age_p50 + extra)} / ${say.span(h.verdict_age_p99 + extra)}` : "none held", h.verdict_age_p99 > 15e9 ? "warn" : ""],
    ["Verdicts that disagree", String(h.disagree)],
    ["Own pace", h.trust < 1 ? `late by ${say.span(h.tick_delay)}: trusted ${say.share(h.trust)}` : "in time", h.trust < 1 ? "warn" : ""],
  ])
}

function services(s, extra) {
  const by = new Map()
  for (const e of s.endpoints) {
    if (!by.has(e.service)) by.set(e.service, [])
    by.get(e.service).push(e)
  }
  const notes = []
  if (s.endpoints_left_out > 0) notes.push(`${say.many(s.endpoints_left_out, "endpoint")} left out`)
  if (s.history_without > 0) notes.push(`${say.many(s.history_without, "endpoint")} without history`)
  set($("endpoints-note"), notes.join(", "))
  if (by.size === 0) {
    if (!$("services").querySelector("p")) $("services").replaceChildren(make("p", "quiet", "No service is in use."))
    return
  }
  const budgets = new Map(s.budgets.map((b) => [b.service, b]))
  const open = by.size <= 12
  sync($("services"), [...by], (item) => {
    const d = make("details", "service")
    d.open = open
    d.append(make("summary"), make("div", "cards"))
    d.firstChild.append(make("b", "", item[0]), make("span", "quiet"))
    return d
  }, (d, [name, list]) => {
    const bad = list.filter((e) => say.state(e)[0] !== "good").length
    const b = budgets.get(name)
    set(d.firstChild.lastChild, [say.many(list.length, "endpoint"), bad > 0 ? `${bad} not as usual` : "", b ? `${b.tokens.toFixed(1)} retry tokens` : ""].filter(Boolean).join(", "))
    sync(d.lastChild, list.map((e) => [e.name, e]), ([, e]) => card(e), (el, [, e]) => update(el, e, s, extra))
  })
}

function card(e) {
  const el = make("article", "card")
  const head = make("h3", "", e.name)
  const say = make("div", "say")
  const meter = make("div", "meter")
  meter.setAttribute("role", "meter")
  meter.setAttribute("aria-valuemin", 0)
  meter.setAttribute("aria-valuemax", 1)
  meter.setAttribute("aria-label", `share of first tries that ${e.name} is sent`)
  meter.append(make("div"))
  say.append(head, make("p", "badge none"), meter, make("p", "cause"), make("dl"), make("ul", "stewards"))
  const k = key(e.service, e.name)
  const dimmer = new Plot(k, "dimmer", `first tries let through to ${e.name}`)
  const load = new Plot(k, "load", `load of ${e.name}`)
  el.append(say, dimmer.figure, load.figure)
  return el
}

function update(el, e, s, extra) {
  const [, state, meter, text, dl, stewards] = el.firstChild.children
  badge(state, ...say.state(e))
  meter.setAttribute("aria-valuenow", e.phi)
  meter.className = `meter ${e.phi < 0.5 ? "bad" : e.phi < 1 ? "warn" : "good"}`
  meter.firstChild.style.width = `${e.phi * 100}%`
  set(text, cause(e, s, extra) || (e.last ? `since ${say.clock(e.last.at)}` : "as ever since this member started"))
  const of = Math.min(Math.max(s.health.members, 1), 3)
  pairs(dl, [
    ["Let through", say.share(e.phi)],
    ["Decided by", e.decided_by === "local" ? "local rules" : e.decided_by],
    ["Fresh stewards", `${e.fresh} of ${of}`, e.fresh < Math.min(of, 2) ? "warn" : ""],
    ["Takes diverted", say.share(e.spill)],
    ["Own path", e.own_path_broken ? "broken" : "no fault known", e.own_path_broken ? "bad" : ""],
    ["Retries/s", e.load ? say.number(e.load.retries) : "–"],
  ])
  sync(stewards, e.verdicts.map((v) => [v.steward, v]), () => make("li"), (li, [, v]) => {
    const apart = v.fresh && !e.override && (v.phi < 1 !== e.phi < 1 || v.retries !== e.retries)
    set(li, `${apart ? "≠ " : ""}${say.short(v.steward)} says ${say.order(v)}, ${say.span(v.age + extra)} ago${v.fresh ? "" : ": too old to count"}`)
    const cls = !v.fresh ? "quiet" : apart ? "apart" : ""
    if (li.className !== cls) li.className = cls
  })
}

let told = "" // what the log shows

function decisions(s) {
  const filter = $("filter")
  const picked = filter.value
  const services = [...new Set([picked, ...s.endpoints.map((e) => e.service), ...s.decisions.map((d) => d.service)])].filter(Boolean).sort()
  sync(filter, ["", ...services].map((n) => [n]), ([n]) => {
    const o = make("option", "", n || "all")
    o.value = n
    return o
  }, () => {})
  const list = s.decisions.filter((d) => !picked || d.service === picked)
  const version = JSON.stringify([picked, list.length, list[0]?.at, list[0]?.endpoint])
  if (version === told) return
  told = version
  if (!picked) {
    write(list)
    return
  }
  fetch(`api/v1/decisions?service=${encodeURIComponent(picked)}`).then((r) => r.json()).then((all) => {
    if (filter.value === picked) write(all)
  }).catch(() => write(list))
}

// ceased reports whether a decision says no more than that the one before is over.
function ceased(d) {
  return d.source === "local" && d.state === "closed"
}

function write(list) {
  const nth = new Map() // two may be made at one instant
  rows($("decisions"), list.map((d) => {
    const k = JSON.stringify([d.at, d.service, d.endpoint, d.phi, d.retries])
    nth.set(k, (nth.get(k) ?? 0) + 1)
    const age = d.age >= 1e8 ? `, ${say.span(d.age)} old then` : ""
    return [k + nth.get(k), [say.clock(d.at), `${d.service} / ${d.endpoint}`, say.decided(d), (ceased(d) ? "local rules again" : say.decider(d.source, d.evidence)) + age, say.ordered(d) || say.why(d.evidence)],
      d.phi < 0.5 ? "bad" : d.phi < 1 || d.retries !== "all" ? "warn" : "good"]
  }), "None so far.")
}

function rest(s, extra) {
  const h = s.health
  overrides.list(s)
  const apart = h.disagreements ?? []
  rows($("apart"), apart.map((d) => [JSON.stringify([d.service, d.endpoint, d.steward]), [`${d.service} / ${d.endpoint}`, say.short(d.steward), say.order(d.says), say.order(d.in_force)], "warn"]), "Nobody.")
  rows($("drift"), (h.policy_drift ?? []).map((d) => [d.service, [d.service, d.own ? "this member" : say.others(d), d.policy, d.own_policy ?? ""], "warn"]), "None.")
  const n = (x) => x.toFixed(1)
  rows($("budgets"), s.budgets.map((b) => [b.service, [b.service, n(b.tokens), n(b.earned), n(b.minted), n(b.spent), n(b.borrowed), n(b.lent), n(b.burned), String(b.burns), String(b.asked), String(b.short)], b.tokens < 0 ? "warn" : ""]), "No budget takes part in the cluster.")
  set($("members-note"), `${h.members}${s.members_left_out > 0 ? `, ${s.members_left_out} left out` : ""}`)
  rows($("members"), s.members.map((m) => [m.name, [m.name, m.addr, m.zone ?? "", m.self ? "this member" : say.heard(m, s.at, extra), m.self ? say.share(h.trust) : m.trust === undefined ? "–" : say.share(m.trust)], m.self ? "self" : ""]), "None.")
  const counts = {
    "packets not decrypted": h.decrypt_failures, "packets of other clusters": h.label_mismatches, "send errors": h.send_errors,
    "ticks over 100 ms late": h.late_ticks, "ticks lost": h.lost_ticks,
  }
  for (const [k, v] of Object.entries(h.malformed ?? {})) counts[`malformed: ${k}`] = v
  for (const [k, v] of Object.entries(h.dropped ?? {})) counts[`dropped: ${k}`] = v
  for (const [k, v] of Object.entries(h.overrides_refused ?? {})) counts[`overrides refused: ${k}`] = v
  const some = Object.entries(counts).filter(([, v]) => v > 0).map(([k, v]) => [k, v.toLocaleString("en")])
  pairs($("refused"), some.length > 0 ? some : [["nothing", "0"]])
}
