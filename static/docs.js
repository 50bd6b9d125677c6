// Optional script of the documentation: the theme that was chosen on the pages, and a copy button for each code block.

const theme = document.cookie.match(/_theme=(light|dark)(;|$)/)?.[1];
if (theme) document.documentElement.style.colorScheme = theme;

async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain HTTP on a LAN has no clipboard API.
    const area = document.createElement("textarea");
    area.value = text;
    near.after(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    near.focus();
    return done;
  }
}

for (const block of document.querySelectorAll("pre")) {
  const box = document.createElement("div");
  box.className = "code";
  block.replaceWith(box);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  status.className = "copied";
  button.addEventListener("click", async () => {
    status.textContent = (await copy(block.textContent, button)) ? "Copied" : "Select the text and copy it manually";
    setTimeout(() => (status.textContent = ""), 3000);
  });
  box.append(block, status, button);
}
