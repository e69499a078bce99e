// Calls hooks.server.js, which stands in docs/capture.md, as SvelteKit does: SENTRY_DSN=… node sveltekit.mjs
import * as Sentry from "@sentry/node";
import { handle, handleError } from "./hooks.server.mjs";

function visit(path, locals) {
  const url = new URL(path, "http://localhost");
  return { url, params: { slug: url.pathname.split("/").at(-1) }, locals };
}

const workflowId = "6f1d1c7e-0000-4000-8000-0000000000cc";
for (const [path, status, locals] of [
  ["/webhooks/orders", 202, { workflowId }],
  ["/webhooks/orders", 401, { workflowId }],
  ["/webhooks/unknown", 404, {}],
  ["/about", 404, {}],
]) {
  const response = await handle({ event: visit(path, locals), resolve: () => new Response(null, { status }) });
  if (response.status !== status) throw new Error(`handle answered ${response.status}`);
}
handleError({ error: new Error("Not found: /about"), event: visit("/about", {}), status: 404 });
handleError({ error: new RangeError("the queue is full"), event: visit("/webhooks/orders", { workflowId }), status: 500 });
await Sentry.close(5000);
