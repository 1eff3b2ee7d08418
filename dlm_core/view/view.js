// Shows texts as they come out of noise: words shaded by certainty, a slider over the steps, verdicts.
// Used by `dlm generate --trace`, by notebooks and by the page of `dlm serve`. All that is shown is set
// as text, never as HTML.
"use strict";

const dlmView = (() => {
  const HOLDS = { true: ["holds", "✓"], false: ["fails", "✗"], null: ["unjudged", "?"] };
  const PLAY_MS = 160;
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  /** An element with attributes and children; `class` and `text` as one would guess. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") element.textContent = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /** A button that copies what `text` returns, also where the clipboard is kept from pages. */
  function copyButton(text, label, say) {
    const button = make("button", { type: "button", class: "small", text: "Copy", "aria-label": label });
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text());
      } catch {
        const area = make("textarea", { class: "sr" });
        area.value = text();
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
        button.focus();
      }
      button.textContent = "Copied";
      say("copied");
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return button;
  }

  function commandLine(command, label, say) {
    const code = make("code", { text: command, tabindex: "0", role: "region", "aria-label": label });
    return make("div", { class: "command" }, code, copyButton(() => command, `Copy: ${label}`, say));
  }

  /** Fills `line` with words, keeping the elements that are there, so that they fade. */
  function showWords(line, words, look) {
    while (line.childNodes.length > words.length) line.lastChild.remove();
    words.forEach((word, k) => {
      if (!line.childNodes[k]) line.append(make("span"));
      const [span, { sure, moved, place }] = [line.childNodes[k], look(k)];
      const core = word.trimStart();
      const inner = span.firstChild && span.firstChild.nextSibling;
      const shown = inner || make("span");
      if (!inner) span.replaceChildren("", shown);
      span.firstChild.data = word.slice(0, word.length - core.length);
      if (shown.textContent !== core) shown.textContent = core;
      shown.className = ["word", moved !== undefined && "moved", place && "place"].filter(Boolean).join(" ");
      shown.style.setProperty("--fog", (1 - sure).toFixed(3));
      shown.title = [
        `certainty ${percent(sure)}`,
        moved !== undefined && `without controls: ${moved || "(the end)"}`,
        place && `here stands: ${place}`,
      ].filter(Boolean).join("\n");
    });
  }

  const percent = (share) => `${Math.round(100 * share)}%`;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / (values.length || 1);

  /** What controls say of each token, by its place; of a draft, where it has the finished text's words. */
  function placesOf(result, words = result.words) {
    const found = {};
    const there = (k) => words.length === result.words.length && words[k] === result.words[k];
    for (const control of result.controls)
      for (const [start, end, what] of control.places || []) {
        const own = Array.from({ length: end - start }, (_, k) => start + k);
        if (own.every(there)) for (const k of own) found[k] = found[k] ? `${found[k]}, ${what}` : what;
      }
    return found;
  }

  /** `holds: semantic:food=Japanese`, the words that say it, what is wrong, and its parts. */
  function verdict(control, words) {
    const [name, sign] = HOLDS[control.satisfied];
    const item = make("li", { class: name },
      make("span", { class: "sign", "aria-hidden": "true", text: sign }),
      make("span", { class: "sr", text: `${name}: ` }),
      make("span", { class: "spec", text: control.spec }));
    const said = (control.places || []).map(([a, b]) => `“${words.slice(a, b).join("").trim()}”`);
    const told = [[...new Set(said)].join(", "), control.detail].filter(Boolean).join(" – ");
    if (told) item.append(make("span", { class: "detail", text: ` ${told}` }));
    const failed = Object.entries(control.parts || {}).filter(([, held]) => !held);
    if (failed.length)
      item.append(make("span", { class: "detail", text: ` – not met: ${failed.map(([part]) => part).join(", ")}` }));
    return item;
  }

  /** One text: its steps, then the finished one. */
  function makeCard(index, say) {
    const title = make("h2", { id: `dlm-text-${index}`, text: `Text ${index + 1}` });
    const badges = make("span", { class: "badges" });
    const line = make("p", { class: "text", lang: "en" });
    const told = make("p", { class: "told" });
    const verdicts = make("ul", { class: "verdicts" });
    const again = make("div", { class: "again" });
    const element = make("article", { class: "card", "aria-labelledby": title.id },
      make("header", {}, title, badges), line, told, verdicts, again);
    const card = { element, steps: [], result: null };

    /** The step that is shown at frame k, or null for the finished text. */
    const at = (k) => (card.result && k >= card.steps.length ? null : card.steps[Math.min(k, card.steps.length - 1)]);

    card.show = (k) => {
      const step = at(k);
      element.classList.toggle("waits", !step && !card.result);
      if (step) {
        const marked = card.result ? placesOf(card.result, step.words) : {};
        showWords(line, step.words, (n) => ({ sure: step.probs[n], moved: step.moved[n], place: marked[n] }));
        const moved = Object.entries(step.moved).map(([n, own]) => `${step.words[n].trim()} (not ${own || "the end"})`);
        const round = card.steps.slice(1, k + 1).filter((one, n) => one.t > card.steps[n].t).length;
        told.textContent = [
          round ? `correction ${round}` : "",
          `certainty ${percent(mean(step.probs))}`,
          moved.length ? `moved by controls: ${moved.join(", ")}` : "",
        ].filter(Boolean).join(" · ");
      } else if (card.result) {
        const marked = placesOf(card.result);
        showWords(line, card.result.words, (n) => ({ sure: 1, place: marked[n] }));
        told.textContent = `finished · ${card.result.tokens.length} words`;
      } else told.textContent = "waiting for the first step …";
    };
    card.text = (k) => (at(k) ? at(k).words.join("") : card.result ? card.result.text : "");

    card.finish = (result) => {
      Object.assign(card, { result, steps: result.steps });
      const best = result.rank === 1;
      element.classList.toggle("best", best);
      badges.replaceChildren(make("span", { class: "badge", text: `seed ${result.seed}` }));
      if (result.rank)
        badges.append(make("span", {
          class: best ? "badge chosen" : "badge",
          text: `${best ? "★ chosen" : `rank ${result.rank}`}${result.score === null ? "" : ` · score ${result.score.toFixed(3)}`}`,
        }));
      if (result.tries > 1) badges.append(make("span", { class: "badge", text: `${result.tries} tries` }));
      verdicts.replaceChildren(...result.controls.map((control) => verdict(control, result.words)));
      verdicts.hidden = !result.controls.length;
      if (result.command)
        again.replaceChildren(make("details", {},
          make("summary", { text: "Make this text again" }),
          commandLine(result.command, `command for text ${index + 1}`, say)));
    };
    return card;
  }

  /** Slider, play button and what they say. */
  function makeBar(count, moved) {
    const play = make("button", { type: "button", class: "play", text: "▶ Play" });
    const slider = make("input", { type: "range", min: "0", max: "0", value: "0", step: "1", "aria-label": "Step" });
    const label = make("span", { class: "at" });
    slider.addEventListener("input", () => { stop(); moved(Number(slider.value), true); });
    let timer = null;
    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "▶ Play";
    }
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      if (Number(slider.value) >= Number(slider.max)) moved(0);
      play.textContent = "❚❚ Pause";
      timer = setInterval(() => {
        const next = Number(slider.value) + 1;
        moved(Math.min(next, Number(slider.max)), next >= Number(slider.max));
        if (next >= Number(slider.max)) stop();
      }, PLAY_MS);
    });
    return { element: make("div", { class: "bar" }, play, slider, label), slider, label, stop };
  }

  function legend() {
    const item = (kind, text, fog) => {
      const sample = make("span", { class: `word ${kind}`, text: "word" });
      sample.style.setProperty("--fog", fog);
      return make("li", {}, sample, ` ${text}`);
    };
    return make("ul", { class: "legend", "aria-label": "Legend" },
      item("", "uncertain", "1"), item("", "certain", "0"),
      item("moved", "moved by a control", "0.3"), item("place", "where the text says what was asked", "0"));
  }

  /** A view of `count` texts in `root`: `draft` and `finish` fill it. */
  function makeView(root, count) {
    const status = make("div", { class: "sr", role: "status", "aria-live": "polite" });
    let waiting = null;
    const say = (text) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { status.textContent = text; }, 300);
    };
    const cards = Array.from({ length: count }, (_, index) => makeCard(index, say));
    const texts = make("div", { class: "texts" }, ...cards.map((card) => card.element));
    const whole = make("div", { class: "whole" });
    let total = null;

    const frames = () => Math.max(0, ...cards.map((card) => card.steps.length - (card.result ? 0 : 1)));
    function show(k, aloud = false) {
      const last = frames();
      Object.assign(bar.slider, { max: last, value: k, disabled: !last });
      const done = cards.some((card) => card.result) && k >= last;
      const now = cards.map((card) => card.steps[k]).find(Boolean);
      bar.label.textContent = done ? "finished"
        : now ? `step ${k + 1} of ${total || last} · t ${now.t.toFixed(2)}` : "";
      bar.slider.setAttribute("aria-valuetext", bar.label.textContent);
      for (const card of cards) card.show(k);
      if (aloud) say(`${bar.label.textContent}. ${cards.map((card) => card.text(k)).join(" – ")}`);
    }
    const bar = makeBar(count, show);
    root.replaceChildren(whole, bar.element, legend(), texts, status);
    root.classList.add("dlm");
    bar.element.hidden = true;
    show(0);

    return {
      say,
      /** A text after a step, while they are made; the slider follows unless it was moved back. */
      draft(index, step, steps) {
        const follows = Number(bar.slider.value) >= Number(bar.slider.max);
        cards[index].steps.push(step);
        total = steps;
        bar.element.hidden = false;
        show(follows ? frames() : Number(bar.slider.value));
      },
      /** The finished texts: those that are kept, the best first, in place of the drafts. */
      finish(results, command = "") {
        bar.stop();
        while (cards.length > results.length) cards.pop().element.remove();
        cards.forEach((card, index) => card.finish(results[index]));
        total = null;
        bar.element.hidden = !frames();
        if (command) whole.replaceChildren(commandLine(command, "command for all texts", say));
        show(frames());
        const held = results.filter((result) => result.controls.length && result.satisfied).length;
        const judged = results.some((result) => result.controls.length);
        say(`finished. ${results.length} texts${judged ? `, all controls hold in ${held}` : ""}. ${results.map((r) => r.text).join(" – ")}`);
      },
      play: () => { if (!still.matches && frames()) { show(0); bar.element.querySelector(".play").click(); } },
    };
  }

  /** A whole run at once; a notebook's frame takes the height that it needs. */
  function start(root, run) {
    const view = makeView(root, run.results.length);
    view.finish(run.results, run.command);
    const outside = window.frameElement;
    if (outside)
      new ResizeObserver(() => { outside.style.height = `${document.documentElement.offsetHeight + 4}px`; }).observe(document.body);
    return view;
  }

  return { make, makeView, start };
})();
