// A program that fails and reports with @sentry/node alone: node failing.mjs DSN
import * as Sentry from "@sentry/node";

Sentry.init({ dsn: process.argv[2], release: "deliver@3.1.0", environment: "tests" });

function deliver() {
  try {
    JSON.parse("{broken");
  } catch (error) {
    throw new Error("delivery 17 failed", { cause: error });
  }
}

try {
  deliver();
} catch (error) {
  Sentry.captureException(error);
}

async function refund() {
  throw new TypeError("refund.amount is undefined");
}

process.on("unhandledRejection", () => Sentry.close(5000).then(() => process.exit(1)));
refund();
