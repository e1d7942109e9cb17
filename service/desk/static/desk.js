// What all pages share: the token of the session, errors, and an ended session in which nothing typed is lost.
"use strict";

const desk = {
  csrf: document.querySelector('meta[name="csrf"]').content,
  notice: document.getElementById("notice"),

  // Show a line; `actions`: [[label, function]].
  tell(line, actions = [], link = null) {
    desk.notice.replaceChildren();
    const text = document.createElement("span");
    text.textContent = line;
    desk.notice.append(text);
    if (link) {
      const a = document.createElement("a");
      a.href = link[1];
      a.target = "_blank";
      a.rel = "opener";
      a.textContent = link[0];
      desk.notice.append(a);
    }
    for (const [label, action] of [...actions, ["Close", desk.quiet]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = label;
      button.addEventListener("click", action);
      desk.notice.append(button);
    }
    desk.notice.hidden = false;
  },

  quiet() {
    desk.notice.hidden = true;
  },

  // The session has ended: sign in elsewhere, and all that was refused meanwhile is done then.
  repeats: [],
  signIn(...repeats) {
    desk.repeats.push(...repeats);
    desk.tell(
      "Your session has ended. Sign in, and this is done again; nothing is lost.",
      [["Do it again", desk.again]],
      ["Sign in", "/desk/login?next=/desk/signed-in"],
    );
  },
  again() {
    const repeats = desk.repeats;
    desk.repeats = [];
    desk.quiet();
    for (const repeat of repeats) repeat();
  },

  line(html, status) {
    const text = new DOMParser().parseFromString(html, "text/html").body.textContent.trim();
    return text.length && text.length < 300 ? text : `The service answered ${status}.`;
  },
};

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = desk.csrf;
});
document.addEventListener("htmx:responseError", (event) => {
  const { xhr, requestConfig: sent, elt } = event.detail;
  if (xhr.status === 401) {
    desk.signIn(() =>
      htmx.ajax(sent.verb.toUpperCase(), sent.path, { source: elt, target: sent.target, values: sent.unfilteredParameters }),
    );
  } else {
    desk.tell(desk.line(xhr.responseText, xhr.status));
  }
});
document.addEventListener("htmx:sendError", () => desk.tell("The service does not answer. Try again."));
window.addEventListener("beforeunload", (event) => desk.repeats.length && event.preventDefault());
window.addEventListener("focus", () => desk.repeats.length && desk.again());
