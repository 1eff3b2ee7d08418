// A control's form from the JSON schema of its fields, with values offered while one types.
"use strict";

const dlmFields = (() => {
  const { make } = dlmView;
  let count = 0;

  /** A schema without the null that makes it optional, and without references. */
  function plain(schema, all) {
    const of = schema.$ref ? all.$defs[schema.$ref.split("/").pop()] : schema;
    const known = (of.anyOf || [of]).find((one) => one.type !== "null");
    return known.$ref ? plain(known, all) : known;
  }

  const words = (name) => name.replace(/_/g, " ");

  /** A text input to which the server offers values. `given` tells what else is filled in. */
  function offered(name, offer, given, attributes = {}) {
    const list = make("datalist", { id: `dlm-offers-${count++}` });
    const input = make("input", { type: "text", list: list.id, autocomplete: "off", spellcheck: "false", ...attributes });
    let waiting = null;
    const ask = () => {
      clearTimeout(waiting);
      waiting = setTimeout(async () => {
        const found = await offer(name, input.value, given());
        list.replaceChildren(...found.map((value) => make("option", { value })));
      }, 100);
    };
    input.addEventListener("focus", ask);
    input.addEventListener("input", ask);
    return { input, list };
  }

  /** Rows of several values each, `name[The Mill]` for one. */
  function pairs(name, schema, offer) {
    const rows = make("div", { class: "pairs" });
    const read = [];
    function add() {
      const cells = [];
      const given = () => Object.fromEntries(cells.map((cell, k) => [`${name}.${k}`, cell.input.value]));
      schema.items.prefixItems.forEach((_, k) => {
        cells.push(offered(`${name}.${k}`, offer, given, { "aria-label": `${words(name)} ${read.length + 1}, part ${k + 1}` }));
      });
      read.push(() => cells.map((cell) => cell.input.value.trim()));
      rows.append(make("div", { class: "row" }, ...cells.flatMap((cell) => [cell.input, cell.list])));
      return cells[0].input;
    }
    add();
    const more = make("button", { type: "button", class: "small", text: `Add to ${words(name)}`, onclick: () => add().focus() });
    return {
      element: make("div", { role: "group", "aria-label": words(name) },
        make("span", { class: "faint", "aria-hidden": "true", text: words(name) }), rows, more),
      value: () => read.map((row) => row()).filter((row) => row.some(Boolean)),
    };
  }

  /** One field: its element and its value; undefined where it is left open. */
  function field(name, raw, all, required, offer, given) {
    const schema = plain(raw, all);
    if (schema.format === "path") return null;
    if (schema.type === "array" && plain(schema.items || {}, all).prefixItems)
      return pairs(name, { items: plain(schema.items, all) }, offer);
    if (schema.type === "boolean") {
      const box = make("input", { type: "checkbox" });
      box.checked = Boolean(raw.default);
      return { element: make("label", { class: "check" }, box, words(name)), value: () => box.checked };
    }
    if (schema.enum) {
      const select = make("select", {}, ...schema.enum.map((value) => make("option", { value, text: value })));
      if (raw.default) select.value = raw.default;
      return { element: make("label", {}, words(name), select), value: () => select.value };
    }
    const told = [raw.description || (schema.type === "array" && "commas between"), !required && "may be left open"];
    const label = `${words(name)}${told.some(Boolean) ? ` (${told.filter(Boolean).join("; ")})` : ""}`;
    if (schema.type === "integer" || schema.type === "number") {
      const input = make("input", { type: "number", min: schema.minimum ?? null, max: schema.maximum ?? null, step: schema.type === "integer" ? "1" : "any" });
      return { element: make("label", {}, label, input), value: () => (input.value === "" ? undefined : Number(input.value)) };
    }
    const long = schema.type === "array" || Object.keys(all.properties).length === 1;
    const { input, list } = offered(name, offer, given, long ? { class: "wide" } : {});
    const value = () => {
      const typed = input.value.trim();
      if (!typed && !required) return undefined;
      if (schema.type === "string") return typed;
      if (schema.type === "array") return typed.split(",").map((one) => one.trim()).filter(Boolean);
      try { return JSON.parse(typed); } catch { return typed; }
    };
    return { element: make("label", {}, label, input, list), value };
  }

  /** The form of a control; `value()` is the object that `/v1/completions` takes. */
  function control(about, offer, removed) {
    const fields = {};
    const given = () => Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.value()]));
    const { schema } = about;
    for (const [name, raw] of Object.entries(schema.properties || {})) {
      const made = field(name, raw, schema, (schema.required || []).includes(name), offer, given);
      if (made) fields[name] = made;
    }
    const weight = make("input", { type: "number", min: "0", step: "any", placeholder: String(about.default_weight) });
    const not = make("input", { type: "checkbox" });
    const extras = make("div", { class: "extras" });
    if (about.negatable) extras.append(make("label", { class: "check" }, not, "not"));
    extras.append(
      make("label", {}, "weight", weight),
      make("button", { type: "button", class: "small", text: "Remove", "aria-label": `Remove ${about.kind}`, onclick: () => removed(one) }));
    const element = make("fieldset", { class: "control", tabindex: "-1" },
      make("legend", { text: about.kind }),
      make("div", { class: "row" }, ...Object.values(fields).map((made) => made.element), extras));
    const one = {
      element,
      focus: (name) => ((fields[name]?.element || element).querySelector("input, select") || element).focus(),
      value: () => ({
        kind: about.kind, fields: given(), negated: not.checked,
        ...(weight.value === "" ? {} : { weight: Number(weight.value) }),
      }),
    };
    return one;
  }

  return { control };
})();
