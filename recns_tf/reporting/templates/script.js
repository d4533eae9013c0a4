for (const legend of document.querySelectorAll(".legend")) {
  const buttons = [...legend.querySelectorAll("button")];
  const lines = legend.parentElement.querySelectorAll(".line");
  const show = () => {
    const on = buttons.filter(b => b.getAttribute("aria-pressed") === "true")
      .map(b => b.dataset.line);
    for (const line of lines)
      line.classList.toggle("dimmed", on.length > 0 && !on.includes(line.dataset.line));
  };
  for (const button of buttons) button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    show();
  });
}
