// A page with @sentry/browser: the DSN is in its address, two buttons fail, one of them unseen by the page's own code.
import * as Sentry from "@sentry/browser";

Sentry.init({ dsn: new URL(location.href).searchParams.get("dsn"), release: "shop-window@5.0.0", environment: "tests" });

function total(order) {
  return order.lines.reduce((sum, line) => sum + line.price, 0);
}

document.querySelector("#unseen").addEventListener("click", () => {
  total({});
});

document.querySelector("#seen").addEventListener("click", () => {
  try {
    total(null);
  } catch (error) {
    Sentry.captureException(error);
  }
});

document.querySelector("h1").textContent = "ready";
