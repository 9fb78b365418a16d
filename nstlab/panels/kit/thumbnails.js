function render({ model, el }) {
  const grid = make("div", { class: "nst-thumbs", role: "listbox" })
  const empty = make("p", { class: "nst-quiet" })
  dress(el)
  el.append(grid, empty)
  let options = []

  const chosen = () => [model.get("chosen")].flat()

  function choose(name) {
    if (model.get("disabled")) return
    if (!model.get("multiple")) model.set("chosen", name)
    else {
      const most = model.get("most")
      const rest = chosen().filter(other => other !== name)
      const next = rest.length < chosen().length ? rest : [...rest, name]
      model.set("chosen", most ? next.slice(-most) : next)
    }
    model.save_changes()
  }

  // One option can be reached by Tab: the one that has the focus, else the first that is chosen, else the first.
  function rove(to) {
    const at = to ?? options.find(option => option === document.activeElement)
      ?? options.find(option => option.getAttribute("aria-selected") === "true") ?? options[0]
    for (const option of options) option.tabIndex = option === at ? 0 : -1
    return at
  }

  function mark() {
    const now = chosen()
    for (const option of options) {
      const place = now.indexOf(option.dataset.name)
      option.setAttribute("aria-selected", String(place >= 0))
      option.querySelector(".nst-check").textContent = model.get("multiple") && model.get("most") !== 1 && place >= 0 ? place + 1 : "✓"
    }
    rove()
  }

  function make_option(item) {
    const title = item.title || item.name
    const image = make("img", { alt: item.alt && item.alt !== title ? item.alt : "", draggable: "false" })
    show(image, item.picture)
    const check = make("span", { class: "nst-check", "aria-hidden": "true" })
    const option = make("div", { class: "nst-thumb", role: "option", tabindex: "-1", "data-name": item.name }, image, check, make("span", { class: "nst-thumb-title" }, title))
    option.title = title
    return option
  }

  function build() {
    const focused = document.activeElement?.closest?.(".nst-thumb")
    const name = options.includes(focused) ? focused.dataset.name : null
    forget(...grid.querySelectorAll("img"))
    options = model.get("items").map(make_option)
    grid.replaceChildren(...options)
    grid.hidden = !options.length
    empty.hidden = options.length > 0
    mark()
    if (name !== null) rove(options.find(option => option.dataset.name === name))?.focus()
  }

  const columns = () => {
    const below = options.findIndex(option => option.offsetTop > options[0].offsetTop)
    return below < 0 ? options.length : below
  }

  grid.addEventListener("click", event => {
    const option = event.target.closest(".nst-thumb")
    if (!option) return
    rove(option).focus({ preventScroll: true })
    choose(option.dataset.name)
  })
  grid.addEventListener("keydown", event => {
    const at = options.indexOf(event.target)
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns(), ArrowDown: at + columns(), Home: 0, End: options.length - 1 }
    if (event.key === " " || event.key === "Enter") choose(options[at].dataset.name)
    else if (event.key in moves) { if (options[moves[event.key]]) rove(options[moves[event.key]]).focus() }
    else return
    event.preventDefault()
    event.stopPropagation()
  })

  const endings = [
    watch(model, ["items"], build),
    watch(model, ["chosen"], mark),
    watch(model, ["label", "multiple", "side", "disabled", "words"], () => {
      grid.setAttribute("aria-label", model.get("label"))
      grid.setAttribute("aria-multiselectable", String(model.get("multiple")))
      grid.setAttribute("aria-disabled", String(model.get("disabled")))
      grid.style.setProperty("--nst-thumb", `${model.get("side")}px`)
      empty.textContent = model.get("words").empty
    }),
  ]
  return () => { endings.forEach(end => end()); forget(...grid.querySelectorAll("img")) }
}

export default { render }
