// The page of `dlm serve`: asks /v1/completions for texts and shows them as they come out of noise.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const { make, makeView } = dlmView;
  const chosen = [];
  let controls = {};
  let running = null;

  const headers = () => ($("key").value ? { Authorization: `Bearer ${$("key").value}` } : {});

  /** JSON of an address; an Error with the server's own words where it refuses. */
  async function get(address) {
    const answer = await fetch(address, { headers: headers() });
    if (!answer.ok) throw await refused(answer);
    return answer.json();
  }

  async function refused(answer) {
    const told = await answer.json().then((body) => body.error, () => null);
    if (answer.status === 401) $("key-label").hidden = false;
    const error = new Error(told ? told.message : `${answer.status} ${answer.statusText}`);
    return Object.assign(error, told || {}, { status: answer.status });
  }

  /** Shows an error, with the control that it is about. */
  function tell(error) {
    const gone = error instanceof TypeError;
    $("error").hidden = false;
    const told = gone
      ? "The server does not answer. What you asked is kept here; waiting for it to come back …"
      : [error.message, error.hint && `Hint: ${error.hint}`].filter(Boolean).join("\n");
    // a spec and the marks below it are indented, and stand one under the other
    $("error").replaceChildren(...told.split(/(?<=\n)/).map((line) => (line.startsWith("  ") ? make("code", { text: line }) : line)));
    const [key, place] = (error.param || "").split(".");
    if (key === "controls" && chosen[place]) {
      chosen[place].element.classList.add("wrong");
      chosen[place].focus(error.field);
    }
    if (error.status === 401) $("key").focus();
    if (gone) setTimeout(comeBack, 1500);
  }

  function untell() {
    $("error").hidden = true;
    for (const one of chosen) one.element.classList.remove("wrong");
  }

  /** A server that was restarted may have another model and other controls. */
  async function comeBack() {
    try {
      await load();
      $("error").hidden = false;
      $("error").textContent = "The server is back: press Generate.";
    } catch (error) { tell(error); }
  }

  /** A summary as far as its first mark: "A fact in its field". */
  const inShort = (summary) => summary.split(/[:;.,]\s|\.{2}| \(|\.$/)[0];

  /** Offers these; what was chosen stays, where it is still among them. */
  function choices(select, options, otherwise) {
    const { value } = select;
    select.replaceChildren(...options);
    const there = [...select.options].some((one) => one.value === value && !one.disabled);
    select.value = there ? value : otherwise;
  }

  async function load() {
    const [models, kinds, selectors] = await Promise.all(["models", "controls", "selectors"].map((name) => get(`/v1/${name}`)));
    const [model] = models.data;
    $("model").textContent = `model ${model.id}: ${model.dlm.vocabulary} words, texts of up to ${model.dlm.max_words}`;
    $("n").max = model.dlm.max_n;
    controls = Object.fromEntries(kinds.data.filter((one) => one.schema).map((one) => [one.kind, one]));
    const usable = (one) => !/^(missing|of another)/.test(one.head);
    const all = Object.values(controls);
    const first = all.find((one) => usable(one) && one.head !== "not needed") || all.find(usable);
    choices($("kind"), all.map((one) =>
      make("option", { value: one.kind, disabled: !usable(one), text: `${one.kind}: ${usable(one) ? inShort(one.summary) : "not trained"}` })), first?.kind);
    choices($("select"), [$("select").options[0],
      ...selectors.data.flatMap((one) => one.examples.map((spec) => make("option", { value: spec, text: spec, title: one.summary })))], "");
    describe();
  }

  function describe() {
    const about = controls[$("kind").value];
    const told = about ? `${about.summary} For example \`${about.examples[0]}\`` : "";
    $("about").replaceChildren(...told.split("`").map((part, k) => (k % 2 ? make("code", { text: part }) : part)));
  }

  /** Values that begin as what is typed; none where the server does not say. */
  function offers(kind) {
    return (field, typed, given) =>
      get(`/v1/controls/${encodeURIComponent(kind)}/values?${new URLSearchParams({ field, typed, given: JSON.stringify(given) })}`)
        .then((body) => body.data, () => []);
  }

  function add() {
    const about = controls[$("kind").value];
    if (!about) return;
    const one = dlmFields.control(about, offers(about.kind), (gone) => {
      chosen.splice(chosen.indexOf(gone), 1);
      gone.element.remove();
      $("free").hidden = chosen.length > 0;
      $("add").focus();
    });
    chosen.push(one);
    $("controls").append(one.element);
    $("free").hidden = true;
    one.focus();
  }

  function asked() {
    const n = Number($("n").value) || 1;
    const choice = $("select").value ? { select: $("select").value, keep: n } : {};
    const seed = $("seed").value === "" ? {} : { seed: Number($("seed").value) };
    return { n, ...seed, ...choice, controls: chosen.map((one) => one.value()), stream: true, trace: true };
  }

  /** The events of a stream, each as soon as it is whole. */
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts)
        if (part.startsWith("data: {")) yield JSON.parse(part.slice(6));
    }
  }

  async function run() {
    untell();
    const request = asked();
    const answer = await fetch("/v1/completions", {
      method: "POST", body: JSON.stringify(request), signal: running.signal,
      headers: { "Content-Type": "application/json", ...headers() },
    });
    if (!answer.ok) throw await refused(answer); // the texts that stand there stay
    const view = makeView($("view"), request.n);
    view.say("generating");
    try {
      await fill(view, answer.body);
    } catch (error) {
      $("view").replaceChildren();
      throw error;
    }
  }

  async function fill(view, body) {
    let finished = false;
    for await (const event of events(body)) {
      if (event.error) throw Object.assign(new Error(event.error.message), event.error);
      const choices = event.choices;
      if (choices.length && choices[0].finish_reason) {
        view.finish(choices.map((choice) => choice.dlm), event.dlm.command);
        finished = true;
      } else for (const { index, dlm } of choices) view.draft(index, dlm, dlm.steps);
    }
    if (!finished) throw new TypeError("the stream ended early");
  }

  async function go(event) {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    $("stop").hidden = false;
    $("go").disabled = true;
    try {
      await run();
    } catch (error) {
      if (error.name !== "AbortError") tell(error);
    } finally {
      running = null;
      $("stop").hidden = true;
      $("go").disabled = false;
    }
  }

  $("ask").addEventListener("submit", go);
  $("add").addEventListener("click", add);
  $("kind").addEventListener("change", describe);
  $("stop").addEventListener("click", () => { running.abort(); $("go").disabled = false; $("go").focus(); });
  $("key").addEventListener("change", () => { untell(); load().catch(tell); });
  load().catch(tell);
})();
