"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = data.hypotheses, v = data.variable;
  const asMass = (x) => (v.squared ? Math.sqrt(Math.max(x, 0)) : Math.max(x, 0));
  const at = (id) => document.getElementById(id);
  const W = 360, H = 262, BOX = { left: 50, right: 350, top: 30, bottom: 218 };

  // Numbers as the tables of the page write them.
  const sup = (n) => String(n).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[+c]));
  function number(value, digits = 4) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (Number.isInteger(value) || size >= 10 ** digits && size < 1e15) {
      return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f").replace("-", "−");
    }
    const rounded = Number(value.toPrecision(digits));
    if (size >= 1e-4) return String(rounded).replace("-", "−");
    const [mantissa, exponent] = rounded.toExponential().split("e");
    return `${mantissa.replace("-", "−")}·10${sup(+exponent)}`;
  }
  function measured(value, error) {
    if (value === null) return "∞";
    if (!error) return number(value);
    const places = 1 - Math.floor(Math.log10(error));
    if (places < -3 || places > 6) return `${number(value)} ± ${number(error, 2)}`;
    const shown = Math.max(places, 0);
    const round = (x) => (Math.round(x * 10 ** places) / 10 ** places).toFixed(shown).replace("-", "−");
    return `${round(value)} ± ${round(error)}`;
  }

  // What no simulated background passes is an upper limit.
  const atMost = (bound, value, error) => (bound && value !== null ? `<\u00a0${number(value, 3)}` : measured(value, error));

  // Small drawings: elements only, never markup from data.
  function draw(parent, name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.appendChild(element);
    return element;
  }
  // A label whose words may end in a subscript: "σ_min" is drawn as σ with a small min.
  function label(svg, attributes, text) {
    const element = draw(svg, "text", attributes, "");
    for (const word of text.split(" ")) {
      const [head, foot] = word.split("_"), gap = element.lastChild ? "\u00a0" : "";
      draw(element, "tspan", {}, gap + head);
      if (foot === undefined) continue;
      draw(element, "tspan", { dy: 3, "font-size": "75%" }, foot);
      draw(element, "tspan", { dy: -3 }, "\u200b");
    }
  }
  const line = (x, y) => {
    let path = "", pen = "M";
    x.forEach((v, i) => {
      if (y[i] === null) { pen = "M"; return; }
      path += `${pen}${v.toFixed(1)} ${y[i].toFixed(1)}`;
      pen = "L";
    });
    return path;
  };
  function ticks(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough * 0.999);
    const list = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) list.push(Number((k * step).toPrecision(12)));
    return list;
  }
  function decades(low, high) {
    const list = [], from = Math.ceil(Math.log10(low) - 1e-9), to = Math.floor(Math.log10(high) + 1e-9);
    const step = Math.max(1, Math.ceil((to - from) / 5));
    for (let k = from; k <= to; k += step) list.push(10 ** k);
    if (list.length > 1) return list;
    const fine = [];
    for (let k = from - 1; k <= to; k++) for (const f of [1, 2, 5]) if (f * 10 ** k >= low && f * 10 ** k <= high) fine.push(f * 10 ** k);
    return fine;
  }
  function axes(svg, x, y, titleX, titleY) {
    svg.replaceChildren();
    const { left, right, top, bottom } = BOX;
    const log = (v) => Math.log(Math.max(v, y.low / 10));
    const px = (v) => left + (v - x.low) / (x.high - x.low) * (right - left);
    const py = (v) => y.log
      ? bottom - (log(v) - Math.log(y.low)) / (Math.log(y.high) - Math.log(y.low)) * (bottom - top)
      : bottom - (v - y.low) / (y.high - y.low) * (bottom - top);
    for (const v of y.log ? decades(y.low, y.high) : ticks(y.low, y.high, 4)) {
      draw(svg, "line", { class: "grid", x1: left, x2: right, y1: py(v), y2: py(v) });
      const wide = y.log && (v >= 1e4 || v < 1e-3);
      draw(svg, "text", { x: left - 6, y: py(v) + 4, "text-anchor": "end" }, wide ? `10${sup(Math.round(Math.log10(v)))}` : number(v));
    }
    for (const v of ticks(x.low, x.high, 5)) draw(svg, "text", { x: px(v), y: bottom + 17, "text-anchor": "middle" }, number(v));
    draw(svg, "rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top });
    label(svg, { x: right, y: H - 8, "text-anchor": "end" }, titleX);
    label(svg, { x: 4, y: 16 }, titleY);
    return { px, py };
  }
  // Share of a Gaussian below z standard deviations (Abramowitz and Stegun 7.1.26).
  function below(z) {
    const x = Math.abs(z) / Math.SQRT2, t = 1 / (1 + 0.3275911 * x);
    const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
    return z > 0 ? 1 - tail / 2 : tail / 2;
  }

  function drawPeak(h) {
    const n = h.peak.content.length, reach = data.halfWidth * h.sigma, step = 2 * reach / n;
    const top = Math.max(...h.peak.content.map((c, i) => c + h.peak.error[i]), 1e-12);
    const { px, py } = axes(at("peak"), { low: -reach, high: reach }, { low: 0, high: 1.18 * top }, `${v.title} − ${v.centre} [${v.unit}]`, "efficiency / bin");
    h.peak.content.forEach((c, i) => {
      const x = px(-reach + (i + 0.5) * step), e = h.peak.error[i];
      draw(at("peak"), "line", { class: "error", x1: x, x2: x, y1: py(Math.max(c - e, 0)), y2: py(c + e) });
      draw(at("peak"), "circle", { class: "point", cx: x, cy: py(c), r: 2.4 });
    });
    const fit = h.fit;
    if (!fit || fit.sigma === null) { at("fit").textContent = "This peak could not be fitted; its width is interpolated."; return; }
    const share = (x) => fit.fraction * below((x - fit.mean) / fit.sigma_narrow) + (1 - fit.fraction) * below((x - fit.mean) / fit.sigma_wide);
    const sum = h.peak.content.reduce((a, b) => a + b, 0), norm = share(reach) - share(-reach);
    const xs = [], ys = [];
    for (let i = 0; i < 120; i++) {
      const a = -reach + i * reach / 60, b = a + reach / 60;
      xs.push(px((a + b) / 2));
      ys.push(py(sum * (share(b) - share(a)) / norm * step / (b - a)));
    }
    draw(at("peak"), "path", { class: "line fit", d: line(xs, ys) });
    draw(at("peak"), "text", { class: "strong", x: BOX.right - 8, y: BOX.top + 18, "text-anchor": "end" }, `χ²/ν = ${number(fit.chi2, 3)}/${fit.ndof}`);
    at("fit").textContent = `Signal in its window with the double Gaussian${h.fitted ? "" : `; the fit is not used (${fit.problem}), the width is interpolated`}.`;
  }

  const masses = all.map((h) => h.mass), range = { low: 0, high: Math.ceil(masses[masses.length - 1] + 0.05) };
  function drawCurve(h) {
    const seen = (some) => some.flatMap((k) => k.selections.map((s) => s.sigma)).filter((s) => s !== null && s > 0);
    const low = Math.min(...seen(all)) / 1.5, left = seen(all.filter((k) => k.mass < 0.65 * range.high));
    // The legend, in the upper third on the left, stays clear of the curves.
    const high = Math.max(1.3 * Math.max(...seen(all)), low * (Math.max(...left, low) / low) ** 1.6);
    const { px, py } = axes(at("curve"), range, { low, high, log: true }, "mass [GeV]", "σ_min [fb]");
    draw(at("curve"), "line", { class: "mark", x1: px(h.mass), x2: px(h.mass), y1: BOX.top + 12 + 16 * data.selections.length, y2: BOX.bottom });
    data.selections.forEach((label, i) => {
      const y = all.map((k) => (k.selections[i].sigma === null ? null : py(k.selections[i].sigma)));
      draw(at("curve"), "path", { class: `line c${i}`, d: line(masses.map(px), y) });
      draw(at("curve"), "line", { class: `line c${i}`, x1: BOX.left + 10, x2: BOX.left + 34, y1: BOX.top + 14 + 16 * i, y2: BOX.top + 14 + 16 * i });
      draw(at("curve"), "text", { x: BOX.left + 40, y: BOX.top + 18 + 16 * i }, label);
      const own = h.selections[i].sigma;
      if (own !== null) draw(at("curve"), "circle", { class: "point", cx: px(h.mass), cy: py(own), r: i ? 2.5 : 4.5 });
    });
  }

  // Backgrounds before and after the cut, of bins `from` to `to`, with the window as a band.
  function drawSpectrum(id, s, title, window, from = 0, to = undefined) {
    const step = (s.high - s.low) / Object.values(s.before)[0].length, low0 = s.low + from * step;
    const sum = (stage) => Object.values(s[stage]).reduce((a, b) => a.map((v, i) => v + b[i])).slice(from, to);
    const stages = { before: sum("before"), after: sum("after") };
    const filled = Object.values(stages).flat().filter((v) => v > 0);
    const high = Math.max(...filled, 1) * 8, low = Math.max(Math.min(...filled, 1), high / 1e7) / 2;
    const end = low0 + stages.before.length * step, svg = at(id);
    const { px, py } = axes(svg, { low: low0, high: end }, { low, high, log: true }, title, `events / ${number(step, 3)} ${title.match(/\[(.*)\]/)[1]}`);
    const [left, right] = window.map((v) => Math.min(Math.max(px(v), BOX.left), BOX.right));
    draw(svg, "rect", { class: "band", x: left, y: BOX.top + 24, width: Math.max(right - left, 3), height: BOX.bottom - BOX.top - 24 });
    Object.entries(stages).forEach(([stage, values], i) => {
      const xs = [], ys = [];
      values.forEach((v, k) => {
        const y = Math.min(py(Math.max(v, low)), BOX.bottom);
        xs.push(px(low0 + k * step), px(low0 + (k + 1) * step));
        ys.push(y, y);
      });
      draw(svg, "path", { class: `line ${stage}`, d: line(xs, ys) });
      draw(svg, "line", { class: `line ${stage}`, x1: BOX.left + 10 + 135 * i, x2: BOX.left + 34 + 135 * i, y1: BOX.top + 14, y2: BOX.top + 14 });
      draw(svg, "text", { x: BOX.left + 40 + 135 * i, y: BOX.top + 18 }, `${stage} the cut`);
    });
  }
  function drawSpectra(h) {
    drawSpectrum("spectrum", data.spectrum, `${v.mass} [GeV]`, [asMass(h.low), asMass(h.high)]);
    const s = data.around, step = (s.high - s.low) / Object.values(s.before)[0].length;
    const reach = Math.max(3 * (h.high - h.low), 8 * step), middle = (h.low + h.high) / 2;
    const bin = (x) => Math.max(Math.round((x - s.low) / step), 0);
    drawSpectrum("around", s, `${v.title} [${v.unit}]`, [h.low, h.high], bin(middle - reach), bin(middle + reach));
  }

  function fill(id, rows) {
    at(id).tBodies[0].replaceChildren(...rows.map((row) => {
      const tr = document.createElement("tr");
      row.forEach((content, i) => {
        const cell = document.createElement(i ? "td" : "th");
        if (!i) cell.scope = "row";
        const [text, detail] = Array.isArray(content) ? content : [content, ""];
        cell.textContent = text;
        if (detail) {
          const small = document.createElement("small");
          small.textContent = detail;
          cell.appendChild(small);
        }
        tr.appendChild(cell);
      });
      return tr;
    }));
  }

  function show(index) {
    const h = all[index], first = h.selections[0];
    at("slider").value = index;
    at("slider").setAttribute("aria-valuetext", `${h.mass} GeV`);
    at("mass").value = index;
    at("lower").disabled = index === 0;
    at("higher").disabled = index === all.length - 1;
    drawPeak(h);
    drawCurve(h);
    drawSpectra(h);
    const coupling = h.cross_section && first.sigma ? Math.sqrt(first.sigma / h.cross_section) : null;
    at("said").textContent = `With a mass of ${number(h.mass)} GeV (${h.trained ? "one of the trained masses" : "not trained on"}) the ${data.particle} ` +
      (first.sigma === null ? "is not found by the single cut." : `is found by the single cut from ${atMost(first.bound, first.sigma, first.error)} fb on` +
      (coupling ? `, that is a coupling g′ of ${first.bound ? "<\u00a0" : ""}${number(coupling, 2)}.` : "."));
    fill("yields", Object.entries(data.labels).filter(([name]) => name in h.yields.before).map(([name, label]) => {
      const before = h.yields.before[name], after = h.yields.after[name];
      const unit = name === "signal" ? (v) => `${number(100 * v, 3)} %` : (v) => number(v, 3);
      return [[label, name === "signal" ? "efficiency" : `events at ${number(data.luminosity)} fb⁻¹`], unit(before), unit(after), before > 0 ? `${number(100 * after / before, 3)} %` : "–"];
    }));
    fill("cuts", data.selections.map((label, i) => {
      const s = h.selections[i];
      const mean = s.networks > 1 ? `mean of ${s.networks}: ${atMost(s.meanBound, s.mean, s.meanError)}` : "";
      return [label, [atMost(s.bound, s.sigma, s.error), mean], s.efficiency === null ? "–" : `${number(100 * s.efficiency, 3)} %`, (s.bound && s.background ? "< " : "") + number(s.background, 3), number(s.cut, 3)];
    }));
    const fit = h.fit || {}, found = h.signal;
    fill("window", [
      ...(v.squared ? [[`window in ${v.title} [${v.unit}]`, `${number(h.low)} to ${number(h.high)}`]] : []),
      [`window in ${v.mass} [GeV]`, h.high <= 0 ? "–" : `${number(asMass(h.low))} to ${number(asMass(h.high))}`],
      [[`width σ [${v.unit}]`, h.fitted ? "fitted" : "interpolated"], h.fitted ? measured(fit.sigma, fit.sigma_error) : number(h.sigma)],
      [`mean − ${v.centre} [${v.unit}]`, number(fit.mean, 3)],
      [`narrow and wide σ [${v.unit}]`, h.fit ? `${number(fit.sigma_narrow, 3)} and ${number(fit.sigma_wide, 3)}` : "–"],
      ["share of the narrow one", h.fit ? number(fit.fraction, 3) : "–"],
      ["signal events generated", number(found.generated)],
      ["found in the ntuples", number(found.usable)],
      ["in their own window", number(found.inside)],
      ["σ / g′² [fb]", number(h.cross_section)],
    ]);
    at("further-box").hidden = h.further.length === 0;
    if (h.further.length) at("further").caption.textContent = h.further[0][0];
    fill("further", h.further.map(([, name, value]) => [name, number(value)]));
  }

  at("slider").max = all.length - 1;
  all.forEach((h, i) => at("mass").add(new Option(`${number(h.mass)} GeV${h.trained ? "" : " (not trained)"}`, i)));
  at("slider").addEventListener("input", () => show(+at("slider").value));
  at("mass").addEventListener("change", () => show(+at("mass").value));
  at("lower").addEventListener("click", () => show(Math.max(+at("slider").value - 1, 0)));
  at("higher").addEventListener("click", () => show(Math.min(+at("slider").value + 1, all.length - 1)));
  at("curve").addEventListener("click", (event) => {
    const box = at("curve").getBoundingClientRect();
    const mass = ((event.clientX - box.left) / box.width * W - BOX.left) / (BOX.right - BOX.left) * range.high;
    show(masses.reduce((best, m, i) => (Math.abs(m - mass) < Math.abs(masses[best] - mass) ? i : best), 0));
  });
  show(Math.floor(all.length / 4));

  for (const button of document.querySelectorAll(".paper")) {
    button.addEventListener("click", () => {
      const wide = button.parentElement.classList.toggle("wide");
      button.setAttribute("aria-pressed", wide);
    });
  }
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      links.forEach((a) => a.removeAttribute("aria-current"));
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((s) => watch.observe(s));
})();
