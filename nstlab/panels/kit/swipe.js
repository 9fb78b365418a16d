const STEPS = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }

function render({ model, el }) {
  const images = [make("img", { class: "nst-before", draggable: "false" }), make("img", { class: "nst-after", draggable: "false" })]
  const tags = [make("span", { class: "nst-tag" }), make("span", { class: "nst-tag nst-tag-right" })]
  const layers = images.map((image, side) => make("div", { class: "nst-layer" }, image, tags[side]))
  const line = make("div", { class: "nst-line", role: "slider", tabindex: "0", "aria-orientation": "horizontal",
    "aria-valuemin": "0", "aria-valuemax": "100" }, make("span", { class: "nst-grip" }))
  const frame = make("div", { class: "nst-swipe-frame" }, ...layers, line)
  dress(el)
  el.append(frame)

  const pair = () => model.get("after").byteLength > 0
  const names = () => ({ before: model.get("tags")[0], after: model.get("tags")[1] })
  let at = model.get("position")

  function place() {
    const percent = Math.round(1000 * at) / 10
    line.hidden = !pair()
    layers[1].hidden = !pair()
    tags.forEach(tag => { tag.hidden = !pair() })
    layers[0].style.clipPath = pair() ? `inset(0 ${100 - percent}% 0 0)` : "none"
    layers[1].style.clipPath = `inset(0 0 0 ${percent}%)`
    line.style.left = `${percent}%`
    const words = model.get("words")
    line.setAttribute("aria-valuenow", Math.round(percent))
    line.setAttribute("aria-valuetext", say(words.share, { percent: Math.round(percent), ...names() }))
    line.setAttribute("aria-label", say(words.line, names()))
  }

  function move(to, done) {
    at = clamp(to, 0, 1)
    place()
    if (done) {
      model.set("position", at)
      model.save_changes()
    }
  }

  // As wide as the long side allows, whatever the proportions.
  function fit() {
    const { naturalWidth: width, naturalHeight: height } = images[0]
    if (!width) return
    frame.style.aspectRatio = `${width} / ${height}`
    frame.style.width = `${Math.round(model.get("long_side") * Math.min(1, width / height))}px`
  }

  images[0].addEventListener("load", fit)
  const share = event => {
    const box = frame.getBoundingClientRect()
    return (event.clientX - box.left) / box.width
  }
  let held = null
  frame.addEventListener("pointerdown", event => {
    if (!pair() || model.get("disabled") || held !== null || event.button) return
    held = event.pointerId
    frame.setPointerCapture(held)
    move(share(event))
    line.focus({ preventScroll: true })
    event.preventDefault()
  })
  frame.addEventListener("pointermove", event => { if (event.pointerId === held) move(share(event)) })
  for (const ending of ["pointerup", "pointercancel"]) {
    frame.addEventListener(ending, event => {
      if (event.pointerId !== held) return
      held = null
      move(at, true)
    })
  }
  line.addEventListener("keydown", event => {
    if (!(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey || model.get("disabled")) return
    event.preventDefault()
    event.stopPropagation()
    move(at + STEPS[event.key] * (event.shiftKey ? 5 : 1), true)
  })

  const endings = [
    watch(model, ["before"], () => show(images[0], model.get("before"))),
    watch(model, ["after"], () => { show(images[1], model.get("after")); place() }),
    watch(model, ["position"], () => { if (held === null) { at = model.get("position"); place() } }),
    watch(model, ["long_side"], fit),
    watch(model, ["alt", "tags", "words", "disabled"], () => {
      images.forEach((image, side) => { image.alt = model.get("alt")[side]; tags[side].textContent = model.get("tags")[side] })
      line.setAttribute("aria-disabled", String(model.get("disabled")))
      place()
    }),
  ]
  return () => { endings.forEach(end => end()); forget(...images) }
}

export default { render }
