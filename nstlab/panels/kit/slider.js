function render({ model, el }) {
  const name = make("span"), amount = make("output")
  const input = make("input", { type: "range" })
  dress(el, "nst-slider")
  el.append(make("label", { class: "nst-slide" }, name, input, amount))

  // A slider has either labels to choose from or numbers.
  const labels = () => model.get("labels")
  const trait = () => labels() ? "index" : "value"
  const log = () => !labels() && model.get("log")
  const there = () => log() ? 10 ** Number(input.value) : Number(input.value)
  let held = false

  function text(value) {
    if (labels()) return labels()[value] ?? ""
    if (model.get("readout") === "none") return ""
    if (model.get("readout") === "percent") return `${Math.round(100 * value)} %`
    const places = log() ? 3 : clamp(Math.ceil(-Math.log10(model.get("step"))), 0, 6)
    return log() ? String(Number(value.toPrecision(places))) : value.toFixed(places)
  }

  function tell(value) {
    amount.textContent = text(value)
    input.setAttribute("aria-valuetext", text(value) || String(Number(value.toPrecision(3))))
  }

  function put() {
    const value = model.get(trait())
    if (labels()) Object.assign(input, { min: 0, max: labels().length - 1, step: 1 })
    else Object.assign(input, { min: model.get("min"), max: model.get("max"), step: model.get("step") })
    if (held) return
    input.value = log() ? Math.log10(value) : value
    tell(value)
  }

  function send() {
    model.set(trait(), there())
    model.save_changes()
  }

  input.addEventListener("input", () => {
    held = true
    tell(there())
    if (model.get("continuous")) send()
  })
  input.addEventListener("change", () => { held = false; send() })

  const traits = labels() ? ["index", "labels"] : ["value", "min", "max", "step", "log", "readout"]
  const endings = [
    watch(model, traits, put),
    watch(model, ["label", "label_width", "color", "disabled", "hint"], () => {
      name.textContent = model.get("label")
      input.setAttribute("aria-label", model.get("label"))
      input.disabled = model.get("disabled")
      el.title = model.get("hint")
      el.style.setProperty("--nst-name", `${model.get("label_width")}px`)
      if (model.get("color")) el.style.setProperty("--nst-color", model.get("color"))
    }),
  ]
  return () => endings.forEach(end => end())
}

export default { render }
