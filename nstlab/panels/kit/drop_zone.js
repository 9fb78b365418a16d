const PIECE = 1 << 20 // bytes of a message: servers end a connection that sends 10 MiB at once

// Whether a file is of one of these kinds, as the accept attribute of an input lists them.
function taken(file, accept) {
  const kinds = accept.split(",").map(kind => kind.trim().toLowerCase()).filter(Boolean)
  const name = file.name.toLowerCase()
  const fits = kind => kind.startsWith(".") ? name.endsWith(kind)
    : kind.endsWith("/*") ? file.type.startsWith(kind.slice(0, -1)) : file.type === kind
  return !kinds.length || !file.type || kinds.some(fits) // the receiver knows better what a file without a type is
}

function render({ model, el }) {
  const input = make("input", { type: "file", class: "nst-file" })
  const title = make("span", { class: "nst-drop-title" })
  const hint = make("span", { class: "nst-quiet" })
  const zone = make("label", { class: "nst-drop" }, input, title, hint)
  const status = make("p", { class: "nst-drop-status", role: "status" })
  dress(el)
  const root = make("div", {}, zone, status)
  el.append(root)
  let busy = false

  const words = () => model.get("words")
  const tell = text => { status.textContent = text }
  const refuse = text => { model.set("message", text); model.save_changes(); tell(text) }
  const megabytes = bytes => bytes < 1e7 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6)

  function wrong(files) {
    const limit = model.get("limit_mb"), most = model.get("multiple") ? model.get("most") : 1
    if (files.length > most) return say(words().many, { count: files.length, most })
    const large = files.find(file => file.size > limit * 1e6)
    if (large) return say(words().large, { name: large.name, size: megabytes(large.size), limit })
    const odd = files.find(file => !taken(file, model.get("accept")))
    return odd ? say(words().kind, { name: odd.name, accept: model.get("accept") }) : ""
  }

  async function send(files) {
    if (!files.length || busy || model.get("disabled")) return
    const bad = wrong(files)
    if (bad) return refuse(bad)
    busy = true
    const batch = crypto.getRandomValues(new Uint32Array(2)).join("-")
    let name = files[0].name
    try {
      model.send({ kind: "start", batch, files: files.map(file => ({ name: file.name, size: file.size })) })
      for (const [number, file] of files.entries()) {
        name = file.name
        for (let from = 0; from < file.size; from += PIECE) {
          tell(say(words().sending, { name, percent: Math.round((100 * from) / file.size) }))
          const piece = await file.slice(from, from + PIECE).arrayBuffer()
          model.send({ kind: "piece", batch, file: number }, undefined, [piece])
        }
      }
      tell(say(words().sending, { name, percent: 100 }))
      model.send({ kind: "end", batch })
    } catch {
      model.send({ kind: "lost", batch })
      refuse(say(words().unreadable, { name }))
    } finally {
      busy = false
    }
  }

  input.addEventListener("change", async () => {
    await send([...input.files])
    input.value = "" // so that the same file may come again
  })
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, event => {
      event.preventDefault()
      event.stopPropagation()
      zone.classList.toggle("nst-over", name === "dragenter" || name === "dragover")
      if (name === "drop") send([...event.dataTransfer.files])
    })
  }

  function said(content) {
    if (content.kind === "heard") tell(model.get("message"))
  }
  model.on("msg:custom", said)
  const endings = [
    watch(model, ["message"], () => tell(model.get("message"))),
    watch(model, ["label", "limit_mb", "accept", "multiple", "compact", "disabled", "words"], () => {
      root.classList.toggle("nst-compact", model.get("compact"))
      title.textContent = model.get("label")
      hint.textContent = say(model.get("multiple") ? words().hint : words().hint_one, { limit: model.get("limit_mb") })
      input.accept = model.get("accept")
      input.multiple = model.get("multiple")
      input.disabled = model.get("disabled")
      zone.classList.toggle("nst-disabled", model.get("disabled"))
    }),
  ]
  return () => { endings.forEach(end => end()); model.off("msg:custom", said) }
}

export default { render }
