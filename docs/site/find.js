// Finds headings by their words. The pages are whole without it.
"use strict";
{
  const root = document.currentScript.dataset.root;
  const box = document.querySelector(".find");
  const [input, list] = box.children;
  const all = globalThis.words.flatMap(([html, called, group, headings]) => [
    { href: html, text: called, under: group, page: true },
    ...headings.map(([id, text]) => ({ href: `${html}#${id}`, text, under: called, page: false })),
  ]);
  const rank = (one, wanted) => {
    const text = one.text.toLowerCase();
    const both = `${text} ${one.under.toLowerCase()}`;
    if (!wanted.every((word) => both.includes(word))) return -1;
    return (text.startsWith(wanted[0]) ? 4 : 0) + (one.page ? 2 : 0) + (text.includes(wanted[0]) ? 1 : 0);
  };
  const show = () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = wanted.length === 0 ? [] : all.map((one) => [rank(one, wanted), one]).filter(([score]) => score >= 0);
    found.sort(([a], [b]) => b - a);
    list.replaceChildren(
      ...found.slice(0, 12).map(([, { href, text, under }]) => {
        const [item, link, small] = ["li", "a", "small"].map((tag) => document.createElement(tag));
        link.href = root + href;
        link.textContent = text;
        small.textContent = under;
        link.append(small);
        item.append(link);
        return item;
      }),
    );
    list.hidden = found.length === 0;
  };
  box.hidden = false;
  input.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      input.value = "";
      show();
      input.focus();
    } else if (event.key === "Enter" && document.activeElement === input) links[0]?.click();
    else if (event.key === "ArrowDown") links[at + 1]?.focus();
    else if (event.key === "ArrowUp") (at <= 0 ? input : links[at - 1]).focus();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (!box.contains(event.target)) list.hidden = true;
    else if (event.target === input) show();
  });
}
