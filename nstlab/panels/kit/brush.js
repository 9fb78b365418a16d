// How much of a pixel at (x, y) a round brush drawn from a to b covers: all within its radius, fading over the outer softness.
function coverage(x, y, a, b, radius, softness) {
  const dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy
  const along = length ? clamp(((x - a.x) * dx + (y - a.y) * dy) / length, 0, 1) : 0
  const distance = Math.hypot(x - a.x - along * dx, y - a.y - along * dy)
  return clamp((radius - distance) / Math.max(softness * radius, 1), 0, 1)
}

// A mask of bytes and the stroke that is under way; a stroke covers a place once, however often it passes.
class Mask {
  constructor(width, height, values) {
    Object.assign(this, { width, height, values: values ?? new Uint8ClampedArray(width * height) })
  }

  static async read(bytes, width, height) {
    if (!bytes?.byteLength) return new Mask(width, height)
    const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" })
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true })
    context.fillRect(0, 0, bitmap.width, bitmap.height)
    context.drawImage(bitmap, 0, 0)
    const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data
    return new Mask(bitmap.width, bitmap.height, new Uint8ClampedArray(bitmap.width * bitmap.height).map((_, i) => pixels[4 * i]))
  }

  async write() {
    const canvas = new OffscreenCanvas(this.width, this.height), context = canvas.getContext("2d")
    const drawn = context.createImageData(this.width, this.height), pixels = new Uint32Array(drawn.data.buffer)
    this.values.forEach((value, i) => { pixels[i] = 0xff000000 | (value * 0x010101) }) // grey and opaque
    context.putImageData(drawn, 0, 0)
    return new DataView(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer())
  }

  begin(value, radius, softness) {
    this.stroke = { value, radius: Math.max(radius, 0.75), softness, at: null,
      before: this.values.slice(), cover: new Float32Array(this.values.length) }
  }

  // Draws the brush on to a place, in pixels; returns the rectangle that may have changed.
  lineTo(x, y) {
    const { value, radius, softness, before, cover } = this.stroke
    const to = { x: x - 0.5, y: y - 0.5 }, from = this.stroke.at ?? to // a pixel's centre lies half a pixel from its corner
    this.stroke.at = to
    const left = clamp(Math.floor(Math.min(from.x, to.x) - radius), 0, this.width)
    const top = clamp(Math.floor(Math.min(from.y, to.y) - radius), 0, this.height)
    const right = clamp(Math.ceil(Math.max(from.x, to.x) + radius) + 1, 0, this.width)
    const bottom = clamp(Math.ceil(Math.max(from.y, to.y) + radius) + 1, 0, this.height)
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const i = row * this.width + column, covered = coverage(column, row, from, to, radius, softness)
        if (covered <= cover[i]) continue
        cover[i] = covered
        this.values[i] = before[i] + (value - before[i]) * covered
      }
    }
    return [left, top, right - left, bottom - top]
  }

  end(keep) {
    if (!keep) this.values = this.stroke.before
    this.stroke = null
  }

  share() {
    return this.values.reduce((sum, value) => sum + value, 0) / 255 / Math.max(1, this.values.length)
  }
}

function render({ model, el }) {
  const words = () => model.get("words")
  const tools = ["mark", "erase"].map(tool => make("button", { type: "button", class: `nst-button nst-${tool}`, "data-tool": tool }))
  const group = make("div", { class: "nst-group", role: "group" }, ...tools)
  const size = make("input", { type: "range", min: "2" }), amount = make("output", { class: "nst-amount" }), name = make("span")
  const undo = make("button", { type: "button", class: "nst-button nst-undo" })
  const bar = make("div", { class: "nst-bar" }, group, make("label", { class: "nst-field" }, name, size, amount), undo)
  const picture = make("img", { draggable: "false" }), canvas = make("canvas")
  const ring = make("div", { class: "nst-ring", hidden: true })
  const surface = make("div", { class: "nst-surface", role: "application", tabindex: "0" },
    picture, canvas, ring)
  const status = make("p", { class: "nst-quiet nst-share" }), spoken = make("p", { class: "nst-hidden", role: "status" })
  dress(el)
  el.append(bar, surface, status, spoken)
  const context = canvas.getContext("2d")
  let mask = new Mask(1, 1), sent = null, held = null, at = { x: 0.5, y: 0.5 }, down = false, sending = Promise.resolve()

  const color = () => [1, 3, 5].map(i => parseInt(model.get("color").slice(i, i + 2), 16))
  const scale = () => mask.width / (picture.naturalWidth || mask.width)

  function draw([left, top, width, height] = [0, 0, mask.width, mask.height]) {
    if (width <= 0 || height <= 0) return
    const part = context.createImageData(width, height), [red, green, blue] = color()
    for (let row = 0, i = 0; row < height; row++) {
      for (let column = 0; column < width; column++, i += 4) {
        part.data.set([red, green, blue, 0.55 * mask.values[(top + row) * mask.width + left + column]], i)
      }
    }
    context.putImageData(part, left, top)
  }

  function tell() {
    status.textContent = `${say(words().marked, { percent: (100 * mask.share()).toFixed(1) })} ${words().help}`
    surface.dataset.share = (100 * mask.share()).toFixed(2)
  }

  // The ring shows where the brush is and how large.
  function point() {
    const across = (100 * model.get("size")) / (picture.naturalWidth || 1)
    Object.assign(ring.style, { left: `${100 * at.x}%`, top: `${100 * at.y}%`, width: `${across}%` })
    ring.classList.toggle("nst-down", down || held !== null)
  }

  async function load() {
    const bytes = model.get("mask")
    if (bytes === sent && sent !== null) return
    const read = await Mask.read(bytes, picture.naturalWidth || 1, picture.naturalHeight || 1)
    if (bytes !== model.get("mask")) return
    mask = read
    held = null
    down = false
    Object.assign(canvas, { width: mask.width, height: mask.height })
    draw()
    tell()
    point()
  }

  function lower() {
    mask.begin(model.get("tool") === "mark" ? 255 : 0, (model.get("size") / 2) * scale(), model.get("softness"))
  }

  function go(to) {
    at = { x: clamp(to.x, 0, 1), y: clamp(to.y, 0, 1) }
    if (mask.stroke) draw(mask.lineTo(to.x * mask.width, to.y * mask.height))
    point()
  }

  function lift(keep = true) {
    held = null
    down = false
    if (mask.stroke) {
      mask.end(keep)
      if (keep) keep_mask(mask)
      else draw()
    }
    tell()
    point()
  }

  // One after the other, so that the last stroke is what stays.
  function keep_mask(now) {
    const copy = new Mask(now.width, now.height, now.values.slice())
    sending = sending.then(() => copy.write()).then(bytes => {
      if (mask !== now) return // another mask has come meanwhile
      sent = bytes
      model.set("mask", bytes)
      model.save_changes()
    })
  }

  const set = (trait, value) => { model.set(trait, value); model.save_changes() }
  const resize = by => set("size", clamp(model.get("size") + by, 2, model.get("largest")))
  const ask_undo = () => { if (mask.stroke) lift(false); else sending.then(() => model.send({ kind: "undo" })) }
  const place = event => {
    const box = canvas.getBoundingClientRect()
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height }
  }

  surface.addEventListener("pointerdown", event => {
    if (model.get("disabled") || event.button) return
    if (held !== null) return lift(false) // a second finger: this is no stroke
    if (down) lift()
    held = event.pointerId
    surface.setPointerCapture(held)
    surface.focus({ preventScroll: true })
    lower()
    go(place(event))
    event.preventDefault()
  })
  surface.addEventListener("pointermove", event => {
    ring.hidden = event.pointerType === "touch" && held === null
    if (event.pointerId === held) for (const each of event.getCoalescedEvents?.() ?? [event]) go(place(each))
    else if (held === null && !down) go(place(event))
  })
  surface.addEventListener("pointerup", event => { if (event.pointerId === held) { go(place(event)); lift() } })
  surface.addEventListener("pointercancel", event => { if (event.pointerId === held) lift(false) })
  surface.addEventListener("pointerleave", () => { ring.hidden = document.activeElement !== surface })
  surface.addEventListener("focus", () => { ring.hidden = false; point() })
  surface.addEventListener("blur", () => { ring.hidden = true; if (down) lift() })
  surface.addEventListener("keydown", event => {
    if (model.get("disabled") || event.altKey) return
    const control = event.ctrlKey || event.metaKey, key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    const far = event.shiftKey ? 0.1 : 0.02, square = canvas.width / canvas.height
    const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far * square], ArrowDown: [0, far * square] }
    if (control && key === "z") ask_undo()
    else if (control) {
      if (event.key === "Control" || event.key === "Meta") event.stopPropagation() // the host is not to take Ctrl+Z
      return
    }
    else if (key in moves) go({ x: clamp(at.x + moves[key][0], 0, 1), y: clamp(at.y + moves[key][1], 0, 1) })
    else if (key === " ") {
      if (event.repeat) { event.preventDefault(); return }
      if (down) lift()
      else { down = true; lower(); go(at) }
      spoken.textContent = down ? words().down : words().up
    } else if (key === "Escape" && mask.stroke) lift(false)
    else if (key === "e") set("tool", model.get("tool") === "mark" ? "erase" : "mark")
    else if (key === "[" || key === "]") resize(key === "]" ? 4 : -4)
    else return
    event.preventDefault()
    event.stopPropagation()
  })
  for (const button of tools) button.addEventListener("click", () => set("tool", button.dataset.tool))
  size.addEventListener("input", () => set("size", Number(size.value)))
  undo.addEventListener("click", ask_undo)

  function fit() {
    const { naturalWidth: width, naturalHeight: height } = picture
    if (!width) return
    surface.style.aspectRatio = `${width} / ${height}`
    surface.style.width = `${Math.round(model.get("long_side") * Math.min(1, width / height))}px`
  }
  picture.addEventListener("load", () => { fit(); sent = null; load() })

  const endings = [
    watch(model, ["picture"], () => show(picture, model.get("picture"))),
    watch(model, ["mask"], load),
    watch(model, ["long_side"], fit),
    watch(model, ["size", "largest", "tool", "alt", "words", "disabled", "can_undo", "color"], () => {
      tools.forEach(button => {
        button.textContent = words()[button.dataset.tool]
        button.setAttribute("aria-pressed", String(button.dataset.tool === model.get("tool")))
        button.disabled = model.get("disabled")
      })
      group.setAttribute("aria-label", words().tool)
      name.textContent = words().size
      size.max = model.get("largest")
      size.value = model.get("size")
      amount.textContent = say(words().pixels, { size: model.get("size") })
      undo.textContent = words().undo
      size.disabled = model.get("disabled")
      undo.disabled = model.get("disabled") || !model.get("can_undo")
      picture.alt = model.get("alt")
      surface.setAttribute("aria-label", [model.get("alt"), words().surface, words().help].filter(Boolean).join(". "))
      surface.setAttribute("aria-disabled", String(model.get("disabled")))
      point()
    }),
  ]
  return () => { endings.forEach(end => end()); forget(picture) }
}

export default { render }
