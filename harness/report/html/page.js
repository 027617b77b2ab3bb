"use strict";
// Beside what works without: commands are copied, wide tables take the focus, claims of one status are shown alone.
for (const button of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}
// A table that is wider than its place is reached by the keyboard, and only such a one.
const wide = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const place of document.querySelectorAll(".scroll")) wide.observe(place);
const filters = [...document.querySelectorAll("[data-filter]")];
for (const button of filters) {
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of filters) other.setAttribute("aria-pressed", String(on && other === button));
    for (const row of document.querySelectorAll(".claims tbody tr")) {
      const chip = row.querySelector(".chip");
      row.hidden = on && !chip.classList.contains(`s-${button.dataset.filter.replaceAll(" ", "-")}`);
    }
  });
}
