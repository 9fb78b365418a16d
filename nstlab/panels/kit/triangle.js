const WIDTH = 340, HEIGHT = 310
const CORNERS = [[170, 89], [78, 248], [262, 248]] // where one picture has it all
const PLACES = [[170, 38], [38, 272], [302, 272]] // the middles of the pictures beside their corners
const SIDE = 64 // of a picture, at most

const draw = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return node
}
const place = blend => [0, 1].map(i => blend.reduce((sum, share, corner) => sum + share * CORNERS[corner][i], 0))

// The shares of a place; outside the triangle, those of the nearest place on its edge.
function shares([x, y]) {
  const [[ax, ay], [bx, by], [cx, cy]] = CORNERS
  const whole = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
  const b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / whole
  const c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / whole
  const found = [1 - b - c, b, c]
  if (Math.min(...found) >= 0) return found
  const edges = [0, 1, 2].map(corner => {
    const from = (corner + 1) % 3, to = (corner + 2) % 3
    const [dx, dy] = [CORNERS[to][0] - CORNERS[from][0], CORNERS[to][1] - CORNERS[from][1]]
    const along = clamp(((x - CORNERS[from][0]) * dx + (y - CORNERS[from][1]) * dy) / (dx * dx + dy * dy), 0, 1)
    const blend = [0, 0, 0]
    blend[from] = 1 - along
    blend[to] = along
    return blend
  })
  const far = blend => Math.hypot(place(blend)[0] - x, place(blend)[1] - y)
  return edges.reduce((best, edge) => far(edge) < far(best) ? edge : best)
}

function render({ model, el }) {
  const board = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "nst-board", role: "img" })
  const corners = draw("g", {}), dots = draw("g", {}), point = draw("circle", { class: "nst-point", r: 9 })
  board.append(draw("polygon", { class: "nst-field-of-blends", points: CORNERS.map(corner => corner.join(",")).join(" ") }))
  board.append(corners, dots, point)
  dress(el)
  el.append(board)
  let blend = model.get("blend"), held = null, waiting = false

  function move(event) {
    const box = board.getBoundingClientRect()
    blend = shares([((event.clientX - box.left) * WIDTH) / box.width, ((event.clientY - box.top) * HEIGHT) / box.height])
    mark()
    if (waiting) return
    waiting = true // once a frame is enough
    requestAnimationFrame(() => { waiting = false; send() })
  }
  function send() {
    model.set("blend", blend)
    model.save_changes()
  }
  function mark() {
    const [x, y] = place(blend)
    point.setAttribute("cx", x)
    point.setAttribute("cy", y)
  }

  board.addEventListener("pointerdown", event => {
    if (model.get("disabled") || held !== null || event.button) return
    held = event.pointerId
    board.setPointerCapture(held)
    move(event)
    event.preventDefault()
  })
  board.addEventListener("pointermove", event => { if (event.pointerId === held) move(event) })
  for (const ending of ["pointerup", "pointercancel"]) {
    board.addEventListener(ending, event => { if (event.pointerId === held) { held = null; send() } })
  }

  let addresses = []
  const release = () => addresses.forEach(address => URL.revokeObjectURL(address))
  function hang() {
    release()
    addresses = model.get("pictures").map(picture => URL.createObjectURL(new Blob([picture])))
    const frames = addresses.flatMap((address, i) => {
      const [x, y] = PLACES[i], image = draw("image", { href: address })
      const frame = draw("rect", { fill: model.get("colors")[i] })
      const loaded = new Image()
      loaded.onload = () => {
        const scale = SIDE / Math.max(loaded.naturalWidth, loaded.naturalHeight)
        const width = loaded.naturalWidth * scale, height = loaded.naturalHeight * scale
        for (const [node, more] of [[image, 0], [frame, 3]]) {
          node.setAttribute("x", x - width / 2 - more)
          node.setAttribute("y", y - height / 2 - more)
          node.setAttribute("width", width + 2 * more)
          node.setAttribute("height", height + 2 * more)
        }
      }
      loaded.src = address
      return [frame, image]
    })
    corners.replaceChildren(...frames)
  }

  const endings = [
    watch(model, ["pictures", "colors"], hang),
    watch(model, ["blend"], () => { if (held === null) { blend = model.get("blend"); mark() } }),
    watch(model, ["dots"], () => dots.replaceChildren(...model.get("dots").map(([a, b, c, full]) => {
      const [cx, cy] = place([a, b, c])
      return draw("circle", { class: full ? "nst-dot nst-full" : "nst-dot", cx, cy, r: 4 })
    }))),
    watch(model, ["alt"], () => board.setAttribute("aria-label", model.get("alt"))),
  ]
  return () => { endings.forEach(end => end()); release() }
}

export default { render }
