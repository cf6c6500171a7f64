// Search, filters and sorting of the fleet's page. Text goes in as text alone; nothing is loaded and nothing kept.
const all = (what, inside = document) => [...inside.querySelectorAll(what)];
const tools = document.querySelector(".tools");
const lists = all(".list");

// Sorting: each heading becomes a button, and says by aria-sort what it did.
const order = new Intl.Collator("en", { numeric: true });
const shown = (row, column) => {
  const words = row.cells[column].textContent.trim();
  return words === "–" ? "" : words;
};
const sort = (table, column) => {
  const heads = [...table.tHead.rows[0].cells];
  const down = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head, place) => head.setAttribute("aria-sort",
    place !== column ? "none" : down ? "descending" : "ascending"));
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [shown(row, column), row]);
  // What has nothing there comes last, either way.
  rows.sort(([one], [other]) => (one === "") - (other === "") || (down ? -1 : 1) * order.compare(one, other));
  body.append(...rows.map(([, row]) => row));
};
for (const table of all("table.sorts")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, column));
    head.setAttribute("aria-sort", "none");
    head.replaceChildren(button);
  });
}

// A number of the picture leads to its list, which has to be open then.
const follow = () => {
  const list = lists.find((each) => `#${each.id}` === decodeURIComponent(location.hash));
  if (!list) return;
  list.hidden = false;
  list.open = true;
  list.querySelector("summary").focus();
  list.scrollIntoView();
};
addEventListener("hashchange", follow);
follow();

// Paper opens nothing: what the search has left is printed whole.
let closed = [];
addEventListener("beforeprint", () => {
  closed = lists.filter((list) => !list.open);
  closed.forEach((list) => { list.open = true; });
});
addEventListener("afterprint", () => closed.forEach((list) => { list.open = false; }));

if (tools) {
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  const boxes = all("input[name=only]", tools);
  const tables = lists.map((list) => {
    const place = list.querySelector("summary").textContent;
    return [list, all("table.searched", list).map((table) => [table, [...table.tBodies[0].rows].map((row) =>
      ({ row, is: (row.dataset.is ?? "").split(" "), words: `${place} ${row.textContent}`.toLowerCase() }))])];
  });
  const total = tables.flatMap(([, some]) => some).reduce((sum, [, rows]) => sum + rows.length, 0);
  let before = null;

  const search = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = boxes.filter((box) => box.checked).map((box) => box.value);
    const asked = words.length + only.length > 0;
    if (asked && !before) before = new Map(lists.map((list) => [list, list.open]));
    let rows = 0;
    let places = 0;
    for (const [list, some] of tables) {
      let here = 0;
      for (const [table, entries] of some) {
        let left = 0;
        for (const { row, is, words: text } of entries) {
          const fits = words.every((word) => text.includes(word)) && only.every((mark) => is.includes(mark));
          row.hidden = !fits;
          left += fits;
        }
        table.parentElement.hidden = left === 0;
        here += left;
      }
      list.hidden = here === 0;
      list.open = asked ? here > 0 : before ? before.get(list) : list.open;
      rows += here;
      places += here > 0;
    }
    if (!asked) before = null;
    found.textContent = asked ? `${rows} of ${total} rows, in ${places} of ${lists.length} lists` : `${total} rows`;
  };
  find.addEventListener("input", search);
  boxes.forEach((box) => box.addEventListener("change", search));
  tools.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("open").addEventListener("click", () => lists.forEach((list) => { list.open = true; }));
  document.getElementById("close").addEventListener("click", () => lists.forEach((list) => { list.open = false; }));
  tools.hidden = false;
  search();
}
