// Keeps the page up to date: by a stream of events, or by asking where there is none.

import { badge, show } from "./page.js"
import { draw, extend, fill } from "./plots.js"

const staleAfter = 3500 // ms without a snapshot
const pollEvery = 2000
const streamAgain = 30000 // how long to ask before the stream is tried again

let snapshot = null
let received = -Infinity // when the snapshot came
let source = null
let how = "connecting"
let polling = 0
let again = 0

function take(s) {
  if (snapshot && s.cluster === snapshot.cluster && s.health.name === snapshot.health.name && s.seq < snapshot.seq) return
  snapshot = s
  const before = received
  received = performance.now()
  if (received - before > staleAfter) history()
  extend(s)
  render()
  draw()
}

// history fetches what happened while nobody looked.
async function history() {
  try {
    const r = await fetch("api/v1/history")
    if (!r.ok) return
    fill(await r.json())
    draw()
  } catch { /* the next snapshot tells that something is amiss */ }
}

function render() {
  const late = performance.now() - received
  const stream = document.getElementById("stream")
  if (!snapshot) {
    badge(stream, "none", how)
    return
  }
  if (how === "paused") badge(stream, "none", "❚❚ paused")
  else if (late > staleAfter) badge(stream, "bad", `✕ stale: ${Math.round(late / 1000)} s old`)
  else badge(stream, how === "live" ? "good" : "warn", how === "live" ? "● live" : "◌ polling")
  document.body.classList.toggle("stale", late > staleAfter && how !== "paused")
  show(snapshot, late > staleAfter ? late * 1e6 : 0)
}

function listen() {
  stop()
  how = snapshot ? how : "connecting"
  source = new EventSource("api/v1/stream")
  source.addEventListener("snapshot", (e) => {
    how = "live"
    take(JSON.parse(e.data))
  })
  source.onerror = () => {
    if (source?.readyState === EventSource.CLOSED) poll() // turned away; a lost connection mends itself
  }
}

function poll() {
  stop()
  again = setTimeout(listen, streamAgain)
  const ask = async () => {
    try {
      const r = await fetch("api/v1/snapshot")
      if (!r.ok || polling === 0) return
      how = "polling"
      take(await r.json())
    } catch { /* render tells how old the last one is */ }
  }
  polling = setInterval(ask, pollEvery)
  ask()
}

function stop() {
  source?.close()
  source = null
  clearInterval(polling)
  clearTimeout(again)
  polling = 0
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stop()
    how = "paused"
    render()
  } else {
    listen()
  }
})

setInterval(render, 1000)
if (!document.hidden) listen()
