// Shows /openapi.json. All text is set as text: nothing that comes from the server is read as markup.
"use strict";

const routes = document.getElementById("routes");
const search = document.getElementById("search");

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function resolved(schema, all) {
  const reference = schema && schema.$ref;
  return reference ? all[reference.split("/").pop()] || {} : schema || {};
}

function kind(schema, all, depth) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map((each) => kind(each, all, depth)).join(" or ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return "list of " + (schema.items ? kind(schema.items, all, depth) : "anything");
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  return schema.type || "anything";
}

function fields(schema, all) {
  const parts = schema.allOf || schema.anyOf || [schema];
  const rows = [];
  for (const part of parts) {
    const full = resolved(part, all);
    for (const [name, value] of Object.entries(full.properties || {})) {
      rows.push([name, value, (full.required || []).includes(name)]);
    }
  }
  return rows;
}

function table(title, schema, all) {
  const rows = fields(schema, all);
  const made = element("div");
  made.append(element("h4", title + ": " + (schema.allOf ? "" : kind(schema, all, 0))));
  if (!rows.length) return made;
  const grid = element("table");
  for (const [name, value, required] of rows) {
    const row = element("tr");
    row.append(element("td", name + (required ? " *" : "")), element("td", kind(value, all, 0)));
    const said = value.description || (value.anyOf || []).map((each) => each.description).find(Boolean) || "";
    row.append(element("td", said));
    grid.append(row);
  }
  made.append(grid);
  return made;
}

function operation(path, method, told, all) {
  const made = element("details");
  const head = element("summary");
  head.append(element("span", method.toUpperCase(), "method"), element("code", path), element("span", told.summary));
  head.append(element("span", told["x-hearth-scope"] === "nothing" ? "open" : told["x-hearth-scope"], "scope"));
  made.append(head);
  made.addEventListener("toggle", () => {
    if (!made.open || made.dataset.filled) return;
    made.dataset.filled = "yes";
    if (told.description) made.append(element("p", told.description));
    for (const each of told.parameters || []) {
      made.append(element("p", each.in + " " + each.name + (each.description ? ": " + each.description : "")));
    }
    for (const [media, content] of Object.entries((told.requestBody || {}).content || {})) {
      made.append(table("Body, " + media, content.schema, all));
    }
    for (const [status, answer] of Object.entries(told.responses)) {
      for (const [media, content] of Object.entries(answer.content || {})) {
        made.append(table(status + ", " + media, content["x-hearth-item"] || content.schema, all));
      }
    }
  });
  made.dataset.words = (method + " " + path + " " + told.summary).toLowerCase();
  return made;
}

function show(found) {
  const all = found.components.schemas;
  for (const tag of found.tags) {
    const section = element("section");
    section.append(element("h2", tag.name));
    for (const [path, methods] of Object.entries(found.paths)) {
      for (const [method, told] of Object.entries(methods)) {
        if (method !== "head" && told.tags.includes(tag.name)) section.append(operation(path, method, told, all));
      }
    }
    routes.append(section);
  }
}

search.addEventListener("input", () => {
  const wanted = search.value.toLowerCase();
  for (const each of routes.querySelectorAll("details")) {
    each.hidden = !each.dataset.words.includes(wanted);
  }
});

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => routes.append(element("p", "The document cannot be read: " + error)));
