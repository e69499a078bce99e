// An HTTP server shaped like MeshHook's webhook route, with @sentry/node: node webhooks.mjs DSN. It prints its port.
// It answers 401 for a bad signature and 404 for an unknown slug, and reports both.
import * as Sentry from "@sentry/node";

Sentry.init({ dsn: process.argv[2], release: "meshhook@0.9.0", environment: "tests" });

const { createServer } = await import("node:http");
const WORKFLOWS = { orders: "6f1d1c7e-0000-4000-8000-0000000000cc" };

class SignatureError extends Error {
  name = "SignatureError";
}

function route(request, response) {
  const slug = new URL(request.url, "http://localhost").pathname.split("/").at(-1);
  const workflow_id = WORKFLOWS[slug];
  if (!workflow_id) {
    Sentry.captureMessage(`No workflow has the slug ${slug}`, { tags: { http_status: 404, workflow_slug: slug } });
    response.writeHead(404).end();
  } else if (request.headers["x-meshhook-signature"] !== "good") {
    const error = new SignatureError("the signature doesn't fit the payload");
    Sentry.captureException(error, { tags: { http_status: 401, workflow_id, workflow_slug: slug } });
    response.writeHead(401).end();
  } else {
    response.writeHead(202).end();
  }
}

const server = createServer(route).listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => server.close(() => Sentry.close(5000).then(() => process.exit(0)))).resume();
