function render({ model, el }) {
  const image = make("img")
  dress(el, "nst-picture")
  el.append(image)
  const endings = [
    watch(model, ["value"], () => {
      show(image, model.get("value"))
      image.hidden = !model.get("value").byteLength
    }),
    watch(model, ["alt", "width"], () => {
      image.alt = model.get("alt")
      image.style.width = model.get("width") ? `${model.get("width")}px` : ""
    }),
  ]
  return () => { endings.forEach(end => end()); forget(image) }
}

export default { render }
