// What the pages do beyond HTML and htmx. Without it they work too, only less comfortably.
"use strict";

function showCopyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
  }
}

// Where the page is not from this machine, browsers offer no clipboard: then the command is marked, to be copied by hand.
async function copy(button) {
  const command = document.getElementById(button.dataset.copy);
  const told = button.nextElementSibling;
  try {
    await navigator.clipboard.writeText(command.textContent);
    told.textContent = "Copied.";
  } catch {
    command.closest("details").open = true;
    window.getSelection().selectAllChildren(command);
    told.textContent = "Marked: copy it with the keyboard.";
  }
}

// Of a page that has changed, the top is shown, unless what has the focus then is further down.
function beginAtTop() {
  window.scrollTo(0, 0);
  document.activeElement.scrollIntoView({ block: "nearest" });
}

function tellTrouble(isThere) {
  document.getElementById("trouble").hidden = !isThere;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
});
document.addEventListener("htmx:before:request", () => tellTrouble(false));
document.addEventListener("htmx:error", () => tellTrouble(true));
document.addEventListener("htmx:after:swap", () => {
  showCopyButtons();
  beginAtTop();
});
showCopyButtons();
