// What a reader with a screen reader or weak eyes would miss on a page, one line each.
const problems = [], levels = [...document.querySelectorAll("h1, h2, h3")].map((h) => +h.tagName[1]);
const named = (e) => e.getAttribute("aria-label") || e.getAttribute("alt") || e.textContent.trim() || (e.labels && e.labels.length);
if (!document.documentElement.lang) problems.push("no language");
if (document.querySelectorAll("main").length !== 1) problems.push("not one main");
levels.forEach((level, i) => { if (level > (levels[i - 1] || 0) + 1) problems.push(`heading ${i} skips a level`); });
document.querySelectorAll("img, svg[role], button, a, input, select, [role=region], nav").forEach((e) => {
  if (!named(e)) problems.push(`no name: ${e.outerHTML.slice(0, 80)}`);
});
document.querySelectorAll("th").forEach((e) => { if (!e.scope) problems.push(`no scope: ${e.textContent}`); });
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => problems.push(`id twice: ${id}`));
// Contrast of text, WCAG 2.2, 1.4.3: at least 4.5, of large text 3.
const parse = (c) => c.match(/[\d.]+/g).map(Number);
const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => {
  const v = c[i] / 255;
  return sum + share * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
}, 0);
const behind = (e) => {
  for (let at = e; at; at = at.parentElement) {
    const c = parse(getComputedStyle(at).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
document.querySelectorAll("body *").forEach((e) => {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.getClientRects().length || ["SCRIPT", "STYLE"].includes(e.tagName)) return;
  const style = getComputedStyle(e), svg = e.closest("svg");
  const [a, b] = [light(parse(svg ? style.fill : style.color)), light(behind(e))].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize), least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < least && !e.disabled) problems.push(`contrast ${contrast.toFixed(2)}: ${e.tagName} ${e.textContent.slice(0, 30)}`);
});
return problems;
