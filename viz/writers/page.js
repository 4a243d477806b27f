"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const [view, slider, reached, play, told, back] = ["view", "stage", "reached", "play", "told", "back"].map(at);
  const sheets = [...document.querySelectorAll(".sheet")].map(prepared);
  let shown = sheets[0];
  let timer = 0;

  // Every sheet keeps what it is made of, what part of it is seen, and how far the sweep has come in it.
  function prepared(element) {
    const svg = element.querySelector("svg");
    const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    const marks = [...svg.querySelectorAll("g[data-key]")];
    for (const mark of marks) {
      const title = mark.querySelector(":scope > title");
      mark.told = title ? title.textContent : "";
      if (title) title.remove();
      if (mark.told) mark.setAttribute("aria-label", mark.told);
    }
    const boxes = marks.filter((mark) => mark.parentNode.matches(".boxes"));
    boxes.forEach((box, k) => {
      box.setAttribute("tabindex", k ? "-1" : "0");
      box.setAttribute("role", "button");
    });
    const stages = [...element.querySelectorAll(".stages > li")].map((item) => item.textContent);
    const whole = { x, y, width, height };
    return { element, svg, marks, boxes, stages, whole, part: { ...whole }, stage: stages.length };
  }

  // The sweep.
  function reach(stage) {
    shown.stage = Math.min(Math.max(stage, 0), shown.stages.length);
    for (const mark of shown.marks) {
      if (mark.dataset.stage !== undefined) mark.classList.toggle("ahead", Number(mark.dataset.stage) >= shown.stage);
    }
    slider.max = shown.stages.length;
    slider.value = shown.stage;
    const where = shown.stage ? `backward has reached ${shown.stages[shown.stage - 1]}` : "backward has not begun";
    reached.textContent = where;
    slider.setAttribute("aria-valuetext", where);
  }

  function playing(on) {
    clearInterval(timer);
    timer = on ? setInterval(step, Number(play.dataset.pace)) : 0;
    play.setAttribute("aria-pressed", String(on));
    play.textContent = on ? "❚❚ pause" : "▶ play backward";
  }

  function step() {
    reach(shown.stage + 1);
    if (shown.stage === shown.stages.length) playing(false);
  }

  function toggle() {
    if (!timer && shown.stage === shown.stages.length) reach(0);
    playing(!timer);
  }

  // What is seen of a sheet.
  function see(part) {
    shown.part = part;
    shown.svg.setAttribute("viewBox", `${part.x} ${part.y} ${part.width} ${part.height}`);
  }

  function zoom(factor, point) {
    const { x, y, width, height } = shown.part;
    const limited = Math.min(Math.max(width / factor, shown.whole.width / 60), shown.whole.width * 2) / width;
    const to = point || { x: x + width / 2, y: y + height / 2 };
    see({ x: to.x - (to.x - x) * limited, y: to.y - (to.y - y) * limited, width: width * limited, height: height * limited });
  }

  function pan(dx, dy) {
    const { x, y, width, height } = shown.part;
    see({ x: x + dx * width, y: y + dy * height, width, height });
  }

  function inPicture(event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(shown.svg.getScreenCTM().inverse());
  }

  // The other sheet: the same computation with every operation by itself.
  function show(sheet) {
    playing(false);
    const label = shown.stages[shown.stage - 1];
    const all = shown.stage === shown.stages.length;
    shown.element.hidden = true;
    shown = sheet;
    shown.element.hidden = false;
    back.hidden = sheet === sheets[0];
    at("sweep").hidden = !shown.stages.length;
    reach(all || !shown.stages.includes(label) ? shown.stages.length : shown.stages.indexOf(label) + 1);
  }

  function open(time, group) {
    const other = sheets[1];
    if (!other || shown === other) return;
    const panels = other.marks.filter((mark) => mark.parentNode.matches(".panels") && mark.dataset.t === time);
    const panel = panels.find((mark) => mark.dataset.group === group) || panels[0];
    if (!panel) return;
    show(other);
    for (const one of panels[0].parentNode.children) one.classList.toggle("opened", one === panel);
    const frame = panel.getBBox();
    const margin = 0.12 * frame.width;
    see({ x: frame.x - margin, y: frame.y - margin, width: frame.width + 2 * margin, height: frame.height + 2 * margin });
    tell(`${panel.textContent.trim()}, opened into its operations; Esc goes back`);
  }

  function close() {
    if (shown.svg.classList.contains("lighting")) return light(null);
    if (shown !== sheets[0]) return show(sheets[0]);
    return see({ ...shown.whole });
  }

  // All uses of a value: the wires and lines that leave its box, the boxes where they arrive, its bars.
  function light(box) {
    const key = box && !box.classList.contains("chosen") ? box.dataset.key : null;
    const lit = new Set(key === null ? [] : [key]);
    for (const mark of shown.marks) if (key !== null && mark.dataset.from === key && mark.dataset.to) lit.add(mark.dataset.to);
    shown.svg.classList.toggle("lighting", key !== null);
    for (const mark of shown.marks) {
      const uses = key !== null && (mark.dataset.from === key || lit.has(mark.dataset.key));
      mark.classList.toggle("lit", uses);
      mark.classList.toggle("chosen", key !== null && mark.dataset.key === key);
      mark.classList.toggle("keeps", mark.parentNode.matches(".panels, .texts, .legend"));
    }
    if (key !== null) tell(`${box.told}\n${lit.size - 1} uses are lit`);
  }

  function tell(text) {
    told.textContent = text;
  }

  function chosen(mark) {
    if (mark.parentNode.matches(".panels")) return open(mark.dataset.t, mark.dataset.group);
    if (mark.dataset.role === "cell") return open(mark.dataset.t, mark.dataset.group);
    return mark.parentNode.matches(".boxes") ? light(mark) : undefined;
  }

  // From box to box by the arrow keys: the nearest one in that direction.
  function neighbour(box, dx, dy) {
    const middle = (mark) => {
      const frame = mark.getBBox();
      return { x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 };
    };
    const here = middle(box);
    let best = null;
    for (const other of shown.boxes) {
      const there = middle(other);
      const along = (there.x - here.x) * dx + (there.y - here.y) * dy;
      const aside = Math.abs((there.x - here.x) * dy) + Math.abs((there.y - here.y) * dx);
      if (along > 1 && (!best || along + 3 * aside < best.far)) best = { other, far: along + 3 * aside };
    }
    if (best) best.other.focus();
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const KEYS = {
    " ": toggle, ",": () => reach(shown.stage - 1), ".": () => reach(shown.stage + 1), "+": () => zoom(1.3), "=": () => zoom(1.3),
    "-": () => zoom(1 / 1.3), 0: () => see({ ...shown.whole }), Escape: close, t: () => at("theme").click(),
    o: () => document.activeElement.dataset && open(document.activeElement.dataset.t, document.activeElement.dataset.group),
  };

  document.addEventListener("keydown", (event) => {
    const focus = document.activeElement;
    if (event.ctrlKey || event.metaKey || event.altKey || focus === slider) return;
    const inside = focus.closest && focus.closest("g[data-key]");
    if (focus.matches("button, summary") && (event.key === " " || event.key === "Enter")) return;
    if (ARROWS[event.key]) inside ? neighbour(inside, ...ARROWS[event.key]) : pan(...ARROWS[event.key].map((d) => d * 0.1));
    else if (event.key === "Enter" && inside) chosen(inside);
    else if (KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  });

  let grabbed = null;
  let moved = false;
  view.addEventListener("pointerdown", (event) => {
    grabbed = event.button === 0 ? inPicture(event) : null;
    moved = false;
  });
  window.addEventListener("pointermove", (event) => {
    if (!grabbed) return;
    const now = inPicture(event);
    const scale = shown.part.width / view.clientWidth;
    if (!moved && Math.hypot(now.x - grabbed.x, now.y - grabbed.y) < 4 * scale) return;
    moved = true;
    view.classList.add("dragged");
    see({ ...shown.part, x: shown.part.x + grabbed.x - now.x, y: shown.part.y + grabbed.y - now.y });
  });
  window.addEventListener("pointerup", () => {
    grabbed = null;
    view.classList.remove("dragged");
  });
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), inPicture(event));
  }, { passive: false });
  view.addEventListener("click", (event) => {
    const mark = event.target.closest("g[data-key]");
    if (moved) return;
    if (mark) chosen(mark);
    else light(null);
  });
  for (const kind of ["pointerover", "focusin"]) {
    view.addEventListener(kind, (event) => {
      const mark = event.target.closest && event.target.closest("g[data-key]");
      if (mark && mark.told) tell(mark.told);
      if (kind === "focusin" && shown.boxes.includes(mark)) {
        for (const box of shown.boxes) box.setAttribute("tabindex", box === mark ? "0" : "-1");
      }
    });
  }

  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => {
    playing(false);
    reach(Number(slider.value));
  });
  back.addEventListener("click", () => show(sheets[0]));
  at("closer").addEventListener("click", () => zoom(1.3));
  at("farther").addEventListener("click", () => zoom(1 / 1.3));
  at("fit").addEventListener("click", () => see({ ...shown.whole }));
  at("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    at("theme").setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
  });
  window.addEventListener("beforeprint", () => {
    playing(false);
    see({ ...shown.whole });
  });

  if (sheets[1]) {
    for (const mark of sheets[0].marks.filter((one) => one.parentNode.matches(".panels"))) {
      mark.classList.add("opens");
      mark.setAttribute("tabindex", "0");
      mark.setAttribute("role", "button");
      mark.setAttribute("aria-label", `open ${mark.textContent.trim()} into its operations`);
    }
  }
  at("sweep").hidden = !shown.stages.length;
  reach(shown.stages.length);
})();
