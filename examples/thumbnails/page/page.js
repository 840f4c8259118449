// The page listens to a stream of events, which gives it a tab to send images to,
// and shows what the stream says of them. Texts from outside are only ever text.

const $ = (selector, within = document) => within.querySelector(selector);
const rows = new Map(); // of this tab, by the picture's number
let tab = "";

function notice(text) {
  $("#notice").textContent = text;
  $("#notice").hidden = text === "";
}

// ask returns whether it was answered well; if not, a notice says why.
async function ask(method, url, body) {
  try {
    const answer = await fetch(url, { method, body });
    if (!answer.ok) notice(await answer.text());
    return answer.ok;
  } catch {
    notice("The web front cannot be reached, or has broken the upload off.");
    return false;
  }
}

function newRow(picture) {
  const row = $("#picture").content.firstElementChild.cloneNode(true);
  const withdraw = `tabs/${tab}/pictures/${picture.n}`;
  $("h2", row).textContent = picture.name;
  $("button", row).addEventListener("click", () => ask("DELETE", withdraw));
  $("#pictures").prepend(row);
  return row;
}

function show(picture) {
  if (!rows.has(picture.n)) rows.set(picture.n, newRow(picture));
  const row = rows.get(picture.n);
  row.className = picture.state;
  $("progress", row).value = picture.percent;
  $(".step", row).textContent = picture.state === "waiting" ? "waits for a worker" : picture.step;
  $(".pid", row).textContent = picture.worker;
  $(".kill", row).textContent = `kill -9 ${picture.worker}`;
  if (picture.restarts > 0) {
    $(".restarted", row).textContent = `Started again on another worker (${picture.restarts}×).`;
  }
  $(".note", row).textContent = picture.note;
  $(".thumbs", row).replaceChildren(...(picture.thumbs ?? []).map((url) => {
    const img = new Image();
    img.alt = `Thumbnail of ${picture.name}`;
    img.src = url;
    return img;
  }));
}

// A new tab: what the one before had under way was withdrawn when it ended.
function begin(id) {
  tab = id;
  for (const row of rows.values()) {
    if (row.className !== "waiting" && row.className !== "working") continue;
    row.className = "failed";
    $(".note", row).textContent = "The connection was lost, and it was withdrawn. It may have run.";
  }
  rows.clear();
  notice("");
  $("#form button").disabled = false;
}

const events = new EventSource("events"); // connects again by itself
events.addEventListener("tab", (event) => begin(JSON.parse(event.data)));
events.addEventListener("picture", (event) => show(JSON.parse(event.data)));
events.addEventListener("error", () => {
  $("#form button").disabled = true;
  notice(events.readyState === EventSource.CLOSED ?
    "The web front takes no more pages; close one, and reload this one." :
    "The connection to the web front is lost; trying to get it back.");
});

$("#form").addEventListener("submit", async (event) => {
  event.preventDefault();
  notice("");
  const form = event.target;
  if (await ask("POST", `tabs/${tab}/pictures`, new FormData(form))) form.reset();
});
