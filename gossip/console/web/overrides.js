// What operators order: the list, and the form where this console may place and end them.

import { make, rowsOf, set } from "./page.js"
import * as say from "./words.js"

const $ = (id) => document.getElementById(id)
const form = $("order")

// list writes the overrides in force, each with a button that ends it where that is possible.
export function list(s) {
  const can = s.writable && s.signs
  rowsOf($("overrides"), s.overrides.map((o) => [o.id, o]), "None in force.", (tr) => {
    for (let i = 0; i < 6; i++) tr.append(make("td"))
    const end = make("button", "", "end it")
    end.type = "button"
    tr.lastChild.append(end)
  }, (tr, [, o]) => {
    const words = [o.kind, say.scope(o), o.author, o.reason, say.clock(o.expires)]
    words.forEach((w, i) => set(tr.children[i], w))
    if (tr.className !== "operator") tr.className = "operator"
    tr.children[2].title = `signed with key ${o.key}`
    const end = tr.lastChild.firstChild
    end.hidden = !can
    end.onclick = () => send({ revoke: o.id, reason: form.reason.value }, "ended")
  })
  form.hidden = !can
  set($("order-note"), can ? "" : s.writable
    ? "This console takes orders that are signed elsewhere, as murmurctl does."
    : "This console is read-only.")
  options(form.service, [...new Set(s.endpoints.map((e) => e.service))])
  const one = form.kind.value === "drain" || form.kind.value === "prefer"
  options(form.endpoint, [...(one ? [] : [""]), ...s.endpoints.filter((e) => e.service === form.service.value).map((e) => e.name)])
  name()
}

function options(select, values) {
  const had = [...select.options].map((o) => o.value)
  if (had.length === values.length && had.every((v, i) => v === values[i])) return
  const picked = select.value
  select.replaceChildren(...values.map((v) => {
    const o = make("option", "", v || "all of the service")
    o.value = v
    return o
  }))
  if (values.includes(picked)) select.value = picked
}

// name has the button say what it does.
function name() {
  const { kind, service, endpoint } = form
  set($("order-send"), `${kind.selectedOptions[0].textContent}: ${say.scope({ service: service.value, endpoint: endpoint.value })}`)
}

async function send(order, done) {
  const told = $("order-told")
  set(told, "…")
  told.className = "quiet"
  const headers = { "Content-Type": "application/json" }
  if (form.token.value) headers.Authorization = `Bearer ${form.token.value}`
  try {
    const r = await fetch("api/v1/overrides", { method: "POST", headers, body: JSON.stringify(order) })
    const answer = await r.json()
    if (!r.ok) throw new Error(answer.error)
    set(told, `${answer.override.kind} of ${say.scope(answer.override)}: ${answer.note || done}`)
    told.className = "good"
  } catch (e) {
    set(told, `✕ ${e.message}`)
    told.className = "bad"
  }
}

form.addEventListener("input", name)
form.addEventListener("submit", (e) => {
  e.preventDefault()
  const { kind, service, endpoint, reason, seconds } = form
  send({
    kind: kind.value, service: service.value, endpoint: endpoint.value,
    reason: reason.value, seconds: Number(seconds.value),
  }, "in force")
})
