// What every control of the kit uses.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value)
  }
  node.append(...children)
  return node
}

// Gives an element the look of the kit, and keys pressed in it to the control: JupyterLab would take arrows for its cells.
// It keeps those with Ctrl or Alt, as Ctrl+S, but for Ctrl+Z. The attribute counts only where the focus is or below, and some
// versions look at it before the element hears of the key.
function dress(el, ...classes) {
  el.classList.add("nst-kit", ...classes)
  const claim = event => {
    const theirs = (event.ctrlKey || event.metaKey || event.altKey) && event.key.toLowerCase() !== "z"
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !theirs)
  }
  el.addEventListener("focusin", () => window.addEventListener("keydown", claim, true))
  el.addEventListener("focusout", () => window.removeEventListener("keydown", claim, true))
}

// A sentence with its {values} filled in.
function say(sentence, values = {}) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole)
}

// Calls act() now and whenever one of these traits changes; returns a function that ends it.
function watch(model, names, act) {
  for (const name of names) model.on(`change:${name}`, act)
  act()
  return () => names.forEach(name => model.off(`change:${name}`, act))
}

// Lets an image element show the bytes of a file, a data URL, or nothing.
function show(image, picture) {
  const before = image.src
  if (typeof picture === "string" && picture.startsWith("data:image/")) image.src = picture
  else if (picture?.byteLength) image.src = URL.createObjectURL(new Blob([picture]))
  else image.removeAttribute("src")
  if (before.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(before), 2000) // it may be loading still
}

function forget(...images) {
  for (const image of images) if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src)
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
