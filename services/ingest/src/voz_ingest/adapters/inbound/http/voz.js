/* Voz: docs/sources/web.md, Apache-2.0 */
(() => {
  const script = document.currentScript, data = script.dataset, nav = navigator
  if (window.voz || nav.doNotTrack === "1" || window.doNotTrack === "1" || nav.globalPrivacyControl) return
  const endpoint = `${new URL(script.src).origin}/v1/webhooks/${data.connection}?secret=${encodeURIComponent(data.key)}`
  const store = { session: "sessionStorage", always: "localStorage" }[data.remember || "session"]
  const random = () => crypto.getRandomValues(new Uint32Array(3)).join("-")
  const remembered = () => {
    try {
      return window[store].voz || (window[store].voz = random())
    } catch { return random() }
  }
  const visitor = remembered(), open = new Map(), clicks = []
  let queue = [], user, page, changed = 0

  const flush = () => {
    while (queue.length) {
      const events = queue.slice(0, 20)
      if (!nav.sendBeacon(endpoint, JSON.stringify({ visitor, user, events }))) return
      queue = queue.slice(events.length)
    }
  }
  const clean = url => url.split(/[?#]/)[0].slice(0, 2000)
  const add = (type, more) => {
    const viewport = { width: innerWidth, height: innerHeight }
    queue.push({ id: random(), type, url: clean(location.href), at: Date.now(), viewport, ...more })
    if (queue.length > 200) queue.shift()
    if (queue.length > 19) flush()
  }
  const name = element => {
    const parts = []
    for (let e = element; e && e.localName && parts.length < 3; e = e.parentElement) {
      parts.unshift(e.localName + (e.id ? "#" + e.id : e.classList[0] ? "." + e.classList[0] : ""))
      if (e.id) break
    }
    return parts.join(">").slice(0, 300)
  }
  const view = () => {
    if (page === location.pathname) return
    page = location.pathname
    add("page_view", { title: document.title, referrer: clean(document.referrer) })
  }
  const alive = () => { changed = performance.now() }
  const on = (target, type, listen) => target.addEventListener(type, listen, { capture: true, passive: true })

  on(document, "click", event => {
    const target = event.target, now = performance.now()
    const at = { element: name(target), x: event.clientX, y: event.clientY }
    add("click", at)
    clicks.push({ now, ...at })
    const near = clicks.filter(c => now - c.now < 1000 && Math.hypot(c.x - at.x, c.y - at.y) < 30)
    if (near.length > 2) {
      add("rage_click", at)
      clicks.length = 0
    } else if (clicks.length > 9) clicks.shift()
    if (near.length < 2 && target.closest("a,button,[type=button],[type=submit],[role=button],[onclick]"))
      setTimeout(() => changed < now && add("dead_click", at), 1000)
  })
  for (const type of ["scroll", "input", "submit", "popstate", "pagehide", "blur"]) on(window, type, alive)
  new MutationObserver(alive).observe(document, { subtree: true, childList: true, attributes: true, characterData: true })

  on(document, "input", ({ target }) => target.form && open.set(target.form, name(target)))
  on(document, "submit", ({ target }) => open.delete(target))
  on(window, "error", e => e.message && add("error", { message: String(e.message).slice(0, 500), element: `${clean(e.filename || "")}:${e.lineno}` }))
  on(window, "unhandledrejection", e => add("error", { message: String(e.reason?.message || e.reason).slice(0, 500) }))
  const leave = () => {
    for (const [form, field] of open) add("form_abandoned", { element: name(form), field })
    open.clear()
    flush()
  }
  on(window, "pagehide", leave)
  on(document, "visibilitychange", () => document.visibilityState === "hidden" && flush())
  for (const method of ["pushState", "replaceState"]) {
    const original = history[method]
    history[method] = function (...rest) {
      original.apply(this, rest)
      alive()
      view()
    }
  }
  on(window, "popstate", view)
  setInterval(flush, 5000)
  window.voz = {
    identify: (id, hash) => {
      user = { id, hash }
      add("identify")
    },
    track: (type, more) => add(type, more),
  }
  view()
})()
